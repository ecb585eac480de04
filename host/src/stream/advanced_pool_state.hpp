// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/advanced_stream_pool.hpp>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "stream_choice.hpp"

namespace aatgs {

namespace detail {

struct PoolMean {
  std::uint64_t count = 0;
  std::chrono::nanoseconds sum{0};

  void add(std::chrono::nanoseconds time) {
    ++count;
    sum += time;
  }
  [[nodiscard]] std::chrono::nanoseconds value() const {
    return count == 0 ? std::chrono::nanoseconds(0) : sum / static_cast<std::int64_t>(count);
  }
};

struct PoolSlot;

struct PoolJob {
  Workload work;
  StreamStrategy placed_by;
  PoolSlot* slot;
  bool is_alone;
  EventPool::Lease asked;
  EventPool::Lease begin;  ///< null: its stream was captured, and how long it took is not known
  EventPool::Lease end;    ///< null before the end, and if that could not be recorded
  bool has_ended = false;  ///< its lease
};

struct PoolSlot {
  explicit PoolSlot(std::unique_ptr<Stream> made) : stream(std::move(made)) {}

  std::unique_ptr<Stream> stream;
  std::list<PoolJob> jobs;
  unsigned holders = 0;
  bool is_leased_alone = false;
  std::chrono::steady_clock::time_point used = std::chrono::steady_clock::now();

  [[nodiscard]] bool is_ready() const { return holders == 0 && jobs.empty(); }
};

}  // namespace detail

/// All functions with the mutex held.
struct AdvancedStreamPool::State {
  State(std::shared_ptr<StreamDevice> on, const AdvancedStreamPoolOptions& chosen)
      : device(std::move(on)),
        options(chosen),
        strategy(chosen.strategy),
        events(device, true),
        clock(device, {"stream pool clock", StreamPriority::high, false}) {
    for (unsigned i = 0; i < options.least; ++i) make(StreamPriority::normal);
  }

  detail::PoolSlot& make(StreamPriority priority) {
    StreamOptions stream;
    stream.name = "pooled " + std::to_string(made++);
    stream.priority = priority;
    stream.metrics = options.metrics;
    slots.push_back(
        std::make_unique<detail::PoolSlot>(std::make_unique<Stream>(device, std::move(stream))));
    return *slots.back();
  }
  std::chrono::nanoseconds expected(const Workload& work) const;
  detail::StreamCandidate look_at(const detail::PoolSlot& slot, bool alone) const;
  void collect();
  void count(const detail::PoolJob& job);
  std::size_t shrink();
  detail::PoolSlot* pick(const Workload& work, bool alone);
  detail::PoolJob& place(detail::PoolSlot& slot, const Workload& work, bool alone);
  void end(detail::PoolJob& job) noexcept;
  std::string holders() const;

  const std::shared_ptr<StreamDevice> device;
  const AdvancedStreamPoolOptions options;
  mutable std::mutex mutex;
  std::condition_variable freed;
  StreamStrategy strategy;
  EventPool events;
  Stream clock;  ///< always idle: an event in it is the time at which it was recorded
  std::vector<std::unique_ptr<detail::PoolSlot>> slots;
  std::size_t made = 0;
  std::size_t turn = 0;
  std::array<detail::PoolMean, workload_kinds> times;
  std::array<detail::PoolMean, stream_strategies> completions;
};

}  // namespace aatgs
