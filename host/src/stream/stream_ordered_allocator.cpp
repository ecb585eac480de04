// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <exception>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "allocator_core.hpp"

namespace aatgs {

namespace {

/// Of streams that are not of the allocator's device its events and pools know nothing.
void require_same_device(const StreamDevice& own, const Stream& stream) {
  const StreamDevice& other = *stream.device();
  if (&own == &other) return;
  if (own.is_gpu() && other.is_gpu() && own.ordinal() == other.ordinal()) return;
  throw UseError("stream '" + stream.name() + "' of " + other.name() + " asks an allocator of " +
                 own.name() + ": make both with the same StreamDevice");
}

/// The handle of an open stream.
void* handle_for(const StreamDevice& device, const Stream& stream, const void* data) {
  try {
    void* handle = stream.handle();
    require_same_device(device, stream);
    return handle;
  } catch (const UseError& error) {
    throw UseError("memory " + detail::text_of(data) + ": " + error.what());
  }
}

}  // namespace

StreamOrderedAllocator::StreamOrderedAllocator(std::shared_ptr<StreamDevice> device,
                                               StreamOrderedAllocatorOptions options)
    : core_(std::make_shared<Core>(std::move(device), options)) {}
StreamOrderedAllocator::~StreamOrderedAllocator() = default;

void* StreamOrderedAllocator::allocate(Stream& stream, std::size_t bytes) {
  return allocate_numbered(stream, bytes).first;
}

std::pair<void*, std::uint64_t> StreamOrderedAllocator::allocate_numbered(Stream& stream,
                                                                          std::size_t bytes) {
  void* handle = stream.handle();
  require_same_device(*core_->device, stream);
  const auto home = core_->home_of(stream.life());
  void* data = core_->allocate_or_explain(*home, handle, bytes);
  return {data, core_->insert(data, home, bytes)};
}

StreamMemory StreamOrderedAllocator::allocate_owned(Stream& stream, std::size_t bytes) {
  StreamMemory memory;
  std::tie(memory.data_, memory.number_) = allocate_numbered(stream, bytes);
  memory.bytes_ = bytes;
  memory.core_ = core_;
  return memory;
}

void StreamOrderedAllocator::use_in(void* data, Stream& stream) {
  void* handle = handle_for(*core_->device, stream, data);
  detail::LifeOfStream home;
  {
    const std::lock_guard lock(core_->mutex);
    core_->user(data, stream.life()).last_use = nullptr;
    home = core_->blocks.at(data).home->life;
  }
  if (home->id == stream.id()) return;
  home->let_wait(*core_->device, handle, *core_->events.lease());
}

void StreamOrderedAllocator::done_in(void* data, Stream& stream) {
  (void)handle_for(*core_->device, stream, data);
  if (stream.is_capturing()) {
    throw UseError("memory " + detail::text_of(data) + ": its last use in stream '" +
                   stream.name() +
                   "', which is captured, and whose events no free can wait for: tell it before "
                   "the capture or after it");
  }
  auto event = core_->events.lease();
  stream.record(*event);
  const std::lock_guard lock(core_->mutex);
  core_->user(data, stream.life()).last_use = std::move(event);
}

void StreamOrderedAllocator::free(Stream& stream, void* data) {
  void* handle = handle_for(*core_->device, stream, data);
  const detail::LifeOfStream& life = stream.life();
  core_->free_in(life, handle, core_->extract(data, life));
}

std::size_t StreamOrderedAllocator::free_for_stream(Stream& stream) {
  void* handle = handle_for(*core_->device, stream, nullptr);
  const detail::LifeOfStream& life = stream.life();
  auto all = core_->extract_all_of(life);
  std::exception_ptr failure;
  for (auto& block : all) {
    try {
      core_->free_in(life, handle, std::move(block));
    } catch (...) {
      if (failure == nullptr) failure = std::current_exception();
    }
  }
  if (failure != nullptr) std::rethrow_exception(failure);
  return all.size();
}

AllocatorStats StreamOrderedAllocator::stats() const {
  return core_->stats();
}

void StreamOrderedAllocator::trim(std::size_t keep) {
  core_->trim(keep);
}

StreamMemory& StreamMemory::operator=(StreamMemory&& other) noexcept {
  if (this == &other) return *this;
  free();
  core_ = std::move(other.core_);
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  number_ = other.number_;
  return *this;
}

void StreamMemory::free() noexcept {
  const auto core = std::exchange(core_, nullptr);
  void* data = std::exchange(data_, nullptr);
  bytes_ = 0;
  if (core == nullptr) return;
  try {
    auto block = core->extract_owned(data, number_);
    if (!block.empty()) core->free_at_home(std::move(block));
  } catch (...) {
    // The stream is captured, and the allocator frees it at its end; or the device failed.
  }
}

}  // namespace aatgs
