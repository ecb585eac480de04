// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/run_metric.hpp>
#include <aatgs/runtime/platform.hpp>
#include <atomic>
#include <cstdint>
#include <vector>

namespace aatgs {

/// A bounded queue of many producers, who never wait, and one consumer at a time. After D. Vyukov's
/// bounded MPMC queue: a slot's `turn` says which ticket may write it (turn == ticket) or whose
/// metric it holds (turn == ticket + 1).
class MetricQueue {
 public:
  /// `capacity` is a power of two.
  explicit MetricQueue(std::uint32_t capacity) : slots_(capacity) {
    for (std::uint32_t i = 0; i < capacity; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
  }

  /// Any thread. False and a drop counted where there is no room.
  bool push(const RunMetric& metric) noexcept {
    std::uint64_t ticket = 0;
    if (closed_.load(std::memory_order_relaxed) || !claim(ticket)) {
      untold_.fetch_add(1, std::memory_order_relaxed);
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    Slot& slot = slot_of(ticket);
    copy(metric, slot.metric);
    slot.metric.monotonic_ns = host_now_ns();
    slot.drops_before = take_untold();
    slot.turn.store(ticket + 1, std::memory_order_release);
    prefetch(slot_of(ticket + 1));
    return true;
  }

  /// From here on all is dropped.
  void close() noexcept { closed_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t pushed() const noexcept { return tail_.load(); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(); }

  /// Consumer: drops that no queued metric tells of. Whoever calls it tells of them.
  std::uint64_t take_untold() noexcept {
    if (untold_.load(std::memory_order_relaxed) == 0) return 0;
    return untold_.exchange(0, std::memory_order_relaxed);
  }

  /// Consumer: calls `use(metric, drops_before)` for each queued metric in order, up to `most`, and
  /// leaves them queued.
  template <class Use>
  std::uint64_t peek(std::uint64_t most, const Use& use) const {
    std::uint64_t seen = 0;
    for (; seen < most; ++seen) {
      const Slot& slot = slots_[(head_ + seen) & (slots_.size() - 1)];
      if (slot.turn.load(std::memory_order_acquire) != head_ + seen + 1) break;
      use(slot.metric, slot.drops_before);
    }
    return seen;
  }

  /// Consumer: gives the oldest `count` slots, which `peek` has seen, back.
  void release(std::uint64_t count) noexcept {
    for (; count > 0; --count, ++head_) {
      slot_of(head_).turn.store(head_ + slots_.size(), std::memory_order_release);
    }
  }

  [[nodiscard]] std::uint64_t capacity() const noexcept { return slots_.size(); }

 private:
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> turn;
    std::uint64_t drops_before = 0;  // since the last metric that told of some
    RunMetric metric;
  };

  Slot& slot_of(std::uint64_t ticket) noexcept { return slots_[ticket & (slots_.size() - 1)]; }

  /// What a solver fills in. A whole copy would miss the cache three times as often.
  static void copy(const RunMetric& from, RunMetric& to) noexcept {
    to.phase.take(from.phase);
    to.step = from.step;
    to.chromatic_number = from.chromatic_number;
    to.conflicts = from.conflicts;
    to.duration_ms = from.duration_ms;
    to.execution.mode = from.execution.mode;
    to.execution.number = from.execution.number;
    to.execution.reason.take(from.execution.reason);
    to.parameters.take(from.parameters);
    to.notes.take(from.notes);
  }

  /// The lines that a short metric touches: by the next call they are in the cache.
  static void prefetch(const Slot& slot) noexcept {
    __builtin_prefetch(&slot, 1);
    __builtin_prefetch(&slot.metric.duration_ms, 1);
    __builtin_prefetch(&slot.metric.execution.reason, 1);
    __builtin_prefetch(&slot.metric.parameters, 1);
    __builtin_prefetch(&slot.metric.notes, 1);
    __builtin_prefetch(&slot.metric.monotonic_ns, 1);
  }

  bool claim(std::uint64_t& ticket) noexcept {
    ticket = tail_.load(std::memory_order_relaxed);
    while (true) {
      const std::uint64_t turn = slot_of(ticket).turn.load(std::memory_order_acquire);
      if (turn == ticket) {
        if (tail_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_relaxed)) return true;
        continue;
      }
      const std::uint64_t now = tail_.load(std::memory_order_relaxed);
      if (now == ticket && turn < ticket) return false;
      ticket = now;
    }
  }

  std::vector<Slot> slots_;
  alignas(line_bytes) std::atomic<std::uint64_t> tail_ = 0;
  alignas(line_bytes) std::atomic<std::uint64_t> untold_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::atomic<bool> closed_ = false;
  alignas(line_bytes) std::uint64_t head_ = 0;  // the consumer's
};

}  // namespace aatgs
