// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <algorithm>
#include <cstring>

#include "cuda_capture.hpp"
#include "cuda_memory_pool.hpp"
#include "cuda_peers.hpp"

namespace aatgs {

namespace {

cudaStream_t to_stream(void* stream) {
  return static_cast<cudaStream_t>(stream);
}
cudaEvent_t to_event(void* event) {
  return static_cast<cudaEvent_t>(event);
}
cudaMemPool_t to_pool(void* pool) {
  return static_cast<cudaMemPool_t>(pool);
}

/// Not being ready is no error, but CUDA would tell it as the thread's last one.
bool is_ready(cudaError_t answer, const char* asking) {
  if (answer == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  AATGS_CUDA(answer, asking);
  return true;
}

class CudaStreamDevice final : public StreamDevice {
 public:
  explicit CudaStreamDevice(int ordinal);

  bool is_gpu() const override { return true; }
  int ordinal() const override { return ordinal_; }
  std::string name() const override { return name_; }
  int priority_levels() const override { return least_ - greatest_ + 1; }

  void* make_stream(StreamPriority priority) override;
  void destroy_stream(void* stream) noexcept override;
  std::uint64_t stream_id(void* stream) const override;
  void* make_event(bool timed) override;
  void destroy_event(void* event) noexcept override;

  void copy(void* stream, void* to, const void* from, std::size_t bytes) override;
  void set(void* stream, void* to, std::uint8_t value, std::size_t bytes) override;
  void prefetch(void* stream, void* data, std::size_t bytes, bool to_device) override;
  void run(void* stream, const StreamWork& work) override;
  void record(void* stream, void* event) override;
  void wait(void* stream, void* event) override;

  bool is_idle(void* stream) override;
  void settle(void* stream) override;
  bool is_done(void* event) override;
  std::exception_ptr failure(void*) override { return nullptr; }
  std::exception_ptr take_failure(void*) override { return nullptr; }
  std::chrono::nanoseconds elapsed(void* from, void* to) override;

  void* allocate_pinned(std::size_t bytes) override;
  void free_pinned(void* data) noexcept override;
  void* allocate(void* stream, std::size_t bytes, void* pool) override;
  void free(void* stream, void* data) override;
  void* make_pool(const MemoryPoolLimits& limits) override;
  void destroy_pool(void* pool) noexcept override;
  MemoryPoolUse pool_use(void* pool) override {
    return detail::cuda_pool_use(pool_or_default(pool));
  }
  void reset_pool_peaks(void* pool) override {
    detail::reset_cuda_pool_peaks(pool_or_default(pool));
  }
  void trim_pool(void* pool, std::size_t keep) override {
    AATGS_CUDA(cudaMemPoolTrimTo(pool_or_default(pool), keep), "trimming a memory pool");
  }

  bool can_share_with(const StreamDevice& other) const override {
    return other.is_gpu() && peers_.can_add(other.ordinal());
  }
  void share_with(const StreamDevice& other) override { peers_.add(other.ordinal()); }

  void begin_capture(void* stream) override;
  bool is_capturing(void* stream) override;
  void* end_capture(void* stream, void* graph) override;
  void launch(void* stream, void* graph) override;
  void destroy_graph(void* graph) noexcept override;

 private:
  /// Calls that work without it select too, since on a new thread they would make a context on
  /// device 0.
  void select() const { AATGS_CUDA(try_select(), "selecting " + name_); }
  cudaError_t try_select() const noexcept { return detail::try_select_device(ordinal_); }
  void require_no_capture(void* stream, const char* doing);
  [[nodiscard]] cudaMemPool_t pool_or_default(void* pool) const {
    return pool != nullptr ? to_pool(pool) : detail::current_cuda_pool(ordinal_);
  }
  void require_managed(const void* data, std::size_t bytes) const;

  int ordinal_;
  std::string name_;
  int least_ = 0;     ///< priority, the larger number
  int greatest_ = 0;  ///< the smaller one
  bool moves_managed_ = false;
  detail::CudaPeers peers_;
};

CudaStreamDevice::CudaStreamDevice(int ordinal)
    : ordinal_(ordinal), name_("CUDA device " + std::to_string(ordinal)), peers_(ordinal) {
  int count = 0;
  AATGS_CUDA(cudaGetDeviceCount(&count), "looking for " + name_);
  if (ordinal < 0 || ordinal >= count) {
    throw DeviceError(name_ + " was asked for, but there are " + std::to_string(count) +
                          ", from 0 on: ask for one of these",
                      cudaGetErrorName(cudaErrorInvalidDevice));
  }
  AATGS_CUDA(cudaSetDevice(ordinal), "selecting " + name_);
  cudaDeviceProp properties{};
  AATGS_CUDA(cudaGetDeviceProperties(&properties, ordinal), "asking for the name of " + name_);
  name_ += std::string(" (") + properties.name + ")";
  if (properties.memoryPoolsSupported == 0) {
    throw DeviceError(name_ + " has no memory pools, which streams need",
                      cudaGetErrorName(cudaErrorNotSupported));
  }
  moves_managed_ = properties.concurrentManagedAccess != 0;
  AATGS_CUDA(cudaDeviceGetStreamPriorityRange(&least_, &greatest_),
             "asking for the priorities of " + name_);
}

void* CudaStreamDevice::make_stream(StreamPriority priority) {
  select();
  const int middle = least_ - (least_ - greatest_) / 2;  // nearer to the least with an even number
  const int number = priority == StreamPriority::high  ? greatest_
                     : priority == StreamPriority::low ? least_
                                                       : middle;
  cudaStream_t stream = nullptr;
  AATGS_CUDA(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, number),
             "making a stream of priority " + std::to_string(number) + " on " + name_);
  return stream;
}

void CudaStreamDevice::destroy_stream(void* stream) noexcept {
  try_select();
  cudaStreamDestroy(to_stream(stream));
}

std::uint64_t CudaStreamDevice::stream_id(void* stream) const {
  select();
  unsigned long long id = 0;
  AATGS_CUDA(cudaStreamGetId(to_stream(stream), &id), "asking for a stream's id");
  return id;
}

void* CudaStreamDevice::make_event(bool timed) {
  select();
  cudaEvent_t event = nullptr;
  const unsigned flags = timed ? cudaEventDefault : cudaEventDisableTiming;
  AATGS_CUDA(cudaEventCreateWithFlags(&event, flags), "making an event on " + name_);
  return event;
}

void CudaStreamDevice::destroy_event(void* event) noexcept {
  try_select();
  cudaEventDestroy(to_event(event));
}

void CudaStreamDevice::copy(void* stream, void* to, const void* from, std::size_t bytes) {
  select();
  AATGS_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, to_stream(stream)),
             "copying " + std::to_string(bytes) + " bytes");
}

void CudaStreamDevice::set(void* stream, void* to, std::uint8_t value, std::size_t bytes) {
  select();
  AATGS_CUDA(cudaMemsetAsync(to, value, bytes, to_stream(stream)),
             "setting " + std::to_string(bytes) + " bytes");
}

void CudaStreamDevice::require_managed(const void* data, std::size_t bytes) const {
  const std::string what = "prefetch of " + std::to_string(bytes) + " bytes";
  if (!moves_managed_) {
    throw UseError(what + ": " + name_ +
                   " cannot move managed memory while it runs (concurrentManagedAccess is 0), "
                   "leave it away there");
  }
  cudaPointerAttributes pointer{};
  AATGS_CUDA(cudaPointerGetAttributes(&pointer, data), what);
  if (pointer.type != cudaMemoryTypeManaged) {
    throw UseError(what + " that are not managed memory: allocate with cudaMallocManaged");
  }
}

void CudaStreamDevice::prefetch(void* stream, void* data, std::size_t bytes, bool to_device) {
  select();
  require_managed(data, bytes);
  cudaMemLocation where{};
  where.type = to_device ? cudaMemLocationTypeDevice : cudaMemLocationTypeHost;
  where.id = to_device ? ordinal_ : 0;
  AATGS_CUDA(cudaMemPrefetchAsync(data, bytes, where, 0, to_stream(stream)),
             "prefetching " + std::to_string(bytes) + " bytes");
}

void CudaStreamDevice::run(void* stream, const StreamWork& work) {
  select();
  work(StreamTarget{true, stream});
  // A launch by <<<>>> that was refused tells only this way.
  const cudaError_t error = cudaGetLastError();
  if (error == cudaErrorNotReady) return;  // of a query of the user's
  AATGS_CUDA(error, "launching work, or in a call before that nobody checked");
}

void CudaStreamDevice::record(void* stream, void* event) {
  select();
  AATGS_CUDA(cudaEventRecord(to_event(event), to_stream(stream)), "recording an event");
}

void CudaStreamDevice::wait(void* stream, void* event) {
  select();
  AATGS_CUDA(cudaStreamWaitEvent(to_stream(stream), to_event(event), cudaEventWaitDefault),
             "waiting for an event");
}

void CudaStreamDevice::settle(void* stream) {
  select();
  AATGS_CUDA(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "waiting for a stream");
}

bool CudaStreamDevice::is_idle(void* stream) {
  select();
  return is_ready(cudaStreamQuery(to_stream(stream)), "asking for a stream");
}

bool CudaStreamDevice::is_done(void* event) {
  select();
  return is_ready(cudaEventQuery(to_event(event)), "asking for an event");
}

std::chrono::nanoseconds CudaStreamDevice::elapsed(void* from, void* to) {
  select();
  float ms = 0;
  AATGS_CUDA(cudaEventElapsedTime(&ms, to_event(from), to_event(to)), "timing between events");
  return std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(ms) * 1e6));
}

void* CudaStreamDevice::allocate_pinned(std::size_t bytes) {
  select();
  void* data = nullptr;
  AATGS_CUDA(cudaHostAlloc(&data, std::max<std::size_t>(bytes, 1),
                           cudaHostAllocMapped | cudaHostAllocPortable),
             "allocating " + std::to_string(bytes) + " bytes of pinned host memory");
  std::memset(data, 0, bytes);
  return data;
}

void CudaStreamDevice::free_pinned(void* data) noexcept {
  try_select();
  cudaFreeHost(data);
}

void CudaStreamDevice::require_no_capture(void* stream, const char* doing) {
  if (!is_capturing(stream)) return;
  throw UseError(std::string(doing) +
                 " memory in a stream that is captured: do it before the capture or after it");
}

void* CudaStreamDevice::allocate(void* stream, std::size_t bytes, void* pool) {
  select();
  require_no_capture(stream, "allocating");
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  void* data = nullptr;
  const cudaError_t error =
      pool == nullptr ? cudaMallocAsync(&data, size, to_stream(stream))
                      : cudaMallocFromPoolAsync(&data, size, to_pool(pool), to_stream(stream));
  AATGS_CUDA(error, "allocating " + std::to_string(bytes) + " bytes on " + name_);
  return data;
}

void CudaStreamDevice::free(void* stream, void* data) {
  require_no_capture(stream, "freeing");
  AATGS_CUDA(cudaFreeAsync(data, to_stream(stream)), "freeing memory on " + name_);
}

void* CudaStreamDevice::make_pool(const MemoryPoolLimits& limits) {
  select();
  const cudaMemPool_t pool = detail::make_cuda_pool(ordinal_, limits);
  try {
    peers_.add_pool(pool);
  } catch (...) {
    cudaMemPoolDestroy(pool);
    throw;
  }
  return pool;
}

void CudaStreamDevice::destroy_pool(void* pool) noexcept {
  try_select();
  peers_.remove_pool(to_pool(pool));
  cudaMemPoolDestroy(to_pool(pool));
}

void CudaStreamDevice::begin_capture(void* stream) {
  select();
  // Relaxed: other threads, and callbacks, go on calling what they like.
  AATGS_CUDA(cudaStreamBeginCapture(to_stream(stream), cudaStreamCaptureModeRelaxed),
             "beginning a capture");
}

bool CudaStreamDevice::is_capturing(void* stream) {
  select();
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  AATGS_CUDA(cudaStreamIsCapturing(to_stream(stream), &status), "asking for a capture");
  return status != cudaStreamCaptureStatusNone;
}

void* CudaStreamDevice::end_capture(void* stream, void* graph) {
  select();
  return detail::end_cuda_capture(to_stream(stream), static_cast<cudaGraphExec_t>(graph));
}

void CudaStreamDevice::launch(void* stream, void* graph) {
  select();
  AATGS_CUDA(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), to_stream(stream)),
             "launching a graph");
}

void CudaStreamDevice::destroy_graph(void* graph) noexcept {
  try_select();
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

}  // namespace

std::shared_ptr<StreamDevice> make_gpu_stream_device(int ordinal) {
  return std::make_shared<CudaStreamDevice>(ordinal);
}

}  // namespace aatgs
