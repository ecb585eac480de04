// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstddef>

namespace aatgs::detail {

/// Places of arrays behind each other in one allocation, each on a line of its own.
class Arena {
 public:
  /// Where `count` values of `T` begin.
  template <class T>
  std::size_t add(std::size_t count) {
    static_assert(alignof(T) <= line_bytes);
    const std::size_t offset = bytes_;
    bytes_ += (count * sizeof(T) + line_bytes - 1) / line_bytes * line_bytes;
    return offset;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  template <class T>
  static T* at(void* base, std::size_t offset) {
    return reinterpret_cast<T*>(static_cast<unsigned char*>(base) + offset);
  }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace aatgs::detail
