// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/granule.hpp>
#include <aatgs/runtime/lanes.hpp>
#include <cstdint>
#include <type_traits>

namespace aatgs {

inline constexpr std::size_t max_message_bytes = 4096;

/// Explains at compile time why `T` cannot travel through a ring.
template <class T>
constexpr void require_message() {
  static_assert(std::is_trivially_copyable_v<T>,
                "AATGS: a config or telemetry must be trivially copyable, because its bytes cross "
                "the bus; keep pointers to device buffers in the step instead of owning containers "
                "in the message");
  static_assert(sizeof(T) <= max_message_bytes,
                "AATGS: a config or telemetry may have at most 4096 bytes; put larger data into an "
                "aatgs::Buffer and send an index");
  static_assert(alignof(T) <= 16,
                "AATGS: a config or telemetry may be aligned to at most 16 bytes");
}

/// Granules of one message of `bytes` bytes.
constexpr std::uint32_t granules_for(std::size_t bytes) {
  return static_cast<std::uint32_t>((bytes + granule_payload_bytes - 1) / granule_payload_bytes);
}

/// A word of a message, which is written and read as a struct as well.
using MessageWord [[gnu::may_alias]] = std::uint32_t;

/// Room for a `T` rounded up to whole granules, so that unpacking needs no special last piece.
template <class T>
struct MessageBuffer {
  static constexpr std::uint32_t granules = granules_for(sizeof(T));

  alignas(16) unsigned char bytes[granule_payload_bytes * granules];

  [[nodiscard]] AATGS_HOST_DEVICE T& value() { return *reinterpret_cast<T*>(bytes); }
  [[nodiscard]] AATGS_HOST_DEVICE const T& value() const {
    return *reinterpret_cast<const T*>(bytes);
  }
  [[nodiscard]] AATGS_HOST_DEVICE MessageWord* words() {
    return reinterpret_cast<MessageWord*>(bytes);
  }
  [[nodiscard]] AATGS_HOST_DEVICE const MessageWord* words() const {
    return reinterpret_cast<const MessageWord*>(bytes);
  }
};

/// Writes the message in `words` (3 per granule) into a slot, under `lap`.
template <Lanes L>
AATGS_HOST_DEVICE void write_message(L lanes, Granule* slot, std::uint32_t granules,
                                     std::uint32_t lap, const MessageWord* words) {
  for (std::uint32_t i = lanes.rank(); i < granules; i += lanes.size()) {
    store_granule(slot + i, Granule::make(words[3 * i], words[3 * i + 1], words[3 * i + 2], lap));
  }
}

/// The payload of a granule as its 3 words.
AATGS_HOST_DEVICE inline void unpack_granule(const Granule& g, MessageWord* words) {
  words[0] = static_cast<std::uint32_t>(g.low);
  words[1] = static_cast<std::uint32_t>(g.low >> 32);
  words[2] = static_cast<std::uint32_t>(g.high);
}

/// Reads a slot into `words` (3 per granule). True when every granule showed `lap`; otherwise
/// `words` holds rubbish. Gives up after the first round that is not complete, so that polling for
/// a long message reads no more than one granule a lane.
template <Lanes L>
AATGS_HOST_DEVICE bool read_message(L lanes, const Granule* slot, std::uint32_t granules,
                                    std::uint32_t lap, MessageWord* words) {
  for (std::uint32_t first = 0; first < granules; first += lanes.size()) {
    const std::uint32_t i = first + lanes.rank();
    bool here = true;
    if (i < granules) {
      const Granule g = load_granule(slot + i);
      here = g.lap() == lap;
      unpack_granule(g, words + 3 * i);
    }
    if (!lanes.all(here)) return false;
  }
  return true;
}

}  // namespace aatgs
