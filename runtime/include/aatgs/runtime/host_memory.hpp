// SPDX-License-Identifier: Apache-2.0
#pragma once

#if !defined(__x86_64__)
#error "AATGS: 16-byte atomic loads and stores are written for x86-64 hosts only so far"
#endif

#include <immintrin.h>

#include <atomic>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/// How the host touches memory that the other side, or another thread, touches at the same time.
/// All of it stands in this one file so that a model checker can put its own memory in its place
/// (tests/models/relacy_memory) and run the rings above it as they are.
namespace aatgs::host_memory {

/// x86 orders the plain moves below as release and acquire, and every CPU with AVX makes aligned
/// 16-byte moves atomic (Intel SDM 3A 9.1.1; AMD says the same). The moves are assembly because C++
/// has no lock-free 16-byte atomics; ThreadSanitizer is told what they order.
inline void store_16(void* where, __m128i value) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(where);
#endif
  asm volatile("movdqa %1, %0" : "=m"(*static_cast<__m128i*>(where)) : "x"(value) : "memory");
}
inline __m128i load_16(const void* where) {
  __m128i value;
  asm volatile("movdqa %1, %0" : "=x"(value) : "m"(*static_cast<const __m128i*>(where)) : "memory");
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(const_cast<void*>(where));
#endif
  return value;
}

/// A word of 4 or 8 bytes.
template <class T>
inline T load_word(const T* word) {
  return std::atomic_ref(const_cast<T&>(*word)).load(std::memory_order_acquire);
}
template <class T>
inline void store_word(T* word, T value) {
  std::atomic_ref(*word).store(value, std::memory_order_release);
}

/// Orders this thread's earlier stores before its later loads.
inline void fence() noexcept {
  _mm_mfence();  // ThreadSanitizer builds refuse std::atomic_thread_fence
}

}  // namespace aatgs::host_memory
