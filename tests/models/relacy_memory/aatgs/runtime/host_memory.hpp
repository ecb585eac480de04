// SPDX-License-Identifier: Apache-2.0
// Stands before the library's header of this name on the include path: shared memory is then that
// of the model checker, behind the rings as they are.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace aatgs::model {

/// Every access of the rings to shared memory comes through here; see test_rings_relacy.cpp.
struct Bits {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};
Bits load(const void* where);
void store(void* where, Bits bits, unsigned bytes);
void fence();

}  // namespace aatgs::model

namespace aatgs::host_memory {

inline void store_16(void* where, __m128i value) {
  alignas(16) model::Bits bits;
  _mm_store_si128(reinterpret_cast<__m128i*>(&bits), value);
  model::store(where, bits, 16);
}
inline __m128i load_16(const void* where) {
  alignas(16) const model::Bits bits = model::load(where);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&bits));
}

template <class T>
inline T load_word(const T* word) {
  return static_cast<T>(model::load(word).low);
}
template <class T>
inline void store_word(T* word, T value) {
  model::store(word, {value, 0}, sizeof(T));
}

inline void fence() noexcept {
  model::fence();
}

}  // namespace aatgs::host_memory
