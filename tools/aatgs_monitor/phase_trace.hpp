// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "line.hpp"

namespace aatgs::monitor {

/// Records as a trace in Chrome's JSON format, for Perfetto: of each phase of a run the steps, from
/// their duration before the record to the record itself, on as many tracks as were at work at
/// once, and curves of conflicts and colors. What the host waited for is not in records: see
/// RunTrace.
class PhaseTrace {
 public:
  static constexpr std::size_t most = 500'000;  ///< later records are counted

  void add(const Record& record);
  [[nodiscard]] std::size_t records() const { return steps_.size(); }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  [[nodiscard]] std::string to_chrome() const;

 private:
  struct Step {
    std::uint32_t process;
    std::int64_t begin_ns;  ///< Unix time
    std::int64_t end_ns;
    std::uint64_t step, conflicts, chromatic_number;
  };

  std::uint32_t process_of(const Record& record);

  std::map<std::pair<std::string, std::string>, std::uint32_t> processes_;  // of run and phase
  std::vector<Step> steps_;
  std::uint64_t left_out_ = 0;
};

}  // namespace aatgs::monitor
