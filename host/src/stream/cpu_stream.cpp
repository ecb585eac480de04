// SPDX-License-Identifier: Apache-2.0
#include "cpu_stream.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <string>
#include <utility>

namespace aatgs::detail {

namespace {

void merge(CpuPast& into, const CpuPast& from) {
  for (const auto& [stream, operations] : from) {
    std::size_t& known = into[stream];
    known = std::max(known, operations);
  }
}

}  // namespace

CpuCapture::Branch& CpuCapture::branch(CpuStream& stream) {
  Branch& branch = branches_[&stream];
  if (branch.stream == nullptr) branch.stream = stream.shared_from_this();
  return branch;
}

void CpuCapture::require_open() const {
  if (!ended_) return;
  throw DeviceError("an event of a capture that has ended is waited for: record it again",
                    "cudaErrorCapturedEvent");
}

void CpuCapture::add(CpuStream& stream, CpuOperation operation) {
  const std::lock_guard lock(mutex_);
  require_open();
  ++branch(stream).operations;
  operations_.push_back(std::move(operation));
}

CpuPast CpuCapture::past_of(CpuStream& stream) {
  const std::lock_guard lock(mutex_);
  const Branch& here = branch(stream);
  CpuPast past = here.past;
  past[&stream] = here.operations;
  return past;
}

void CpuCapture::join(CpuStream& stream, const CpuPast& past) {
  {
    const std::lock_guard lock(mutex_);
    require_open();
    Branch& here = branch(stream);
    ++here.operations;  // a stream that only waited has to be joined like any other
    merge(here.past, past);
  }
  stream.set_capture(shared_from_this());
}

std::vector<CpuOperation> CpuCapture::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  const CpuPast past = branch(*origin_).past;
  std::uint64_t lost = 0;
  for (auto& [stream, here] : branches_) {
    here.stream->set_capture(nullptr);
    const auto joined = past.find(stream);
    const bool is_whole = joined != past.end() && joined->second >= here.operations;
    if (stream != origin_.get() && !is_whole) lost = here.stream->id();
  }
  branches_.clear();
  if (lost != 0) {
    throw DeviceError(
        "the capture of stream " + std::to_string(origin_->id()) + " ends, but stream " +
            std::to_string(lost) +
            " was not joined again: record an event in that and let the first wait for it",
        "cudaErrorStreamCaptureUnjoined");
  }
  return std::move(operations_);
}

void CpuStream::start() {
  thread_ = std::thread([self = shared_from_this()] { self->work(); });
}

void CpuStream::finish() {
  const std::lock_guard lock(mutex_);
  finishing_ = true;
  capture_ = nullptr;
  given_.notify_one();
}

void CpuStream::join() {
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void CpuStream::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    given_.wait(lock, [&] { return finishing_ || !queue_.empty(); });
    if (queue_.empty()) break;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (item.point != nullptr) {
      reach(*item.point);  // who sees it may see the stream idle, so not while it is busy
      continue;
    }
    busy_ = true;
    lock.unlock();
    perform(item.operation);
    item.operation = nullptr;  // what it holds ends before the stream looks idle
    lock.lock();
    busy_ = false;
  }
  ended_.store(true, std::memory_order_release);
}

void CpuStream::perform(const CpuOperation& operation) noexcept {
  try {
    operation(*this);
  } catch (...) {
    keep(std::current_exception());
  }
}

void CpuStream::reach(CpuPoint& point) {
  point.failure = failure_;
  point.when = std::chrono::steady_clock::now();
  point.reached.store(1, std::memory_order_release);
  point.reached.notify_all();
}

void CpuStream::enqueue(Item item) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(item));
  given_.notify_one();
}

void CpuStream::give(CpuOperation operation) {
  if (const auto capture = this->capture()) {
    capture->add(*this, std::move(operation));
  } else {
    enqueue({std::move(operation), nullptr});
  }
}

void CpuStream::record(CpuEvent& event) {
  auto point = std::make_shared<CpuPoint>();
  point->capture = capture();
  if (point->capture != nullptr) point->past = point->capture->past_of(*this);
  {
    const std::lock_guard lock(event.mutex);
    event.last = point;
  }
  if (point->capture != nullptr) return;
  enqueue({nullptr, std::move(point)});
}

void CpuStream::wait(CpuEvent& event) {
  std::shared_ptr<CpuPoint> point;
  {
    const std::lock_guard lock(event.mutex);
    point = event.last;
  }
  if (point == nullptr) return;
  const auto own = capture();
  if (point->capture != nullptr) {
    if (own != nullptr && own != point->capture) {
      throw DeviceError("stream " + std::to_string(id_) + " waits for an event of another capture",
                        "cudaErrorStreamCaptureMerge");
    }
    return point->capture->join(*this, point->past);
  }
  if (own != nullptr) {
    throw DeviceError("stream " + std::to_string(id_) +
                          ", which is captured, waits for an event recorded outside the capture: "
                          "record it inside, or wait before",
                      "cudaErrorStreamCaptureIsolation");
  }
  const auto operation = [point](CpuStream& stream) {
    point->reached.wait(0, std::memory_order_acquire);
    if (point->failure != nullptr) stream.keep(point->failure);
  };
  enqueue({operation, nullptr});
}

bool CpuStream::is_idle() {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !busy_;
}

void CpuStream::set_capture(std::shared_ptr<CpuCapture> capture) {
  const std::lock_guard lock(mutex_);
  capture_ = std::move(capture);
}

std::shared_ptr<CpuCapture> CpuStream::capture() {
  const std::lock_guard lock(mutex_);
  return capture_;
}

void CpuStream::keep(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  if (failure_ == nullptr) failure_ = std::move(failure);
}

std::exception_ptr CpuStream::take_failure() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failure_, nullptr);
}

}  // namespace aatgs::detail
