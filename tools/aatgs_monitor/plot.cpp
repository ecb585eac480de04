// SPDX-License-Identifier: Apache-2.0
#include "plot.hpp"

#include <cmath>
#include <functional>

#include "phase_tag.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

constexpr double left_edge = 80, right_edge = 936;
constexpr double panel_height = 210;
constexpr double conflicts_top = 64, colors_top = 326;
constexpr std::size_t most_dots = 60;

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : visible(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string point(double x, double y) {
  return fixed(x, 1) + "," + fixed(y, 1) + " ";
}

std::string line(double x1, double y1, double x2, double y2, const char* stroke) {
  return "<line x1='" + fixed(x1, 1) + "' y1='" + fixed(y1, 1) + "' x2='" + fixed(x2, 1) +
         "' y2='" + fixed(y2, 1) + "' stroke='" + stroke + "'/>\n";
}

std::string text(double x, double y, const char* anchor, const std::string& words,
                 const char* more = "") {
  return "<text x='" + fixed(x, 1) + "' y='" + fixed(y, 1) + "' text-anchor='" + anchor + "'" +
         more + ">" + xml(words) + "</text>\n";
}

/// 1, 2 or 5 times a power of ten, so that `range` holds at most about `most` of it.
double nice_step(double range, double most) {
  const double raw = std::max(range / most, 1e-12);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

/// A scale from values to 0..1 and its ticks.
struct Scale {
  std::function<double(double)> at;
  std::vector<double> ticks;
};

/// Logarithmic, with a place for 0.
Scale scale_from_zero(double most) {
  const double top = std::log10(1 + std::max(most, 1.0));
  Scale scale{[top](double value) { return std::log10(1 + value) / top; }, {0}};
  for (double tick = 1; tick <= std::max(most, 1.0); tick *= 10) scale.ticks.push_back(tick);
  return scale;
}

Scale scale_between(double least, double most) {
  const double step = std::max(1.0, nice_step(most - least, 6));
  const double low = std::floor(least / step) * step;
  const double high = std::max(std::ceil(most / step) * step, low + step);
  Scale scale{[low, high](double value) { return (value - low) / (high - low); }, {}};
  for (double tick = low; tick <= high + step / 2; tick += step) scale.ticks.push_back(tick);
  return scale;
}

std::string tick_text(double value) {
  return value < 1e7 ? fixed(value, 0) : "1e" + fixed(std::log10(value), 0);
}

struct TimeAxis {
  double seconds;  ///< its length
  double unit;
  const char* name;

  [[nodiscard]] double x(double at) const {
    return left_edge + at / seconds * (right_edge - left_edge);
  }
};

TimeAxis time_axis(const TimeSeries& series) {
  const double seconds =
      std::max(static_cast<double>(series.last_unix_ns() - series.start_unix_ns()) * 1e-9, 1e-6);
  if (seconds > 3 * 3600) return {seconds, 3600, "hours"};
  if (seconds > 3 * 60) return {seconds, 60, "minutes"};
  if (seconds > 0.5) return {seconds, 1, "seconds"};
  return {seconds, 1e-3, "milliseconds"};
}

std::string draw_time_axis(const TimeAxis& axis) {
  const double bottom = colors_top + panel_height;
  const double step = nice_step(axis.seconds / axis.unit, 8);
  const int digits = step < 1 ? static_cast<int>(std::ceil(-std::log10(step) - 1e-9)) : 0;
  std::string out;
  for (double tick = 0; tick <= axis.seconds / axis.unit * (1 + 1e-9); tick += step) {
    const double x = axis.x(tick * axis.unit);
    out += line(x, bottom, x, bottom + 5, "#000");
    out += text(x, bottom + 20, "middle", fixed(tick, digits));
  }
  return out + text((left_edge + right_edge) / 2, bottom + 42, "middle",
                    std::string(axis.name) + " since the first record");
}

using Part = std::optional<Span> TimeSeries::Bin::*;

/// A grey band from the least to the most of each interval, and a line along the least.
std::string draw_panel(const TimeSeries& series, const TimeAxis& axis, Part part,
                       const Scale& scale, double top, const std::string& name) {
  const auto y = [&](double value) { return top + panel_height * (1 - scale.at(value)); };
  std::string out = text(left_edge, top - 10, "start", name, " font-weight='bold'");
  for (const double tick : scale.ticks) {
    out += line(left_edge, y(tick), right_edge, y(tick), "#ddd");
    out += text(left_edge - 8, y(tick) + 4, "end", tick_text(tick));
  }
  std::string above, below, dots;
  std::size_t count = 0;
  const auto& bins = series.bins();
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (!(bins[i].*part)) continue;
    const Span& span = *(bins[i].*part);
    const double middle =
        (static_cast<double>(i) + 0.5) * static_cast<double>(series.bin_ns()) * 1e-9;
    const double x = axis.x(std::min(middle, axis.seconds));
    const double low = y(static_cast<double>(span.least));
    const double high = y(static_cast<double>(span.most));
    below += point(x, low);
    above.insert(0, point(x, high));
    dots += "<circle cx='" + fixed(x, 1) + "' cy='" + fixed(low, 1) + "' r='3'/>\n";
    ++count;
  }
  out += "<polygon points='" + below + above + "' fill='#c8c8c8' stroke='none'/>\n";
  out += "<polyline points='" + below + "' fill='none' stroke='#000' stroke-width='1.5'/>\n";
  if (count <= most_dots) out += dots;
  return out + line(left_edge, top + panel_height, right_edge, top + panel_height, "#000") +
         line(left_edge, top, left_edge, top + panel_height, "#000");
}

std::optional<Span> whole(const TimeSeries& series, Part part) {
  std::optional<Span> all;
  for (const auto& bin : series.bins()) {
    if (!(bin.*part)) continue;
    all ? all->include(bin.*part) : static_cast<void>(all = bin.*part);
  }
  return all;
}

/// A ring.
std::string draw_best(const TimeSeries& series, const TimeAxis& axis, const Scale& scale) {
  if (!series.best()) return {};
  const double x =
      axis.x(static_cast<double>(series.best()->unix_ns - series.start_unix_ns()) * 1e-9);
  const double y =
      colors_top + panel_height * (1 - scale.at(static_cast<double>(series.best()->colors)));
  return "<circle cx='" + fixed(x, 1) + "' cy='" + fixed(y, 1) +
         "' r='7' fill='none' stroke='#000' stroke-width='2'/>\n";
}

}  // namespace

std::string plot_svg(const TimeSeries& series, const std::string& title) {
  const TimeAxis axis = time_axis(series);
  std::string out =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 960 600' width='960' height='600' "
      "font-family='sans-serif' font-size='13' role='img'>\n<title>" +
      xml(title) + "</title>\n<rect width='960' height='600' fill='#fff'/>\n";
  out += text(left_edge, 26, "start", title, " font-size='15'");
  const Span conflicts = whole(series, &TimeSeries::Bin::conflicts).value_or(Span{});
  out += draw_panel(series, axis, &TimeSeries::Bin::conflicts,
                    scale_from_zero(static_cast<double>(conflicts.most)), conflicts_top,
                    "Conflicts (logarithmic). Line: least, grey: up to the most of an interval");
  if (const auto colors = whole(series, &TimeSeries::Bin::colors)) {
    const Scale scale =
        scale_between(static_cast<double>(colors->least), static_cast<double>(colors->most));
    const std::string best =
        series.best() ? ". Ring: fewest without conflicts, " + std::to_string(series.best()->colors)
                      : ". None without conflicts";
    out += draw_panel(series, axis, &TimeSeries::Bin::colors, scale, colors_top, "Colours" + best);
    out += draw_best(series, axis, scale);
  } else {
    out += text(left_edge, colors_top, "start", "Colours: no record tells them");
  }
  return out + draw_time_axis(axis) + "</svg>\n";
}

}  // namespace aatgs::monitor
