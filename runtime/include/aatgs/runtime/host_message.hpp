// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/message.hpp>
#include <cstdint>
#include <cstring>

namespace aatgs {

/// The host's way to write and read whole values, with nothing copied in between: `write_message`
/// and `read_message` move 4-byte words, which costs 15 ns more per 256 bytes. A granule's 12
/// payload bytes move as 16, the 4 beyond being those of the next granule; so these granules do:
template <class T>
inline constexpr std::uint32_t whole_granules =
    sizeof(T) < 16 ? 0 : static_cast<std::uint32_t>((sizeof(T) - 16) / granule_payload_bytes + 1);

/// Publishes `value` under `lap`.
template <class T>
inline void write_value(Granule* slot, std::uint32_t lap, const T& value) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
  const __m128i laps = _mm_set_epi32(static_cast<int>(lap), 0, 0, 0);
  const __m128i payload = _mm_set_epi32(0, -1, -1, -1);
  for (std::uint32_t i = 0; i != whole_granules<T>; ++i, bytes += granule_payload_bytes) {
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    store_granule_vector(slot + i, _mm_or_si128(_mm_and_si128(q, payload), laps));
  }
  std::size_t rest = sizeof(T) - whole_granules<T> * granule_payload_bytes;
  for (std::uint32_t i = whole_granules<T>; i < granules_for(sizeof(T)); ++i) {
    std::uint32_t words[3] = {};
    const std::size_t piece = rest < granule_payload_bytes ? rest : granule_payload_bytes;
    std::memcpy(words, bytes, piece);
    bytes += piece;
    rest -= piece;
    store_granule(slot + i, Granule::make(words[0], words[1], words[2], lap));
  }
}

/// Reads the slot into `value`. True when every granule showed `lap`; otherwise `value` is rubbish.
template <class T>
inline bool read_value(const Granule* slot, std::uint32_t lap, T& value) {
  auto* bytes = reinterpret_cast<unsigned char*>(&value);
  const __m128i laps = _mm_set1_epi32(static_cast<int>(lap));
  __m128i same = _mm_set1_epi32(-1);
  for (std::uint32_t i = 0; i != whole_granules<T>; ++i, bytes += granule_payload_bytes) {
    const __m128i q = load_granule_vector(slot + i);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), q);  // the next one mends the last 4 bytes
    same = _mm_and_si128(same, _mm_cmpeq_epi32(q, laps));
  }
  if ((_mm_movemask_epi8(same) & 0xF000) != 0xF000) return false;
  std::size_t rest = sizeof(T) - whole_granules<T> * granule_payload_bytes;
  for (std::uint32_t i = whole_granules<T>; i < granules_for(sizeof(T)); ++i) {
    const Granule g = load_granule(slot + i);
    if (g.lap() != lap) return false;
    std::uint32_t words[3];
    unpack_granule(g, words);
    const std::size_t piece = rest < granule_payload_bytes ? rest : granule_payload_bytes;
    std::memcpy(bytes, words, piece);
    bytes += piece;
    rest -= piece;
  }
  return true;
}

}  // namespace aatgs
