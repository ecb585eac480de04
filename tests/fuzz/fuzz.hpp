// SPDX-License-Identifier: Apache-2.0
// What fuzz targets share. A target defines `LLVMFuzzerTestOneInput`; it is run by libFuzzer
// (tools/fuzz.sh) or over kept inputs only by replay_main.cpp, which needs no clang.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace aatgs::fuzz {

/// Ends the process, so that the input is kept, unless `holds`.
inline void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

/// A message for people: one line, not empty, and not the whole of a hostile input.
inline void require_one_line(std::string_view message) {
  require(!message.empty() && message.size() < 1000, "a message is empty or very long");
  for (const char c : message) require(c >= ' ' && c <= '~', "a message is not one plain line");
}

/// Takes an input apart into numbers; zeros follow its end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

  template <class T>
  T take() {
    T value{};
    const std::size_t count = left_ < sizeof(T) ? left_ : sizeof(T);
    if (count != 0) std::memcpy(&value, at_, count);
    at_ += count;
    left_ -= count;
    return value;
  }
  [[nodiscard]] bool empty() const { return left_ == 0; }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

}  // namespace aatgs::fuzz
