// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/event.hpp>
#include <string>
#include <utility>

#include "checked_device.hpp"
#include "deadline.hpp"
#include "poll_until.hpp"

namespace aatgs {

Event::Event(std::shared_ptr<StreamDevice> device, bool timed)
    : device_(detail::checked_device(std::move(device), "an event")),
      handle_(device_->make_event(timed)),
      timed_(timed) {}

Event::~Event() {
  if (handle_ != nullptr) device_->destroy_event(handle_);
}

Event::Event(Event&& other) noexcept
    : device_(std::move(other.device_)),
      handle_(std::exchange(other.handle_, nullptr)),
      timed_(other.timed_),
      recorded_(other.recorded_.exchange(false)) {}

Event& Event::operator=(Event&& other) noexcept {
  if (this == &other) return *this;
  if (handle_ != nullptr) device_->destroy_event(handle_);
  device_ = std::move(other.device_);
  handle_ = std::exchange(other.handle_, nullptr);
  timed_ = other.timed_;
  recorded_ = other.recorded_.exchange(false);
  return *this;
}

void Event::require_recorded(const char* doing) const {
  if (was_recorded()) return;
  throw UseError(std::string(doing) +
                 " an event that no stream has recorded: call Stream::record first");
}

bool Event::is_done() const {
  require_recorded("asking for");
  if (!device_->is_done(handle_)) return false;
  if (const std::exception_ptr failure = device_->failure(handle_)) std::rethrow_exception(failure);
  return true;
}

void Event::wait(std::chrono::nanoseconds deadline) const {
  require_recorded("waiting for");
  detail::wait_for(*this, detail::Deadline(deadline));
}

void detail::wait_for(const Event& event, const Deadline& deadline) {
  if (poll_until(deadline.left(), [&] { return event.is_done(); })) return;
  throw TimeoutError("an event on " + event.device()->name() + " was not reached within " +
                     in_ms(deadline.given()) +
                     ": the work before it in its stream takes longer, or waits for something");
}

std::chrono::nanoseconds Event::elapsed_since(const Event& earlier) const {
  if (!timed_ || !earlier.timed_) {
    throw UseError("time between events of which one was made without timed = true");
  }
  require_recorded("timing");
  earlier.require_recorded("timing");
  if (!device_->is_done(handle_) || !device_->is_done(earlier.handle_)) {
    throw UseError("time between events that are not both done: wait for the later one first");
  }
  return device_->elapsed(earlier.handle_, handle_);
}

EventPool::EventPool(std::shared_ptr<StreamDevice> device, bool timed)
    : device_(std::move(device)), timed_(timed) {}

EventPool::Lease EventPool::lease() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Lease lease(free_.back().release(), Return{this});
      free_.pop_back();
      return lease;
    }
  }
  Lease lease(new Event(device_, timed_), Return{this});
  const std::lock_guard lock(mutex_);
  ++made_;
  free_.reserve(made_);  // so that no return allocates
  return lease;
}

std::size_t EventPool::size() const {
  const std::lock_guard lock(mutex_);
  return made_;
}

void EventPool::give_back(Event* event) noexcept {
  event->recorded_ = false;
  const std::lock_guard lock(mutex_);
  free_.emplace_back(event);
}

void EventPool::Return::operator()(Event* event) const noexcept {
  pool->give_back(event);
}

}  // namespace aatgs
