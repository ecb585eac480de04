// SPDX-License-Identifier: Apache-2.0
// CUDA calls that fail while a context is made. The linker sends those calls of this program to the
// `__wrap_` functions below; see tests/meson.build.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <aatgs/host/make_context.cuh>
#include <array>
#include <string>

namespace {

/// What this program has of CUDA's, and which call is to fail.
struct Ledger {
  long calls_until_failure = 0;  ///< 0: none fails
  long pinned = 0;
  long device = 0;
  long streams = 0;

  [[nodiscard]] long open() const { return pinned + device + streams; }
  cudaError_t next() {
    const bool fails = calls_until_failure != 0 && --calls_until_failure == 0;
    return fails ? cudaErrorMemoryAllocation : cudaSuccess;
  }
} ledger;

/// Unless it is this call's turn to fail, makes it, and counts what it gave.
template <class Call>
cudaError_t count(long& kind, Call call) {
  const cudaError_t planned = ledger.next();
  const cudaError_t error = planned == cudaSuccess ? call() : planned;
  if (error == cudaSuccess) ++kind;
  return error;
}

}  // namespace

extern "C" {
cudaError_t __real_cudaHostAlloc(void** data, size_t bytes, unsigned flags);
cudaError_t __real_cudaFreeHost(void* data);
cudaError_t __real_cudaMallocAsync(void** data, size_t bytes, cudaStream_t stream);
cudaError_t __real_cudaFreeAsync(void* data, cudaStream_t stream);
cudaError_t __real_cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream);
cudaError_t __real_cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t __real_cudaStreamDestroy(cudaStream_t stream);
cudaError_t __real_cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block,
                                               void** arguments, size_t shared,
                                               cudaStream_t stream);

cudaError_t __wrap_cudaHostAlloc(void** data, size_t bytes, unsigned flags) {
  return count(ledger.pinned, [&] { return __real_cudaHostAlloc(data, bytes, flags); });
}
cudaError_t __wrap_cudaFreeHost(void* data) {
  --ledger.pinned;
  return __real_cudaFreeHost(data);
}
cudaError_t __wrap_cudaMallocAsync(void** data, size_t bytes, cudaStream_t stream) {
  return count(ledger.device, [&] { return __real_cudaMallocAsync(data, bytes, stream); });
}
cudaError_t __wrap_cudaFreeAsync(void* data, cudaStream_t stream) {
  --ledger.device;
  return __real_cudaFreeAsync(data, stream);
}
cudaError_t __wrap_cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  const cudaError_t planned = ledger.next();
  return planned == cudaSuccess ? __real_cudaMemsetAsync(data, value, bytes, stream) : planned;
}
cudaError_t __wrap_cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return count(ledger.streams, [&] { return __real_cudaStreamCreateWithFlags(stream, flags); });
}
cudaError_t __wrap_cudaStreamDestroy(cudaStream_t stream) {
  --ledger.streams;
  return __real_cudaStreamDestroy(stream);
}
cudaError_t __wrap_cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block,
                                               void** arguments, size_t shared,
                                               cudaStream_t stream) {
  const cudaError_t planned = ledger.next();
  if (planned != cudaSuccess) return planned;
  return __real_cudaLaunchCooperativeKernel(kernel, grid, block, arguments, shared, stream);
}
}

namespace aatgs {
namespace {

struct NextStep {
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const int& config, int& out) const {
    if (group.rank() == 0) out = config + 1;
  }
};

void check_runs(const ContextOptions& options) {
  auto ctx = make_context<int, int>(NextStep{}, options);
  const auto done = ctx.execute_batch(std::array{41});
  CHECK(done.front().telemetry == 42);
}

/// Whether a context was made although its `k`-th call was to fail.
bool is_made(long k, const ContextOptions& options) {
  ledger.calls_until_failure = k;
  try {
    const auto ctx = make_context<int, int>(NextStep{}, options);
    ledger.calls_until_failure = 0;
    return true;
  } catch (const DeviceError& e) {
    CHECK(e.code_name() == "cudaErrorMemoryAllocation");
    CHECK(std::string(e.what()).find("cudaErrorMemoryAllocation while ") == 0);
  }
  return false;
}

TEST_CASE("allocation: a CUDA call fails while a context is made, and it hangs, leaks or lies") {
  for (const ExecutorKind kind : {ExecutorKind::resident, ExecutorKind::launch_queue,
                                  ExecutorKind::launch, ExecutorKind::graph}) {
    for (const Scope scope : {Scope::block, Scope::grid}) {
      CAPTURE(to_string(kind));
      CAPTURE(to_string(scope));
      ContextOptions options;
      options.executor = kind;
      options.scope = scope;
      check_runs(options);
      long k = 1;
      for (bool made = false; !made && k < 1000; ++k) {
        CAPTURE(k);
        const long before = ledger.open();
        made = is_made(k, options);
        CHECK(ledger.open() == before);
      }
      CHECK(k > 3);
      CHECK(k < 1000);
      check_runs(options);
    }
  }
}

TEST_CASE("buffer: zeroing it fails, and it stays on the GPU") {
  const long before = ledger.open();
  ledger.calls_until_failure = 3;  // after its stream and its memory
  CHECK_THROWS_AS(Buffer<int>(MemoryKind::device, 100), DeviceError);
  CHECK(ledger.open() == before);
  CHECK(ledger.calls_until_failure == 0);
}

}  // namespace
}  // namespace aatgs
