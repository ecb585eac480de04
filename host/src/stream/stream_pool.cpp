// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <algorithm>
#include <string>
#include <utility>

#include "deadline.hpp"
#include "poll_until.hpp"

namespace aatgs {

std::string_view to_string(StreamPurpose purpose) {
  switch (purpose) {
    case StreamPurpose::config_upload:
      return "config upload";
    case StreamPurpose::kernel_execution:
      return "kernel execution";
    case StreamPurpose::telemetry_download:
      return "telemetry download";
    case StreamPurpose::peer_transfer:
      return "peer transfer";
    case StreamPurpose::auxiliary_compute:
      break;
  }
  return "auxiliary compute";
}

StreamPool::StreamPool(std::shared_ptr<StreamDevice> device, StreamPoolOptions options)
    : device_(std::move(device)), options_(options), events_(device_) {
  for (std::size_t i = 0; i < stream_purposes; ++i) {
    const auto purpose = static_cast<StreamPurpose>(i);
    if (options_.shared[i] == 0) {
      throw OptionError("a StreamPool without shared streams for " +
                        std::string(to_string(purpose)) + ": have at least one");
    }
    for (unsigned n = 0; n < options_.shared[i]; ++n) {
      groups_[i].shared.push_back(make(purpose, " ", n));
    }
    groups_[i].leasable.reserve(options_.leased[i]);
    groups_[i].free.reserve(options_.leased[i]);  // so that no return allocates
  }
}

std::unique_ptr<Stream> StreamPool::make(StreamPurpose purpose, const char* kind,
                                         std::size_t number) const {
  StreamOptions options;
  options.name = std::string(to_string(purpose)) + kind + std::to_string(number);
  options.priority = options_.priority[static_cast<std::size_t>(purpose)];
  options.metrics = options_.metrics;
  return std::make_unique<Stream>(device_, std::move(options));
}

Stream& StreamPool::shared(StreamPurpose purpose) {
  Group& from = group(purpose);
  const unsigned turn = from.next.fetch_add(1, std::memory_order_relaxed);
  return *from.shared[turn % from.shared.size()];
}

StreamPool::Lease StreamPool::lease(StreamPurpose purpose) {
  const std::lock_guard lock(mutex_);
  Group& from = group(purpose);
  auto found = std::find_if(from.free.begin(), from.free.end(),
                            [](const Stream* stream) { return stream->is_idle(); });
  if (found == from.free.end()) {
    const std::size_t number = from.leasable.size();
    if (number < options_.leased[static_cast<std::size_t>(purpose)]) {
      from.leasable.push_back(make(purpose, " lease ", number));
      return {from.leasable.back().get(), Return{this, purpose}};
    }
    found = from.free.begin();
  }
  if (found == from.free.end()) {
    throw UseError("all " + std::to_string(from.leasable.size()) + " streams for " +
                   std::string(to_string(purpose)) +
                   " are leased: end a lease first, or raise StreamPoolOptions::leased");
  }
  Stream* stream = *found;
  from.free.erase(found);
  return {stream, Return{this, purpose}};
}

void StreamPool::Return::operator()(Stream* stream) const noexcept {
  const std::lock_guard lock(pool->mutex_);
  pool->group(purpose).free.push_back(stream);
}

bool StreamPool::has_ready_streams(StreamPurpose purpose) {
  const Group& all = group(purpose);
  return std::any_of(all.shared.begin(), all.shared.end(), [](const auto& stream) {
    return !stream->is_capturing() && stream->is_idle();
  });
}

Stream* StreamPool::wait_for_any_ready(StreamPurpose purpose, std::chrono::nanoseconds timeout) {
  Group& all = group(purpose);
  std::vector<std::pair<Stream*, EventPool::Lease>> marks;
  for (const auto& stream : all.shared) {
    if (stream->is_capturing()) continue;
    if (stream->is_idle()) return stream.get();
    marks.emplace_back(stream.get(), events_.lease());
    device_->record(stream->handle(), marks.back().second->native());
  }
  Stream* ready = nullptr;
  detail::poll_until(timeout, [&] {
    const auto found = std::find_if(marks.begin(), marks.end(), [&](const auto& mark) {
      return device_->is_done(mark.second->native());
    });
    if (found != marks.end()) ready = found->first;
    return ready != nullptr;
  });
  return ready;
}

void StreamPool::synchronize_all(std::chrono::nanoseconds deadline) {
  std::vector<Stream*> all;
  {
    const std::lock_guard lock(mutex_);
    for (const Group& group : groups_) {
      for (const auto& stream : group.shared) all.push_back(stream.get());
      for (const auto& stream : group.leasable) all.push_back(stream.get());
    }
  }
  const detail::Deadline until(deadline);
  std::exception_ptr failure;
  for (Stream* stream : all) {
    try {
      stream->synchronize(until.left());
    } catch (...) {
      if (failure == nullptr) failure = std::current_exception();
    }
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

std::size_t StreamPool::size() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const Group& group : groups_) count += group.shared.size() + group.leasable.size();
  return count;
}

}  // namespace aatgs
