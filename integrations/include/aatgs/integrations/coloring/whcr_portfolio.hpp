// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace aatgs::coloring {

/// What came of one device's part of a portfolio.
struct WhcrPart {
  int device = 0;
  std::uint64_t seed = 0;
  std::string description;     ///< what it ran on
  std::uint32_t searches = 0;  ///< there
  WhcrProgress progress;       ///< its conflicts are those of its best search
  std::uint32_t colors = 0;    ///< that its coloring uses
  bool was_stopped = false;    ///< by another's legal coloring, or by `WhcrLimits::stop`
  std::string failure;         ///< of the device, the others went on; empty: none
};

struct WhcrPortfolioResult {
  WhcrResult best;         ///< of the winner; `total` is of all devices
  std::size_t winner = 0;  ///< index of its part
  std::vector<WhcrPart> parts;
};

/// Seed of the searches on the device of this index; the first has the seed of the run.
[[nodiscard]] std::uint64_t whcr_part_seed(std::uint64_t seed, std::size_t index);

/// WHCR on several devices, a `WhcrSolver` and a host thread each, all for `options.colors`: the
/// searches of each are independent of the others'. The first that finds a legal coloring ends the
/// run: others stop when the slices on their way have ended. The winner is legal, or has the fewest
/// conflicts; then it uses the fewest colors; then it is the first in `devices`.
///
/// The part of a device is a run of `WhcrSolver` with `whcr_part_seed`: without a legal coloring, a
/// run that is limited by iterations alone comes to the same in every part each time. Which device
/// is the first with a legal one is a matter of time.
///
/// `devices`: CUDA ordinals; executors on the host take as many contexts and share out the threads,
/// unless `cpu_threads` says how many each has. `options.context.device` counts for nothing.
/// `initial` starts the first search of the first device. `report` has the sums of all devices, and
/// the fewest conflicts of any; it and `options.hypertune_report` are called from the devices'
/// threads, one at a time.
///
/// Throws `OptionError` for no device, one twice, or a trace, which is of one context;
/// `DeviceError` for one that is not there; what a part throws if all do. See `WhcrPart::failure`.
[[nodiscard]] WhcrPortfolioResult run_whcr_portfolio(
    const Graph& graph, const WhcrOptions& options, std::span<const int> devices,
    std::span<const Color> initial, const WhcrLimits& limits,
    const std::function<void(const WhcrProgress&)>& report = {});

}  // namespace aatgs::coloring
