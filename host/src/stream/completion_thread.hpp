// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace aatgs::detail {

/// Calls functions when events have come, in their order, on a thread of its own that polls: none
/// of them runs inside a CUDA host function, where CUDA must not be called. Thread-safe.
class CompletionThread {
 public:
  using Call = std::function<void(std::exception_ptr)>;

  explicit CompletionThread(std::shared_ptr<StreamDevice> device);
  /// Goes on without its owner until all are called.
  ~CompletionThread();

  /// `record` is given an event to record; the call follows when that is done. The call may end
  /// this object, even before this function returns.
  template <class Record>
  void add(Record record, Call call) {
    const auto state = state_;
    auto event = state->events.lease();
    record(*event);
    add_recorded(*state, std::move(event), std::move(call));
  }
  /// False: not all added so far were called within `deadline`.
  bool wait(std::chrono::nanoseconds deadline);
  /// What a call threw first since the last time; null: nothing.
  [[nodiscard]] std::exception_ptr take_failure();
  [[nodiscard]] bool is_this_thread() const;

 private:
  struct Pending {
    EventPool::Lease event;
    Call call;
  };
  struct State {
    explicit State(const std::shared_ptr<StreamDevice>& on) : device(on), events(on) {}

    std::shared_ptr<StreamDevice> device;
    EventPool events;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Pending> pending;
    std::uint64_t added = 0, called = 0;
    std::exception_ptr failure;
    bool is_ending = false;
  };
  static void work(State& state);
  static void finish(State& state, Pending& next);
  static void add_recorded(State& state, EventPool::Lease event, Call call);

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace aatgs::detail
