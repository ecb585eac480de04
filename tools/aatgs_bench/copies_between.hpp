// SPDX-License-Identifier: Apache-2.0
// Copies between the two devices of a set, with a look at what arrives; GPUs or host threads.
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/stream/device_set.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs::bench {

/// Between devices 0 and 1 of `set`, which must outlive it; a buffer and a stream on each.
class CopiesBetween {
 public:
  CopiesBetween(DeviceSet& set, std::size_t bytes)
      : set_(set), bytes_(bytes), sides_{Side(set, 0, bytes), Side(set, 1, bytes)} {
    set.prepare(0, 1);
    set.prepare(1, 0);
  }

  /// So many copies one way, then as many back.
  double gb_s(unsigned copies) {
    const std::uint64_t begin = host_now_ns();
    carry(0, 1, copies);
    carry(1, 0, copies);
    return 2.0 * copies * static_cast<double>(bytes_) / static_cast<double>(host_now_ns() - begin);
  }

  /// Sends other bytes each way. Throws Error if they do not arrive.
  void check() {
    for (std::size_t from : {0U, 1U}) {
      const std::vector<std::uint32_t> sent = numbers(++checks_);
      std::vector<std::uint32_t> arrived(sent.size());
      Side& source = sides_[from];
      Side& target = sides_[1 - from];
      target.stream.set(target.data(), 0, bytes_);
      source.stream.copy(source.data(), sent.data(), bytes_);
      carry(from, 1 - from, 1);
      target.stream.copy(arrived.data(), target.data(), bytes_);
      target.stream.synchronize(patience);
      if (arrived == sent) continue;
      throw Error("a copy of " + std::to_string(bytes_) + " bytes from " + name(from) + " to " +
                  name(1 - from) + " (" + std::string(to_string(set_.link(from, 1 - from))) +
                  ") brought other bytes: its rate would mean nothing");
    }
  }

 private:
  static constexpr auto patience = std::chrono::seconds(30);

  struct Side {
    Side(DeviceSet& set, std::size_t index, std::size_t bytes)
        : stream(set.device(index), {.name = "copies of device " + std::to_string(index)}),
          memory(set.memory(index).allocate_owned(stream, bytes)) {}
    [[nodiscard]] void* data() const { return memory.data(); }

    Stream stream;
    StreamMemory memory;
  };

  void carry(std::size_t from, std::size_t to, unsigned copies) {
    Side& source = sides_[from];
    Side& target = sides_[to];
    for (unsigned i = 0; i < copies; ++i) {
      set_.copy(target.stream, target.data(), source.stream, source.data(), bytes_);
    }
    source.stream.synchronize(patience);
    target.stream.synchronize(patience);
  }

  /// Different ones for each check.
  [[nodiscard]] std::vector<std::uint32_t> numbers(std::uint32_t check) const {
    std::vector<std::uint32_t> all(bytes_ / sizeof(std::uint32_t));
    std::uint32_t next = check;
    std::generate(all.begin(), all.end(), [&] { return next = next * 1664525U + 1013904223U; });
    return all;
  }
  [[nodiscard]] std::string name(std::size_t index) const { return set_.device(index)->name(); }

  DeviceSet& set_;
  std::size_t bytes_;
  std::array<Side, 2> sides_;
  std::uint32_t checks_ = 0;
};

}  // namespace aatgs::bench
