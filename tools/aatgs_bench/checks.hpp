// SPDX-License-Identifier: Apache-2.0
// The ratios that the project aims at, from the figures of one run.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "parking.hpp"
#include "report.hpp"
#include "tasks.hpp"
#include "whcr.hpp"

namespace aatgs::bench {

/// A ratio of things that were measured; empty where one was not.
using Value = std::optional<double>;

inline Value over(Value a, Value b) {
  return a && b ? Value(*a / *b) : std::nullopt;
}

inline Value smaller(Value a, Value b) {
  return a && b ? std::min(*a, *b) : (a ? a : b);
}
inline Value larger(Value a, Value b) {
  return a && b ? std::max(*a, *b) : (a ? a : b);
}

/// Best other road over the resident one, the worst of the cases of these labels. An empty label,
/// or a length between the two, stands for all.
struct AgainstOthers {
  std::vector<std::string> groups;
  std::string scope = {};
  double from_us = 0;
  double to_us = std::numeric_limits<double>::infinity();
  std::string step = {};

  [[nodiscard]] Value worst(const Report& report) const {
    Value worst;
    for (const Figure& ours : report.figures) {
      if (ours.of.road != our_road || !covers(ours.of)) continue;
      const Figure* other = report.best_other(ours.of);
      if (other != nullptr) worst = smaller(worst, other->p50 / ours.p50);
    }
    return worst;
  }

 private:
  [[nodiscard]] bool covers(const Case& of) const {
    return std::find(groups.begin(), groups.end(), of.group) != groups.end() &&
           (scope.empty() || of.scope == scope) && (step.empty() || of.step == step) &&
           of.step_us && *of.step_us >= from_us && *of.step_us <= to_us;
  }
};

/// Best other road of a closed loop over ours with a step that writes memory.
inline Value others_against_writing(const Report& report) {
  const Figure* other = report.best_other({"closed", "spin", "block", 0, our_road});
  const Case writing{writing_group, "spin", "block", 0, our_road};
  return other == nullptr ? Value() : over(other->p50, report.median(writing.name()));
}

/// The best road, ours or another, over `automatic`, by turns: the worst of all cases.
inline Value automatic_against_best(const Report& report) {
  Value worst;
  for (const Figure& f : report.figures) {
    if (f.of.road == automatic_road) worst = smaller(worst, f.against_best);
  }
  return worst;
}

/// The best settings of the sweep over those as given, by turns; the worse of rate and round trip.
inline Value defaults_against_best(const Report& report) {
  const Figure* rate = report.find("tune_rate/default");
  const Figure* roundtrip = report.find("tune_roundtrip/default");
  if (rate == nullptr || roundtrip == nullptr) return {};
  return smaller(rate->against_best, roundtrip->against_best);
}

inline Value high_percentile(const Report& report, const std::string& name) {
  const Figure* f = report.find(name);
  return f == nullptr ? Value() : Value(f->p99);
}

/// The first config after a park over a plain launch, the worse of both scopes.
inline Value first_config_over_launch(const Report& report) {
  const auto of_scope = [&](const std::string& scope) {
    return over(report.median("park/" + scope + "/first_config"),
                report.median("park/" + scope + "/launch_sync"));
  };
  return larger(of_scope("block"), of_scope("grid"));
}

/// The longest that another one's CUDA call took beyond `park_after`.
inline Value longest_park_wait_ms(const Report& report) {
  Value worst;
  for (const Figure& f : report.figures) {
    const bool waits = f.of.road == "device_synchronize" || f.of.road == "free";
    if (f.of.group == "park" && waits) worst = larger(worst, f.p99 - idle_before_park_ms);
  }
  return worst;
}

/// The fastest of the roads whose names begin so, over ours.
inline Value others_of(const Report& report, const std::string& group, const std::string& prefix) {
  Value best;
  for (const Figure& f : report.figures) {
    if (f.of.group == group && f.of.road.starts_with(prefix)) best = smaller(best, f.p50);
  }
  return over(best, report.median(group + "/" + our_road));
}

/// The worst of all graphs.
inline Value fifo_over_critical_path(const Report& report) {
  Value worst = over(report.median("task/cholesky_fifo"), report.median("task/cholesky_resident"));
  for (const std::uint32_t window : mixed_windows) {
    const std::string name = "task/mixed_" + std::to_string(window);
    worst =
        smaller(worst, over(report.median(name + "_fifo"), report.median(name + "_critical_path")));
  }
  return worst;
}

/// Best shape of launches over `ColoringPipeline`.
inline Value launched_coloring(const Report& report, const std::string& graph) {
  const std::string name = "task/coloring_" + graph;
  const Value launches =
      smaller(report.median(name + "_launches_256"), report.median(name + "_launches_512"));
  return over(launches, report.median(name + "_resident"));
}

/// Geometric mean of best graph over resident, if all sizes were measured.
inline Value jacobi_geomean(const Report& report) {
  double logarithms = 0;
  const std::vector<std::string> sizes{"128", "256", "512", "1024", "2048", "4096", "8192"};
  for (const std::string& n : sizes) {
    const Value ratio = others_of(report, "jacobi_" + n, "graph");
    if (!ratio) return std::nullopt;
    logarithms += std::log(*ratio);
  }
  return std::exp(logarithms / static_cast<double>(sizes.size()));
}

/// What triple buffering could gain if nothing but the bus held it up: the sequential step over 64
/// MiB there and back at once, at the rate that the bus has for both ways.
inline Value triple_floor(const Report& report, const std::string& name) {
  constexpr double both_bytes = 2.0 * (64 << 20);
  const Value gb_s = report.median("floor/copy_both_ways");
  const Value both_us = gb_s ? Value(both_bytes / *gb_s / 1e3) : std::nullopt;
  return over(report.median("stream/sequential_" + name), both_us);
}

struct Check {
  const char* key;
  std::function<Value(const Report&)> value;
};

/// All checks: a new one is a line here.
inline std::vector<Check> all_checks() {
  const std::string block = "closed/spin/block/0us/resident";
  const std::string grid = "closed/spin/grid/0us/resident";
  const std::vector<std::string> closed{"closed"};
  const std::vector<std::string> fed16{"fed16"};
  const std::vector<std::string> closed_and_fed{"closed", "fed4", "fed16", "fed64"};
  const std::vector<std::string> every{"closed", "fed4", "fed16", "fed64", "known"};
  const std::vector<std::string> known{"known"};
  const auto median = [](std::string name, double factor = 1) {
    return [=](const Report& r) { return over(r.median(name), 1 / factor); };
  };
  const auto ratio = [](std::string a, std::string b) {
    return [=](const Report& r) { return over(r.median(a), r.median(b)); };
  };
  const auto others = [](AgainstOthers which) {
    return [=](const Report& r) { return which.worst(r); };
  };
  return {
      {"roundtrip_block", ratio(block, "floor/ping_pong")},
      {"roundtrip_block_p99",
       [=](const Report& r) {
         return over(high_percentile(r, block), high_percentile(r, "floor/ping_pong"));
       }},
      {"roundtrip_grid", ratio(grid, "floor/ping_pong")},
      {"grid_step", ratio("fed16/spin/grid/0us/resident", "floor/grid_barrier_64")},
      {"configs_per_s_1", median("many_rate/16", 1e6)},
      {"configs_per_s_1_singly", median("tune_rate/default", 1e6)},
      {"configs_per_s_4", median("threads_rate/4", 1e6)},
      {"bytes_4k",
       [](const Report& r) {
         Value rate;  // from as many threads as it takes; millions of 4096 bytes, against 1e9 bytes
         for (const Figure& f : r.figures) {
           if (f.of.group == "threads_rate_4096") rate = larger(rate, f.p50);
         }
         return over(rate ? Value(*rate * 4.096) : rate, r.median("floor/copy_to_gpu"));
       }},
      {"try_queue_ns", median("host/try_queue")},
      {"poll_ns", median("host/poll")},
      {"closed_loop_block", others({closed, "block", 0, 0, "spin"})},
      {"closed_loop_block_writing", others_against_writing},
      {"closed_loop_grid", others({closed, "grid", 0, 0, "spin"})},
      {"fed16_block", others({fed16, "block", 0, 0, "spin"})},
      {"fed16_grid", others({fed16, "grid", 0, 0, "spin"})},
      {"fed_worst", others({closed_and_fed, "", 0, 300})},
      {"long_worst", others({every, "", 1000, 10'000})},
      {"known_batch_grid_0us", others({known, "grid", 0, 0, "spin"})},
      {"known_batch_grid_10us", others({known, "grid", 10})},
      {"automatic_worst", automatic_against_best},
      {"cg_small", [](const Report& r) { return others_of(r, "cg_small", "library_graph"); }},
      {"cg_large", [](const Report& r) { return others_of(r, "cg_large", "library_graph"); }},
      {"jacobi_512", [](const Report& r) { return others_of(r, "jacobi_512", "graph"); }},
      {"jacobi_2048", [](const Report& r) { return others_of(r, "jacobi_2048", "graph"); }},
      {"jacobi_4096", [](const Report& r) { return others_of(r, "jacobi_4096", "graph"); }},
      {"jacobi_geomean", jacobi_geomean},
      {"whcr_launch", [](const Report& r) { return whcr_over_resident(r, "launch", false); }},
      {"whcr_graph", [](const Report& r) { return whcr_over_resident(r, "graph", false); }},
      {"whcr_launch_single", [](const Report& r) { return whcr_over_resident(r, "launch", true); }},
      {"whcr_graph_single", [](const Report& r) { return whcr_over_resident(r, "graph", true); }},
      {"defaults", defaults_against_best},
      {"park_first_config", first_config_over_launch},
      {"park_wait_ms", longest_park_wait_ms},
      {"yield_second_process",
       ratio("yield/second_process_beside_yield", "yield/second_process_alone")},
      {"tasks_per_s",
       [](const Report& r) {
         Value best;
         for (const Figure& f : r.figures) {
           if (f.of.road.starts_with("rate_") && f.of.group == "task") best = larger(best, f.p50);
         }
         return over(best, 1e-6);
       }},
      {"edge_us", median("task/edge")},
      {"fan_us",
       [](const Report& r) {
         Value best;
         for (const char* road : {"task/fan_1", "task/fan_4", "task/fan_8", "task/fan_9"}) {
           best = smaller(best, r.median(road));
         }
         return best;
       }},
      {"graph_10k_wide", ratio("task/graph_10k_wide_cuda_graph", "task/graph_10k_wide_resident")},
      {"graph_10k", ratio("task/graph_10k_cuda_graph", "task/graph_10k_resident")},
      {"resubmit_ns", median("task/resubmit")},
      {"critical_path", fifo_over_critical_path},
      {"cholesky", ratio("task/cholesky_streams", "task/cholesky_resident")},
      {"sptrsv", [](const Report& r) { return others_of(r, "sptrsv", "cusparse"); }},
      {"triple_1_1", ratio("stream/sequential_1_1", "stream/triple_1_1")},
      {"triple_10_1", ratio("stream/sequential_10_1", "stream/triple_10_1")},
      {"triple_1_10", ratio("stream/sequential_1_10", "stream/triple_1_10")},
      {"triple_1_1_slots_4", ratio("stream/sequential_1_1", "stream/triple4_1_1")},
      {"triple_1_10_slots_4", ratio("stream/sequential_1_10", "stream/triple4_1_10")},
      {"triple_1_1_raw", ratio("stream/sequential_1_1", "stream/raw3_1_1")},
      {"triple_1_1_raw_slots_4", ratio("stream/sequential_1_1", "stream/raw4_1_1")},
      {"triple_1_1_floor", [](const Report& r) { return triple_floor(r, "1_1"); }},
      {"triple_1_10_floor", [](const Report& r) { return triple_floor(r, "1_10"); }},
      {"triple_2_5_2", ratio("stream/sequential_2_5_2", "stream/triple_2_5_2")},
      {"coordinator_us",
       [](const Report& r) {
         const Value ours = r.median("stream/coordinator");
         const Value raw = r.median("stream/raw_calls");
         return ours && raw ? Value(*ours - *raw) : std::nullopt;
       }},
      {"parallel_phases", ratio("stream/phases_sequential", "stream/phases_parallel")},
      {"graph_pipeline", ratio("stream/pipeline_queued", "stream/pipeline_graph")},
      {"load_balanced", ratio("stream/round_robin", "stream/load_balanced")},
      {"allocator", ratio("stream/cuda_malloc_1mib", "stream/allocator_1mib")},
      {"allocator_growth_mib",
       [](const Report& r) {
         const Value before = r.median("stream/allocator_reserved_before");
         const Value after = r.median("stream/allocator_reserved_after");
         return before && after ? Value(*after - *before) : std::nullopt;
       }},
      {"telemetry_on", median("watch/telemetry")},
      {"statistics_page", median("watch/statistics_page")},
      {"statistics_page_round_trip", median("watch/statistics_page_round_trip")},
      {"event_ring_round_trip", median("watch/event_ring_round_trip")},
      {"bfs_mesh", [](const Report& r) { return others_of(r, "bfs_mesh", "levels_launch"); }},
      {"bfs_mesh_graph", [](const Report& r) { return others_of(r, "bfs_mesh", "levels_graph"); }},
      {"coloring",
       [](const Report& r) {
         return smaller(launched_coloring(r, "random"), launched_coloring(r, "mesh"));
       }},
  };
}

/// Fills in what the figures suffice for.
inline void fill_checks(Report& report) {
  for (const Check& check : all_checks()) {
    if (const Value value = check.value(report)) report.checks[check.key] = *value;
  }
}

}  // namespace aatgs::bench
