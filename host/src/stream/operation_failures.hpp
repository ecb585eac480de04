// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace aatgs::detail {

/// What works threw on host threads and nobody was told yet. Shared with the works, which may
/// outlive their coordinator. Thread-safe.
class OperationFailures {
 public:
  void add(std::uint64_t number, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    untold_.emplace_back(number, std::move(error));
    added_.fetch_add(1, std::memory_order_relaxed);
    untold_count_.store(untold_.size(), std::memory_order_release);
  }

  /// That of the first operation from `from` to `to`, which then is told; null: none.
  std::exception_ptr take(std::uint64_t from, std::uint64_t to) {
    if (untold_count_.load(std::memory_order_acquire) == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    auto first = untold_.end();
    for (auto at = untold_.begin(); at != untold_.end(); ++at) {
      if (at->first < from || at->first > to) continue;
      if (first == untold_.end() || at->first < first->first) first = at;
    }
    if (first == untold_.end()) return nullptr;
    std::exception_ptr error = std::move(first->second);
    untold_.erase(first);
    untold_count_.store(untold_.size(), std::memory_order_release);
    return error;
  }

  [[nodiscard]] std::uint64_t added() const { return added_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, std::exception_ptr>> untold_;
  std::atomic<std::uint64_t> added_ = 0;
  std::atomic<std::size_t> untold_count_ = 0;  // spares the lock where there is nothing
};

}  // namespace aatgs::detail
