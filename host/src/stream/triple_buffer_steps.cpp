// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/detail/triple_buffer_core.hpp>
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <utility>

#include "deadline.hpp"
#include "named_error.hpp"
#include "poll_until.hpp"

namespace aatgs::detail {

std::optional<unsigned> TripleBufferCore::take_free() {
  require_open();
  for (unsigned i = 0; i < slots_.size(); ++i) {
    if (slots_[i].phase != Phase::free) continue;
    slots_[i].phase = Phase::filling;
    return i;
  }
  return std::nullopt;
}

std::optional<unsigned> TripleBufferCore::try_acquire() {
  const std::lock_guard lock(mutex_);
  return take_free();
}

unsigned TripleBufferCore::acquire(std::chrono::nanoseconds deadline) {
  const Deadline until(deadline);
  std::unique_lock lock(mutex_);
  for (;;) {
    if (const auto slot = take_free()) return *slot;
    if (changed_.wait_until(lock, until.at()) != std::cv_status::timeout) continue;
    if (const auto slot = take_free()) return *slot;
    throw TimeoutError(who() + ": no slot became free within " + in_ms(deadline) + " (" +
                       list_states() + "): collect outputs and let them end");
  }
}

void TripleBufferCore::enqueue(Slot& slot, const StreamWork& work) {
  if (input_bytes_ > 0) upload_.copy(slot.device_input, slot.host_input, input_bytes_);
  upload_.record(slot.uploaded);
  compute_.wait(slot.uploaded);
  compute_.run(device_->is_gpu() ? work : guarded(slot, work));
  compute_.record(slot.processed);
  download_.wait(slot.processed);
  if (output_bytes_ > 0) download_.copy(slot.host_output, slot.device_output, output_bytes_);
  download_.record(slot.downloaded);
}

/// On host threads a work runs later: what it throws is kept for the one who collects.
StreamWork TripleBufferCore::guarded(const Slot& slot, const StreamWork& work) {
  return [work, error = slot.error](StreamTarget target) {
    try {
      work(target);
    } catch (...) {
      *error = std::current_exception();
    }
  };
}

std::uint64_t TripleBufferCore::submit(unsigned index, const StreamWork& work) {
  if (submitter_.load() == std::this_thread::get_id()) {
    throw UseError(who() + ": a work submits to the buffer that runs it: do that outside");
  }
  const std::lock_guard order(submitting_);
  Slot& slot = slots_[index];
  {
    const std::lock_guard lock(mutex_);
    require_open();
    slot.phase = Phase::submitting;
    slot.ticket = tickets_ + 1;
    *slot.error = nullptr;
  }
  submitter_ = std::this_thread::get_id();
  try {
    enqueue(slot, work);
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    salvage(slot);
    submitter_ = std::thread::id();
    rethrow_named(error, who() + ", slot " + std::to_string(index) + " (submitting)");
  }
  submitter_ = std::thread::id();
  const std::lock_guard lock(mutex_);
  slot.phase = Phase::submitted;
  changed_.notify_all();
  return ++tickets_;
}

/// Part of a step was queued before it failed: the slot can be used again once that is done.
void TripleBufferCore::salvage(Slot& slot) noexcept {
  Phase phase = Phase::filling;
  try {
    const Deadline until(options_.deadline);
    for (Stream* stream : {&upload_, &compute_, &download_}) stream->synchronize(until.left());
  } catch (...) {  // the failure of the device is told by the error that led here
    phase = Phase::lost;
  }
  const std::lock_guard lock(mutex_);
  slot.phase = phase;
}

std::optional<unsigned> TripleBufferCore::claim_oldest() {
  require_open();
  std::optional<unsigned> oldest;
  for (unsigned i = 0; i < slots_.size(); ++i) {
    if (slots_[i].phase != Phase::submitted) continue;
    if (!oldest || slots_[i].ticket < slots_[*oldest].ticket) oldest = i;
  }
  return oldest;
}

std::optional<unsigned> TripleBufferCore::try_collect() {
  const std::lock_guard lock(mutex_);
  const auto oldest = claim_oldest();
  if (!oldest || state_of(slots_[*oldest]) != TripleBufferState::ready) return std::nullopt;
  return take_output(*oldest);
}

unsigned TripleBufferCore::collect(std::chrono::nanoseconds deadline) {
  const Deadline until(deadline);
  std::unique_lock lock(mutex_);
  auto oldest = claim_oldest();
  while (!oldest) {
    const bool late = changed_.wait_until(lock, until.at()) == std::cv_status::timeout;
    oldest = claim_oldest();
    if (oldest || !late) continue;
    throw TimeoutError(who() + ": nothing was submitted within " + in_ms(deadline) + " (" +
                       list_states() + "): submit before you collect");
  }
  Slot& slot = slots_[*oldest];
  slot.phase = Phase::claimed;
  lock.unlock();
  try {
    wait_for(slot.downloaded, until);
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    lock.lock();
    slot.phase = Phase::submitted;
    changed_.notify_all();
    rethrow_named(error, who() + ": ticket " + std::to_string(slot.ticket) + " is not ready");
  }
  lock.lock();
  return take_output(*oldest);
}

unsigned TripleBufferCore::take_output(unsigned index) {
  Slot& slot = slots_[index];
  const bool failed = *slot.error != nullptr;
  slot.phase = failed ? Phase::free : Phase::reading;
  if (!failed) return index;
  changed_.notify_all();
  rethrow_named(std::exchange(*slot.error, nullptr), who() + ", slot " + std::to_string(index) +
                                                         ": the work of ticket " +
                                                         std::to_string(slot.ticket));
}

void TripleBufferCore::give_back(unsigned slot) noexcept {
  const std::lock_guard lock(mutex_);
  if (slots_[slot].phase == Phase::lost) return;
  slots_[slot].phase = Phase::free;
  changed_.notify_all();
}

}  // namespace aatgs::detail
