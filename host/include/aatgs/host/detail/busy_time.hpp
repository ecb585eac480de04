// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace aatgs::detail {

/// How long at least one, and at least two, of many intervals cover, without keeping them all.
/// Times are of any unit.
class BusyTime {
 public:
  void add(std::int64_t begin, std::int64_t end) {
    if (is_empty_) begin_ = begin;
    begin_ = std::min(begin_, begin);
    end_ = is_empty_ ? end : std::max(end_, end);
    is_empty_ = false;
    pending_.emplace_back(begin, std::max(begin, end));
  }

  /// No interval will come any more that begins before `horizon`.
  void settle(std::int64_t horizon) {
    std::vector<std::pair<std::int64_t, int>> edges;
    std::vector<std::pair<std::int64_t, std::int64_t>> rest;
    for (const auto& [begin, end] : pending_) {
      if (begin < horizon) {
        edges.emplace_back(begin, 1);
        edges.emplace_back(std::min(end, horizon), -1);
      }
      if (end > horizon) rest.emplace_back(std::max(begin, horizon), end);
    }
    pending_ = std::move(rest);
    std::ranges::sort(edges);
    int depth = 0;
    std::int64_t last = 0;
    for (const auto& [time, change] : edges) {
      if (depth >= 1) busy_ += time - last;
      if (depth >= 2) shared_ += time - last;
      depth += change;
      last = time;
    }
  }
  void settle() { settle(end_); }

  [[nodiscard]] std::int64_t busy() const { return busy_; }      ///< of what is settled
  [[nodiscard]] std::int64_t shared() const { return shared_; }  ///< the same
  [[nodiscard]] std::int64_t span() const { return is_empty_ ? 0 : end_ - begin_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

 private:
  std::vector<std::pair<std::int64_t, std::int64_t>> pending_;
  std::int64_t busy_ = 0, shared_ = 0;
  std::int64_t begin_ = 0, end_ = 0;
  bool is_empty_ = true;
};

}  // namespace aatgs::detail
