// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/hypertune_controller.hpp>
#include <aatgs/host/run_trace.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/runtime_config.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace aatgs::coloring {

/// How WHCR searches.
struct WhcrOptions {
  ContextOptions context;      ///< executor, scope, ring sizes; `telemetry_policy` stays `block`
  std::uint32_t colors = 1;    ///< k
  std::uint64_t seed = 1;      ///< same seed, same searches
  std::uint32_t searches = 0;  ///< block scope: independent searches; 0: two for each SM or
                               ///< one for each CPU thread
  std::uint32_t slice = 0;     ///< iterations of one config; 0: chosen by scope
  /// Weights and rates of the searches; control fields are the solver's own.
  RuntimeConfig config = RuntimeConfig::production();

  /// Lets controllers change `config` from slice to slice, see whcr_hypertune.hpp.
  bool hypertune = false;
  /// Theirs; empty: `whcr_hypertune_options` for these searches.
  std::optional<HypertuneOptions> hypertune_options;
  /// Is given each of their actions and what came of it, from within `run`, which it holds up.
  std::function<void(const RunMetric&)> hypertune_report;

  /// Is told when each slice was queued, ran, and was polled; must outlive the runs.
  RunTrace* trace = nullptr;
};

/// When a run ends; it also ends when a search has found a legal coloring.
struct WhcrLimits {
  std::chrono::nanoseconds time = std::chrono::seconds(60);
  std::uint64_t iterations = ~std::uint64_t{0};  ///< of each search
  std::stop_token stop = {};                     ///< asked of any thread: as if time were up
};

/// How far a run has come.
struct WhcrProgress {
  std::uint64_t iterations = 0;  ///< of all searches together
  std::uint64_t moves = 0;       ///< recolorings, likewise
  std::uint32_t conflicts = 0;   ///< fewest of any search's present coloring
  double seconds = 0;
};

/// A slice of one search that has ended.
struct WhcrSlice {
  std::uint32_t search = 0;
  std::uint32_t conflicts = 0;   ///< of the search's coloring
  std::uint64_t iterations = 0;  ///< of this slice
  std::uint64_t moves = 0;       ///< of this slice
  std::uint64_t ticket = 0;
  std::uint64_t duration_ns = 0;  ///< from taken to finished, on the executor's clock
};

/// What a run came to.
struct WhcrResult {
  std::vector<Color> colors;           ///< of the search with fewest conflicts, one a vertex
  std::uint64_t conflicts_before = 0;  ///< of the first search's initial coloring
  std::uint64_t conflicts = 0;         ///< of `colors`, counted by the host's verifier
  WhcrProgress total;
  std::uint64_t hypertune_actions = 0;  ///< of the controllers; 0 without them
  std::uint64_t hypertune_paid = 0;     ///< of those: after which conflicts dropped
  ExecutionStatistics stats;
};

/// Wavelet-hierarchical conflict repair: recolors conflicting vertices of a coloring with k colors
/// until no edge has two ends of one color. See whcr_step.hpp for the algorithm.
///
/// `Scope::block` runs a portfolio of independent searches on one small graph, one block each;
/// `Scope::grid` one search on a big graph with all SMs. Not thread-safe.
class WhcrSolver {
 public:
  /// Throws `OptionError`, `DeviceError`.
  WhcrSolver(const Graph& graph, const WhcrOptions& options);
  ~WhcrSolver();
  WhcrSolver(const WhcrSolver&) = delete;
  WhcrSolver& operator=(const WhcrSolver&) = delete;

  /// Repairs `initial`, which the first search starts from; the others start from random colorings.
  /// `report` is called about ten times a second, `each_slice` once for each slice, which it holds
  /// up. Throws `UseError` if `initial` has the wrong size or a color not below k, `TimeoutError`
  /// if no slice ends within a minute, and what the two calls throw. After any of these the next
  /// run is as good as the first: it waits for slices that were left on their way, and drops them.
  WhcrResult run(std::span<const Color> initial, const WhcrLimits& limits,
                 const std::function<void(const WhcrProgress&)>& report = {},
                 const std::function<void(const WhcrSlice&)>& each_slice = {});

  /// Fewest conflicts that each search has now, in order of the searches; to compare executors.
  [[nodiscard]] const std::vector<std::uint32_t>& conflicts_by_search() const;
  /// What it runs on, and why.
  [[nodiscard]] std::string description() const;
  [[nodiscard]] std::uint32_t searches() const;
  [[nodiscard]] std::uint32_t slice() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aatgs::coloring
