// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/latency_histogram.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "line.hpp"

namespace aatgs::monitor {

/// What records of one phase of one run have in common. Fixed memory for any number of records.
struct PhaseSummary {
  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();

  std::string phase;
  std::uint64_t records = 0;
  std::uint64_t best_colors = none;   ///< the fewest in a record without conflicts
  std::uint64_t least_colors = none;  ///< the fewest in any; a record that tells 0 tells none
  std::uint64_t last_colors = 0;
  std::uint64_t least_conflicts = none;
  std::uint64_t most_conflicts = 0;
  std::uint64_t last_conflicts = 0;
  std::uint64_t on_gpu = 0;
  std::uint64_t on_cpu = 0;
  LatencyHistogram duration_ns;  ///< of those that tell it; percentiles are at most 3.2 % too high
  double duration_ms = 0;        ///< their sum

  void add(const Record& record);
  /// In ms; 0 where no duration is known.
  [[nodiscard]] double percentile_ms(double share) const;
  [[nodiscard]] double max_ms() const;
};

struct HashOfText {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
template <class T>
using ByName = std::unordered_map<std::string, T*, HashOfText, std::equal_to<>>;

struct RunSummary {
  std::string run_id;
  std::string file;  ///< its first
  std::string gpu;
  std::string library_version;
  std::optional<std::int64_t> start_unix_ns;  ///< from the manifest
  std::uint64_t records = 0;
  std::int64_t first_unix_ns = 0;  ///< of the records that were added
  std::int64_t last_unix_ns = 0;
  struct End {
    std::int64_t unix_ns = 0;
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;
    std::uint64_t lost = 0;
    std::string last_error;
  };
  std::optional<End> end;                             ///< from the summary line
  std::vector<std::unique_ptr<PhaseSummary>> phases;  ///< in order of appearance
  ByName<PhaseSummary> phase_by_name;
};

/// Sums up runs, in bounded memory: what comes after 4096 runs, or 4096 phases in all, is counted
/// together.
/// Not thread-safe.
class Summary {
 public:
  static constexpr std::size_t most = 4096;
  static constexpr const char* others = "(others)";

  /// Takes lines of every type. Metrics are to be filtered before.
  void add(const Line& line);

  [[nodiscard]] const std::vector<std::unique_ptr<RunSummary>>& runs() const { return runs_; }

 private:
  RunSummary& run_of(std::string_view run_id, const Line& line);
  PhaseSummary& phase_of(RunSummary& run, std::string_view phase);

  std::vector<std::unique_ptr<RunSummary>> runs_;
  ByName<RunSummary> run_by_id_;
  RunSummary* last_run_ = nullptr;
  std::size_t phase_count_ = 0;
};

}  // namespace aatgs::monitor
