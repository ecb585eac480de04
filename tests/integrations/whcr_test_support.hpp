// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_group.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <aatgs/integrations/coloring/matching_hierarchy.hpp>
#include <aatgs/integrations/coloring/whcr_step.hpp>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace aatgs::coloring::test {

/// Plain memory for a WhcrProblem and a CPU group to run its step, with nothing in between.
struct WhcrBench {
  WhcrBench(Graph its_graph, std::uint32_t k, std::uint64_t seed, std::uint32_t searches = 1)
      : graph(std::move(its_graph)), hierarchy(graph, 4) {
    const std::size_t n = graph.vertex_count();
    for (std::uint32_t s = 0; s < searches; ++s) {
      const auto random = random_coloring(n, k, seed + s);
      coloring.insert(coloring.end(), random.begin(), random.end());
    }
    gamma.resize(searches * n * k);
    barred.resize(searches * n * k);
    wish.resize(searches * n);
    mean.resize(std::size_t{searches} * hierarchy.node_count());
    state.resize(searches);
    step.problem = {graph.vertex_count(),
                    k,
                    searches,
                    hierarchy.node_count(),
                    seed,
                    graph.offsets().data(),
                    graph.neighbors().data(),
                    hierarchy.parent().data(),
                    hierarchy.paired().data(),
                    coloring.data(),
                    gamma.data(),
                    barred.data(),
                    wish.data(),
                    mean.data(),
                    state.data()};
    config.pre_smooth_iterations = 0;
  }
  WhcrBench(const WhcrBench&) = delete;
  WhcrBench& operator=(const WhcrBench&) = delete;

  /// One slice on search `config.iteration % searches`; the first of a search builds its tables.
  KernelTelemetry run(int pre, int post) {
    config.pre_smooth_iterations = pre;
    config.post_smooth_iterations = post;
    config.set(ConfigFlag::warm_start, state[index()].iteration > 0);
    KernelTelemetry telemetry;
    const std::atomic<bool> abort = false;
    CpuGroupShared shared(threads, abort);
    const auto body = [&](std::uint32_t rank) {
      CpuGroup group(shared, rank, 0);
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
  [[nodiscard]] std::int32_t gamma_of(Vertex v, Color c) const {
    return gamma[std::size_t{v} * step.problem.colors + c];
  }

  Graph graph;
  MatchingHierarchy hierarchy;
  std::uint32_t threads = 1;
  RuntimeConfig config = RuntimeConfig::production();
  std::vector<Color> coloring;
  std::vector<std::int32_t> gamma;
  std::vector<std::uint32_t> barred;
  std::vector<std::uint64_t> wish;
  std::vector<std::int32_t> mean;
  std::vector<WhcrState> state;
  WhcrStep step;
};

}  // namespace aatgs::coloring::test
