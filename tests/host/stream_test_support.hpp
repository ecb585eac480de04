// SPDX-License-Identifier: Apache-2.0
// What tests of streams say often.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <chrono>
#include <string>
#include <thread>

namespace aatgs::test {

inline constexpr auto patience = std::chrono::seconds(20);

/// Of the library's error that `call` throws.
std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void wait_until(const auto& is_true) {
  const auto begin = std::chrono::steady_clock::now();
  while (!is_true() && std::chrono::steady_clock::now() - begin < patience) {
    std::this_thread::yield();
  }
  CHECK(is_true());
}

}  // namespace aatgs::test
