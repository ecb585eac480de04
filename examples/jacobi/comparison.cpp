// SPDX-License-Identifier: Apache-2.0
#include "comparison.hpp"

#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/launched_jacobi.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <random>
#include <utility>

namespace jacobi {
namespace {

using namespace aatgs::stencil;
using Field = std::vector<float>;
using Clock = std::chrono::steady_clock;

/// A smooth source with noise on it, so that every point has other bits.
Field make_source(std::uint32_t n) {
  constexpr double pi = std::numbers::pi;
  std::mt19937 random(n);
  std::uniform_real_distribution<double> noise(-1, 1);
  Field f(std::size_t{n} * n);
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double x = static_cast<double>(i % n + 1) / (n + 1);
    const double y = static_cast<double>(i / n + 1) / (n + 1);
    f[i] = static_cast<float>(2 * pi * pi * std::sin(pi * x) * std::sin(pi * y) + noise(random));
  }
  return f;
}

/// The plain iteration, by one host thread.
Field iterate_on_host(std::uint32_t n, const Field& f, std::uint64_t iterations) {
  const FieldLayout layout = FieldLayout::of(static_cast<std::int32_t>(n), 0);
  const Field source = scaled_source(n, f);
  Field from(layout.size());
  Field to(layout.size());
  for (std::uint64_t i = 0; i < iterations; ++i) {
    for (std::int32_t y = 0; y < layout.n; ++y) {
      const float* u = &from[static_cast<std::size_t>(layout.at(0, y))];
      float* next = &to[static_cast<std::size_t>(layout.at(0, y))];
      const float* s = &source[static_cast<std::size_t>(y) * n];
      for (std::int32_t x = 0; x < layout.n; ++x) {
        next[x] =
            jacobi_point(u[x - 1] + u[x - layout.pitch], u[x + 1] + u[x + layout.pitch], s[x]);
      }
    }
    std::swap(from, to);
  }
  Field u;
  for (std::int32_t y = 0; y < layout.n; ++y) {
    const auto row = from.begin() + layout.at(0, y);
    u.insert(u.end(), row, row + layout.n);
  }
  return u;
}

bool same_bits(const Field& a, const Field& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// One run from u = 0 whose field is kept, then timed ones.
template <class Road>
std::pair<double, Field> measure(Road& road, std::size_t points, const Settings& settings) {
  road.set_field(Field(points));
  road.iterate(settings.iterations);
  Field field = road.field();
  std::vector<double> us;
  for (int i = 0; i < settings.repetitions; ++i) {
    const auto begin = Clock::now();
    road.iterate(settings.iterations);
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    us.push_back(took.count() / static_cast<double>(settings.iterations));
  }
  std::nth_element(us.begin(), us.begin() + settings.repetitions / 2, us.end());
  return {us[static_cast<std::size_t>(settings.repetitions / 2)], std::move(field)};
}

}  // namespace

const Row* Result::find(const std::string& road) const {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.road == road; });
  return found == rows.end() ? nullptr : &*found;
}

double Result::ratio() const {
  const Row* graph = find("graph");
  const Row* dependent = find("graph_pdl");
  if (graph == nullptr) return 0;
  return std::min(graph->us, dependent == nullptr ? graph->us : dependent->us) / rows.front().us;
}

bool Result::right() const {
  return std::all_of(rows.begin(), rows.end(),
                     [&](const Row& r) { return r.same && r.residual < first_residual; });
}

Result run(std::uint32_t n, const Settings& settings) {
  const Field f = make_source(n);
  Result result;
  result.n = n;
  result.iterations = settings.iterations;
  result.first_residual = relative_residual(n, f, Field(f.size()));
  Field expected;
  const auto add = [&](std::string road, double us, const Field& field, std::string how) {
    if (expected.empty()) expected = field;
    result.rows.push_back({std::move(road), us, relative_residual(n, f, field),
                           same_bits(field, expected), std::move(how)});
  };
  const auto solve = [&](const std::string& road, const JacobiOptions& options) {
    PoissonJacobi solver(n, f, options);
    const auto [us, field] = measure(solver, f.size(), settings);
    add(road, us, field, solver.description());
  };
  const auto choice =
      aatgs::choose_executor(settings.options.context.executor, settings.options.context.device);
  const bool single =
      choice.kind != aatgs::ExecutorKind::resident && choice.kind != aatgs::ExecutorKind::cpu;
  solve(std::string(to_string(choice.kind)) + (single ? "_slices" : ""), settings.options);

  constexpr double quick = 2e9;  // points, a few seconds of one core
  if (static_cast<double>(f.size()) * static_cast<double>(settings.iterations) < quick) {
    const auto begin = Clock::now();
    const Field field = iterate_on_host(n, f, settings.iterations);
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    add("host", took.count() / static_cast<double>(settings.iterations), field, "one thread");
  }
  if (!settings.compare) return result;
  JacobiOptions plain = settings.options;
  plain.form = JacobiForm::plain;
  solve("plain", plain);
  JacobiOptions slices = settings.options;
  slices.context.executor = aatgs::ExecutorKind::launch;
  solve("launch_slices", slices);
  for (const LaunchRoad road : {LaunchRoad::launch, LaunchRoad::graph, LaunchRoad::graph_pdl}) {
    const int device = settings.options.context.device;
    if (!LaunchedJacobi::is_available(road, device)) {
      result.left_out.emplace_back(to_string(road));
      continue;
    }
    LaunchedJacobi launched(n, f, road, device);
    const LaunchShape shape = launched.tune();
    const auto [us, field] = measure(launched, f.size(), settings);
    add(std::string(to_string(road)), us, field, shape.name());
  }
  return result;
}

std::string to_table(const Result& result) {
  std::string table;
  char line[512];
  std::snprintf(line, sizeof line, "\nn = %u, %llu iterations, relative residual at first %.6g\n",
                result.n, static_cast<unsigned long long>(result.iterations),
                result.first_residual);
  table += line;
  std::snprintf(line, sizeof line, "%-13s %12s %10s %14s %6s  %s\n", "road", "us/iteration",
                "times ours", "residual", "bits", "how");
  table += line;
  for (const Row& row : result.rows) {
    std::snprintf(line, sizeof line, "%-13s %12.3f %10.2f %14.8g %6s  %s\n", row.road.c_str(),
                  row.us, row.us / result.rows.front().us, row.residual,
                  row.same ? "same" : "DIFFER", row.how.c_str());
    table += line;
  }
  for (const std::string& road : result.left_out) {
    table += road + ": left out, this GPU or the code as compiled does not have it\n";
  }
  if (result.ratio() > 0) {
    std::snprintf(line, sizeof line, "best graph over %s: %.2f\n", result.rows[0].road.c_str(),
                  result.ratio());
    table += line;
  }
  return table;
}

std::string to_json(const std::vector<Result>& results) {
  nlohmann::json all;
  all["format"] = "aatgs-jacobi";
  all["version"] = 1;
  for (const Result& result : results) {
    nlohmann::json one{{"n", result.n},
                       {"iterations", result.iterations},
                       {"first_residual", result.first_residual},
                       {"right", result.right()}};
    if (result.ratio() > 0) one["best_graph_over_ours"] = result.ratio();
    if (!result.left_out.empty()) one["left_out"] = result.left_out;
    for (const Row& row : result.rows) {
      one["roads"][row.road] = {{"us_per_iteration", row.us},
                                {"residual", row.residual},
                                {"same_bits", row.same},
                                {"how", row.how}};
    }
    all["results"].push_back(one);
  }
  return all.dump(2) + "\n";
}

}  // namespace jacobi
