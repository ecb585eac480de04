// SPDX-License-Identifier: Apache-2.0
#include "live_views.hpp"

#include <utility>

#include "times.hpp"

namespace aatgs::monitor {

RecordView::RecordView(Filter filter, Format format, bool color, Print print)
    : filter_(std::move(filter)), format_(format), color_(color), print_(std::move(print)) {
  if (format_ == Format::csv) text_ = csv_header();
}

void RecordView::take(const Line& line) {
  constexpr std::size_t printed_together = 1 << 16;
  const bool for_people = format_ == Format::text;
  if (line.type == Line::Type::metric) {
    if (!filter_.passes(line.record)) return;
    if (format_ == Format::csv) {
      text_ += csv_row(line.record);
    } else {
      text_ += for_people ? progress_line(line.record, color_) : std::string(line.text);
      text_ += '\n';
    }
  } else if (line.type == Line::Type::manifest && line.manifest.part == 0 && for_people) {
    text_ += begin_line(line) + "\n";
  } else if (line.type == Line::Type::summary && for_people) {
    text_ += end_line(line) + "\n";
  }
  if (text_.size() >= printed_together) show(true);
}

void RecordView::show(bool) {
  print_(text_);
  text_.clear();
}

SummaryView::SummaryView(Filter filter, Format format, bool in_place, Print print)
    : filter_(std::move(filter)), format_(format), in_place_(in_place), print_(std::move(print)) {}

void SummaryView::take(const Line& line) {
  if (line.type != Line::Type::metric || filter_.passes(line.record)) summary_.add(line);
}

void SummaryView::show(bool news) {
  constexpr const char* clear_screen = "\x1b[H\x1b[J";
  if (!news && !in_place_) return;
  print_((in_place_ ? clear_screen : "") + show_summary(summary_, format_, unix_now_ns()));
}

}  // namespace aatgs::monitor
