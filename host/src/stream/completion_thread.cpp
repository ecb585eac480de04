// SPDX-License-Identifier: Apache-2.0
#include "completion_thread.hpp"

#include <utility>

#include "deadline.hpp"
#include "poll_until.hpp"

namespace aatgs::detail {

CompletionThread::CompletionThread(std::shared_ptr<StreamDevice> device)
    : state_(std::make_shared<State>(device)), thread_([state = state_] { work(*state); }) {}

CompletionThread::~CompletionThread() {
  bool has_work = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_ending = true;
    has_work = state_->called < state_->added;
  }
  state_->changed.notify_all();
  if (has_work || is_this_thread()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

bool CompletionThread::is_this_thread() const {
  return thread_.get_id() == std::this_thread::get_id();
}

void CompletionThread::add_recorded(State& state, EventPool::Lease event, Call call) {
  {
    const std::lock_guard lock(state.mutex);
    state.pending.push_back({std::move(event), std::move(call)});
    ++state.added;
  }
  state.changed.notify_all();
}

bool CompletionThread::wait(std::chrono::nanoseconds deadline) {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t all = state_->added;
  return state_->changed.wait_until(lock, Deadline(deadline).at(),
                                    [&] { return state_->called >= all; });
}

std::exception_ptr CompletionThread::take_failure() {
  const std::lock_guard lock(state_->mutex);
  return std::exchange(state_->failure, nullptr);
}

void CompletionThread::work(State& state) {
  std::unique_lock lock(state.mutex);
  for (;;) {
    state.changed.wait(lock, [&] { return state.is_ending || !state.pending.empty(); });
    if (state.pending.empty()) return;
    Pending next = std::move(state.pending.front());
    state.pending.pop_front();
    lock.unlock();
    finish(state, next);
    lock.lock();
    ++state.called;
    state.changed.notify_all();
  }
}

void CompletionThread::finish(State& state, Pending& next) {
  std::exception_ptr error;
  try {
    for (Pause pause(Pause::in_background); !next.event->is_done();) pause.take();
  } catch (...) {
    error = std::current_exception();
  }
  try {
    next.call(error);
  } catch (...) {
    const std::lock_guard lock(state.mutex);
    if (state.failure == nullptr) state.failure = std::current_exception();
  }
  next.call = nullptr;  // what it holds ends before the call counts as done
  next.event.reset();
}

}  // namespace aatgs::detail
