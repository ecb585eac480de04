// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

enum class ProfiledKind { operation, transfer, launch };
[[nodiscard]] std::string_view to_string(ProfiledKind kind);

/// All operations of one name and kind in a stream; times by events of the device.
struct ProfiledOperation {
  std::string name;
  ProfiledKind kind{};
  std::uint64_t count = 0;
  std::chrono::nanoseconds total{0}, shortest{0}, longest{0};
  std::uint64_t bytes = 0;  ///< of transfers

  [[nodiscard]] std::chrono::nanoseconds mean() const {
    return count == 0 ? total : total / static_cast<std::int64_t>(count);
  }
  /// 10^9 bytes a second, of transfers; 0: none, or too short to be timed.
  [[nodiscard]] double gb_per_s() const {
    return total.count() <= 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(total.count());
  }
};

struct ProfiledStream {
  std::string name;
  std::uint64_t id = 0;
  std::vector<ProfiledOperation> operations;  ///< that take the most time first
  std::chrono::nanoseconds busy{0};           ///< something ran; gaps left out

  [[nodiscard]] std::string text() const;
};

/// What a `StreamProfiler` saw until now.
struct StreamProfile {
  std::string device;
  std::vector<ProfiledStream> streams;   ///< by id
  std::chrono::nanoseconds span{0};      ///< from the first begin to the last end
  std::chrono::nanoseconds busy{0};      ///< something ran in some stream
  std::chrono::nanoseconds all_busy{0};  ///< sum over the streams
  std::uint64_t running = 0;             ///< given, not done: not in here yet
  std::uint64_t untimed = 0;             ///< given while captured, which cannot be timed
  std::uint64_t without_place = 0;       ///< beyond `most_records`: in no `busy` and no trace

  /// Streams at work at once, on average while something ran: 1 is no overlap.
  [[nodiscard]] double overlap() const {
    return busy.count() == 0
               ? 0
               : static_cast<double>(all_busy.count()) / static_cast<double>(busy.count());
  }
  /// A table a stream.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string json() const;
};

}  // namespace aatgs
