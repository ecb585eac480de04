// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "cpu_memory_pools.hpp"
#include "cpu_stream.hpp"

namespace aatgs {

namespace {

using detail::CpuCapture;
using detail::CpuEvent;
using detail::CpuMemoryPools;
using detail::CpuOperation;
using detail::CpuStream;

struct CpuGraph {
  std::mutex mutex;
  std::shared_ptr<const std::vector<CpuOperation>> operations;
};

/// Ids are never given twice, whatever the device.
std::uint64_t next_stream_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

CpuEvent& to_event(void* event) {
  return *static_cast<CpuEvent*>(event);
}

std::shared_ptr<detail::CpuPoint> last_of(void* event) {
  const std::lock_guard lock(to_event(event).mutex);
  return to_event(event).last;
}

class CpuStreamDevice final : public StreamDevice {
 public:
  ~CpuStreamDevice() override;

  bool is_gpu() const override { return false; }
  int ordinal() const override { return -1; }
  std::string name() const override { return "host threads"; }
  int priority_levels() const override { return 1; }

  void* make_stream(StreamPriority priority) override;
  void destroy_stream(void* stream) noexcept override;
  std::uint64_t stream_id(void* stream) const override { return find(stream)->id(); }
  void* make_event(bool timed) override { return new CpuEvent(timed); }
  void destroy_event(void* event) noexcept override { delete static_cast<CpuEvent*>(event); }

  void copy(void* stream, void* to, const void* from, std::size_t bytes) override;
  void set(void* stream, void* to, std::uint8_t value, std::size_t bytes) override;
  void prefetch(void* stream, void* data, std::size_t bytes, bool to_device) override;
  void run(void* stream, const StreamWork& work) override;
  void record(void* stream, void* event) override { find(stream)->record(to_event(event)); }
  void wait(void* stream, void* event) override { find(stream)->wait(to_event(event)); }

  bool is_idle(void* stream) override { return find(stream)->is_idle(); }
  bool is_done(void* event) override;
  std::exception_ptr failure(void* event) override;
  std::exception_ptr take_failure(void* stream) override { return find(stream)->take_failure(); }
  std::chrono::nanoseconds elapsed(void* from, void* to) override;

  void* allocate_pinned(std::size_t bytes) override;
  void free_pinned(void* data) noexcept override { detail::free_cpu(data); }
  void* allocate(void* stream, std::size_t bytes, void* pool) override;
  void free(void* stream, void* data) override;
  void* make_pool(const MemoryPoolLimits& limits) override { return pools_->make(limits); }
  void destroy_pool(void* pool) noexcept override { pools_->destroy(pool); }
  MemoryPoolUse pool_use(void* pool) override { return pools_->use(pool); }
  void reset_pool_peaks(void* pool) override { pools_->reset_peaks(pool); }
  void trim_pool(void*, std::size_t) override {}  // it keeps nothing

  void begin_capture(void* stream) override;
  bool is_capturing(void* stream) override { return find(stream)->capture() != nullptr; }
  void* end_capture(void* stream, void* graph) override;
  void launch(void* stream, void* graph) override;
  void destroy_graph(void* graph) noexcept override { delete static_cast<CpuGraph*>(graph); }

 private:
  std::shared_ptr<CpuStream> find(void* stream) const;
  void require_no_capture(void* stream, const char* doing);
  void reap();

  mutable std::mutex mutex_;
  std::unordered_map<const void*, std::shared_ptr<CpuStream>> streams_;
  std::vector<std::shared_ptr<CpuStream>> finishing_;
  std::shared_ptr<CpuMemoryPools> pools_ = std::make_shared<CpuMemoryPools>();
};

CpuStreamDevice::~CpuStreamDevice() {
  for (auto& [handle, stream] : streams_) {
    stream->finish();
    finishing_.push_back(std::move(stream));
  }
  for (const auto& stream : finishing_) stream->join();
}

std::shared_ptr<CpuStream> CpuStreamDevice::find(void* stream) const {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found != streams_.end()) return found->second;
  throw DeviceError("a stream of host threads is used that was destroyed or is of another device",
                    "cudaErrorInvalidResourceHandle");
}

void* CpuStreamDevice::make_stream(StreamPriority) {
  auto stream = std::make_shared<CpuStream>(next_stream_id());
  stream->start();
  const std::lock_guard lock(mutex_);
  reap();
  streams_.emplace(stream.get(), stream);
  return stream.get();
}

void CpuStreamDevice::destroy_stream(void* stream) noexcept {
  const std::lock_guard lock(mutex_);
  auto found = streams_.extract(stream);
  if (found.empty()) return;
  found.mapped()->finish();
  finishing_.push_back(std::move(found.mapped()));
  reap();
}

/// Lets go of the threads that have ended.
void CpuStreamDevice::reap() {
  std::erase_if(finishing_, [](const std::shared_ptr<CpuStream>& stream) {
    if (!stream->has_ended()) return false;
    stream->join();
    return true;
  });
}

void CpuStreamDevice::copy(void* stream, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  find(stream)->give([=](CpuStream&) { std::memcpy(to, from, bytes); });
}

void CpuStreamDevice::set(void* stream, void* to, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) return;
  find(stream)->give([=](CpuStream&) { std::memset(to, value, bytes); });
}

void CpuStreamDevice::prefetch(void*, void*, std::size_t bytes, bool) {
  throw UseError("prefetch of " + std::to_string(bytes) +
                 " bytes: host threads have no managed memory to move, leave it away there");
}

void CpuStreamDevice::run(void* stream, const StreamWork& work) {
  find(stream)->give([work](CpuStream&) { work(StreamTarget{false, nullptr}); });
}

bool CpuStreamDevice::is_done(void* event) {
  const auto point = last_of(event);
  if (point == nullptr) return true;
  if (point->capture != nullptr) {
    throw DeviceError("asking for an event that was recorded in a capture: record it outside",
                      "cudaErrorCapturedEvent");
  }
  return point->reached.load(std::memory_order_acquire) != 0;
}

std::exception_ptr CpuStreamDevice::failure(void* event) {
  const auto point = last_of(event);
  const bool has_come = point != nullptr && point->reached.load(std::memory_order_acquire) != 0;
  return has_come ? point->failure : nullptr;
}

std::chrono::nanoseconds CpuStreamDevice::elapsed(void* from, void* to) {
  const auto begin = last_of(from);
  const auto end = last_of(to);
  const bool are_timed = to_event(from).timed && to_event(to).timed;
  if (!are_timed || begin == nullptr || end == nullptr) {
    throw DeviceError("time between events that are not both timed and recorded",
                      "cudaErrorInvalidResourceHandle");
  }
  if (!is_done(from) || !is_done(to)) {
    throw DeviceError("time between events that are not both done", "cudaErrorNotReady");
  }
  return end->when - begin->when;
}

void* CpuStreamDevice::allocate_pinned(std::size_t bytes) {
  void* data = detail::allocate_cpu(bytes);
  std::memset(data, 0, bytes);
  return data;
}

void CpuStreamDevice::require_no_capture(void* stream, const char* doing) {
  if (!is_capturing(stream)) return;
  throw UseError(std::string(doing) +
                 " memory in a stream that is captured: do it before the capture or after it");
}

void* CpuStreamDevice::allocate(void* stream, std::size_t bytes, void* pool) {
  require_no_capture(stream, "allocating");
  return pools_->allocate(bytes, pool);
}

void CpuStreamDevice::free(void* stream, void* data) {
  require_no_capture(stream, "freeing");
  pools_->begin_free(data);
  find(stream)->give([pools = pools_, data](CpuStream&) { pools->free(data); });
}

void CpuStreamDevice::begin_capture(void* stream) {
  const auto here = find(stream);
  if (here->capture() != nullptr) {
    throw DeviceError("beginning a capture of a stream that is captured already: end that first",
                      "cudaErrorIllegalState");
  }
  here->set_capture(std::make_shared<CpuCapture>(here));
}

void* CpuStreamDevice::end_capture(void* stream, void* graph) {
  const auto here = find(stream);
  const auto capture = here->capture();
  if (capture == nullptr || !capture->is_of(*here)) {
    throw DeviceError("ending a capture in a stream in which none was begun",
                      "cudaErrorIllegalState");
  }
  auto operations = std::make_shared<const std::vector<CpuOperation>>(capture->end());
  auto* into = graph == nullptr ? new CpuGraph : static_cast<CpuGraph*>(graph);
  const std::lock_guard lock(into->mutex);
  into->operations = std::move(operations);
  return into;
}

void CpuStreamDevice::launch(void* stream, void* graph) {
  auto* from = static_cast<CpuGraph*>(graph);
  std::shared_ptr<const std::vector<CpuOperation>> operations;
  {
    const std::lock_guard lock(from->mutex);
    operations = from->operations;
  }
  find(stream)->give([operations](CpuStream& here) {
    for (const CpuOperation& operation : *operations) here.perform(operation);
  });
}

}  // namespace

std::shared_ptr<StreamDevice> make_cpu_stream_device() {
  return std::make_shared<CpuStreamDevice>();
}

}  // namespace aatgs
