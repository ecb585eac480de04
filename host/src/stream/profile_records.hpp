// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_profile.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs::detail {

/// One operation that is done; times count from the profiler's beginning.
struct ProfileRecord {
  std::uint32_t stream;     ///< index
  std::uint32_t operation;  ///< index in the stream
  std::int64_t begin_ns;
  std::int64_t end_ns;
  std::uint64_t bytes;
};

/// Sums and single times of what is done.
struct ProfileRecords {
  std::vector<ProfiledStream> streams;
  std::vector<ProfileRecord> records;

  /// Index of the operation in the stream, both new if need be.
  std::uint32_t stream_index(std::uint64_t id, const std::string& name);
  std::uint32_t operation_index(std::uint32_t stream, ProfiledKind kind, const std::string& name);
  /// To the sums, and if there is room to the records; false: there is none.
  bool add(const ProfileRecord& record, std::size_t most_records);

  [[nodiscard]] StreamProfile report(const std::string& device) const;
  [[nodiscard]] std::string trace(const std::string& device) const;
};

}  // namespace aatgs::detail
