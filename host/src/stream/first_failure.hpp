// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <mutex>
#include <utility>

namespace aatgs::detail {

/// The first thing that went wrong and was not told yet. Shared with works on host threads, which
/// may outlive what made them. Thread-safe.
class FirstFailure {
 public:
  void add(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (failure_ == nullptr) failure_ = std::move(failure);
  }
  std::exception_ptr take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(failure_, nullptr);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace aatgs::detail
