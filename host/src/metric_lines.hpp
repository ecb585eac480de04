// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/run_telemetry.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs {

/// How many records a phase has. What comes after the 32nd name is counted together.
class PhaseCounts {
 public:
  void add(const FixedText<29>& name);
  void append_to(std::string& out) const;  ///< a JSON object

 private:
  struct Entry {
    FixedText<29> name;
    std::uint64_t count = 0;
  };
  static constexpr std::size_t most = 32;
  std::vector<Entry> entries_;
  std::uint64_t others_ = 0;
};

struct ManifestFacts {
  std::int64_t start_unix_ns = 0;
  std::uint64_t start_monotonic_ns = 0;
  std::uint64_t part = 0;
};

// Each appends one line with its newline.

void append_manifest(std::string& out, const TelemetryOptions& options, const ManifestFacts& facts);

/// Returns how many of its parameters and notes were cut or not JSON.
unsigned append_metric(std::string& out, const RunMetric& metric);

/// `stamp` has the summary's time, sequence and run id.
void append_summary(std::string& out, const RunMetric& stamp, const TelemetryStatus& status,
                    const PhaseCounts& phases);

}  // namespace aatgs
