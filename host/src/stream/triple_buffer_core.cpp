// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/detail/triple_buffer_core.hpp>
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <array>
#include <utility>

#include "checked_device.hpp"
#include "deadline.hpp"
#include "named_error.hpp"

namespace aatgs {

namespace {

constexpr unsigned most_slots = 16;

std::string name_of(const TripleBufferOptions& options) {
  return "triple buffer '" + options.name + "'";
}

const std::shared_ptr<StreamDevice>& checked(const std::shared_ptr<StreamDevice>& device,
                                             const TripleBufferOptions& options) {
  detail::require_device(device.get(), name_of(options));
  if (options.slots < 1 || options.slots > most_slots) {
    throw OptionError(name_of(options) + ": " + std::to_string(options.slots) +
                      " slots: give it 1 to " + std::to_string(most_slots));
  }
  return device;
}

StreamOptions stream_options(const TripleBufferOptions& options, const char* role,
                             StreamPriority priority) {
  return {.name = options.name + role, .priority = priority, .metrics = options.metrics};
}

}  // namespace

std::string_view to_string(TripleBufferState state) {
  constexpr std::array<std::string_view, 7> names{
      "free", "filling", "uploading", "processing", "downloading", "ready", "reading"};
  const auto i = static_cast<std::size_t>(state);
  return i < names.size() ? names[i] : "unknown";
}

namespace detail {

TripleBufferCore::TripleBufferCore(std::shared_ptr<StreamDevice> device,
                                   TripleBufferOptions options, std::size_t input_bytes,
                                   std::size_t output_bytes)
    : device_(checked(device, options)),
      options_(std::move(options)),
      input_bytes_(input_bytes),
      output_bytes_(output_bytes),
      upload_(device_, stream_options(options_, " upload", StreamPriority::high)),
      compute_(device_, stream_options(options_, " compute", StreamPriority::normal)),
      download_(device_, stream_options(options_, " download", StreamPriority::high)) {
  slots_.reserve(options_.slots);
  for (unsigned i = 0; i < options_.slots; ++i) slots_.emplace_back(device_);
  try {
    allocate();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    try {
      release_device_sides();
    } catch (...) {  // the first error is the one to tell
    }
    release_host_sides();
    rethrow_named(error, who() + " of " + std::to_string(options_.slots) + " times " +
                             std::to_string(input_bytes_) + " and " +
                             std::to_string(output_bytes_) + " bytes");
  }
}

TripleBufferCore::~TripleBufferCore() {
  if (!abandoned_) release_host_sides();
}

void TripleBufferCore::allocate() {
  const auto pinned = [&](std::size_t bytes) {
    return bytes == 0 ? nullptr : device_->allocate_pinned(bytes);
  };
  const auto zeroed = [&](void*& data, std::size_t bytes) {
    if (bytes == 0) return;
    data = device_->allocate(upload_.handle(), bytes, nullptr);
    upload_.set(data, 0, bytes);
  };
  for (Slot& slot : slots_) {
    slot.host_input = pinned(input_bytes_);
    slot.host_output = pinned(output_bytes_);
    zeroed(slot.device_input, input_bytes_);
    zeroed(slot.device_output, output_bytes_);
  }
}

void TripleBufferCore::release_device_sides() {
  for (Slot& slot : slots_) {
    for (void** side : {&slot.device_input, &slot.device_output}) {
      if (*side != nullptr) device_->free(upload_.handle(), std::exchange(*side, nullptr));
    }
  }
}

void TripleBufferCore::release_host_sides() noexcept {
  for (Slot& slot : slots_) {
    for (void** side : {&slot.host_input, &slot.host_output}) {
      if (*side != nullptr) device_->free_pinned(std::exchange(*side, nullptr));
    }
  }
}

std::string TripleBufferCore::who() const {
  return name_of(options_);
}

std::string TripleBufferCore::who(unsigned slot) const {
  const std::lock_guard lock(mutex_);
  return who() + ", slot " + std::to_string(slot) + " (" +
         std::string(to_string(state_of(slots_[slot]))) + ")";
}

std::string TripleBufferCore::list_states() const {
  std::string list;
  for (const Slot& slot : slots_) {
    list += list.empty() ? "slots are " : ", ";
    list += to_string(state_of(slot));
  }
  return list;
}

void TripleBufferCore::require_open() const {
  if (closed_)
    throw UseError(who() + " is closed (" + list_states() + "): use it before its close");
}

TripleBufferState TripleBufferCore::state_of(const Slot& slot) const {
  switch (slot.phase) {
    case Phase::free:
      return TripleBufferState::free;
    case Phase::filling:
      return TripleBufferState::filling;
    case Phase::reading:
      return TripleBufferState::reading;
    case Phase::submitting:
    case Phase::lost:
      return TripleBufferState::uploading;
    case Phase::submitted:
    case Phase::claimed:
      break;
  }
  if (slot.downloaded.is_done()) return TripleBufferState::ready;
  if (slot.processed.is_done()) return TripleBufferState::downloading;
  return slot.uploaded.is_done() ? TripleBufferState::processing : TripleBufferState::uploading;
}

std::vector<TripleBufferState> TripleBufferCore::states() const {
  const std::lock_guard lock(mutex_);
  std::vector<TripleBufferState> all;
  for (const Slot& slot : slots_) all.push_back(state_of(slot));
  return all;
}

unsigned TripleBufferCore::in_flight() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(std::ranges::count_if(slots_, [](const Slot& slot) {
    return slot.phase == Phase::submitted || slot.phase == Phase::claimed;
  }));
}

void TripleBufferCore::close(std::chrono::nanoseconds deadline) {
  if (submitter_.load() == std::this_thread::get_id()) {
    throw UseError(who() + ": a work closes the buffer that runs it: do that outside");
  }
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    changed_.notify_all();
  }
  { const std::lock_guard order(submitting_); }  // what is being queued gets there; no more comes
  const Deadline until(deadline);
  try {
    for (Stream* stream : {&upload_, &compute_, &download_}) stream->synchronize(until.left());
  } catch (...) {
    abandoned_ = true;
    rethrow_named(std::current_exception(), who() + " closes");
  }
  release_device_sides();
  for (Stream* stream : {&upload_, &compute_, &download_}) stream->close(until.left());
}

}  // namespace detail

}  // namespace aatgs
