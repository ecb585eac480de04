// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_group.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <aatgs/integrations/coloring/matching_hierarchy.hpp>
#include <aatgs/integrations/coloring/whcr_step.hpp>
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace aatgs::coloring::test {

/// Plain memory for a WhcrProblem and a CPU group to run its step, with nothing in between.
struct WhcrBench {
  WhcrBench(Graph its_graph, std::uint32_t k, std::uint64_t seed, std::uint32_t searches = 1)
      : graph(std::move(its_graph)), hierarchy(graph, 4) {
    step.problem = {.vertices = graph.vertex_count(),
                    .colors = k,
                    .searches = searches,
                    .nodes = hierarchy.node_count(),
                    .seed = seed,
                    .offsets = graph.offsets().data(),
                    .neighbors = graph.neighbors().data(),
                    .parent = hierarchy.parent().data(),
                    .paired = hierarchy.paired().data()};
    memory.resize(searches * step.problem.table_bytes() / sizeof(Piece));
    step.problem.tables = reinterpret_cast<std::byte*>(memory.data());
    for (std::uint32_t s = 0; s < searches; ++s) {
      set_coloring(random_coloring(graph.vertex_count(), k, seed + s), s);
    }
    config.pre_smooth_iterations = 0;
  }
  WhcrBench(const WhcrBench&) = delete;
  WhcrBench& operator=(const WhcrBench&) = delete;

  /// One slice on search `config.iteration % searches`; the first of a search builds its tables.
  KernelTelemetry run(int pre, int post) {
    config.pre_smooth_iterations = pre;
    config.post_smooth_iterations = post;
    config.set(ConfigFlag::warm_start, state(index()).iteration > 0);
    KernelTelemetry telemetry;
    const std::atomic<bool> abort = false;
    CpuGroupShared shared(threads, abort);
    const auto body = [&](std::uint32_t rank) {
      CpuGroup group(shared, rank, step.scratch_bytes());
      step(group, config, telemetry);
    };
    std::vector<std::jthread> others;
    for (std::uint32_t rank = 1; rank < threads; ++rank) others.emplace_back(body, rank);
    body(0);
    return telemetry;
  }

  [[nodiscard]] std::uint32_t index() const {
    return static_cast<std::uint32_t>(config.iteration) % step.problem.searches;
  }
  /// What a search has now.
  [[nodiscard]] WhcrState& state(std::uint32_t search = 0) const {
    return *step.problem.search(search).state;
  }
  [[nodiscard]] std::vector<Color> coloring(std::uint32_t search = 0) const {
    return copy(step.problem.search(search).coloring, graph.vertex_count());
  }
  [[nodiscard]] std::vector<std::int32_t> gamma() const {
    return copy(step.problem.search(0).gamma, cells());
  }
  [[nodiscard]] std::vector<std::uint32_t> barred() const {
    return copy(step.problem.search(0).barred, cells());
  }
  [[nodiscard]] std::vector<std::int32_t> mean() const {
    return copy(step.problem.search(0).conflicts.mean, hierarchy.node_count());
  }
  [[nodiscard]] std::vector<std::uint64_t> wish() const {
    return copy(step.problem.search(0).wish, graph.vertex_count());
  }
  void set_coloring(const std::vector<Color>& colors, std::uint32_t search = 0) const {
    std::copy(colors.begin(), colors.end(), step.problem.search(search).coloring);
  }

  Graph graph;
  MatchingHierarchy hierarchy;
  std::uint32_t threads = 1;
  RuntimeConfig config = RuntimeConfig::production();
  WhcrStep step;

 private:
  struct alignas(16) Piece {
    std::byte bytes[16];
  };

  [[nodiscard]] std::size_t cells() const {
    return step.problem.search(0).row(graph.vertex_count());
  }
  template <class T>
  static std::vector<T> copy(const T* from, std::size_t count) {
    return {from, from + count};
  }

  std::vector<Piece> memory;
};

}  // namespace aatgs::coloring::test
