// SPDX-License-Identifier: Apache-2.0
#include "floors.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <aatgs/device/primitives.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/control_block.hpp>

namespace aatgs::bench {

namespace {

constexpr std::uint64_t give_up_ns = 10'000'000'000;

__global__ void answer_flags(const std::uint32_t* in, std::uint32_t* out, std::uint32_t rounds) {
  const std::uint64_t begin = device::timer_ns();
  for (std::uint32_t i = 1; i <= rounds; ++i) {
    while (load_shared(in) != i) {
      if (device::timer_ns() - begin > give_up_ns) return;
    }
    store_shared(out, i);
  }
}

constexpr unsigned barriers_per_batch = 1000;

__global__ void barriers(std::uint32_t* counter, std::uint64_t* batch_ns, unsigned batches) {
  std::uint32_t target = 0;
  for (unsigned batch = 0; batch < batches; ++batch) {
    const std::uint64_t begin = device::timer_ns();
    for (unsigned i = 0; i < barriers_per_batch; ++i) {
      __syncthreads();
      target += gridDim.x;
      if (threadIdx.x == 0) {
        std::uint32_t seen;
        asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], 1;"
                     : "=r"(seen)
                     : "l"(counter)
                     : "memory");
        ++seen;
        while (static_cast<std::int32_t>(seen - target) < 0) {
          asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
        }
      }
      __syncthreads();
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) batch_ns[batch] = device::timer_ns() - begin;
  }
}

}  // namespace

Figure flag_ping_pong(int device, unsigned rounds) {
  Buffer<std::uint32_t> in(MemoryKind::mapped, 32, device);
  Buffer<std::uint32_t> out(MemoryKind::mapped, 32, device);
  cudaStream_t stream = nullptr;
  AATGS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  answer_flags<<<1, 1, 0, stream>>>(in.data(), out.data(), rounds);
  AATGS_CUDA(cudaGetLastError(), "launching the ping-pong kernel");
  std::vector<double> us;
  const unsigned warm_up = rounds / 10;
  for (std::uint32_t i = 1; i <= rounds; ++i) {
    const std::uint64_t begin = host_now_ns();
    store_shared(in.data(), i);
    while (load_shared(out.data()) != i) cpu_relax();
    if (i > warm_up) us.push_back(static_cast<double>(host_now_ns() - begin) / 1e3);
  }
  AATGS_CUDA(cudaStreamSynchronize(stream), "running the ping-pong kernel");
  cudaStreamDestroy(stream);
  return figure("floor_ping_pong", "4-byte flag to the GPU and back over mapped memory",
                std::move(us));
}

Figure grid_barrier(int device, unsigned threads, unsigned batches) {
  int sms = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs");
  Buffer<std::uint32_t> counter(MemoryKind::device, 32, device);
  Buffer<std::uint64_t> batch_ns(MemoryKind::device, batches, device);
  auto* counter_data = counter.data();
  auto* batch_data = batch_ns.data();
  void* arguments[] = {&counter_data, &batch_data, &batches};
  cudaStream_t stream = nullptr;
  AATGS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  AATGS_CUDA(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(&barriers),
                                         dim3(static_cast<unsigned>(sms)), dim3(threads), arguments,
                                         0, stream),
             "launching the barrier kernel");
  AATGS_CUDA(cudaStreamSynchronize(stream), "running the barrier kernel");
  cudaStreamDestroy(stream);
  std::vector<double> us;
  for (const std::uint64_t ns : batch_ns.download()) {
    us.push_back(static_cast<double>(ns) / 1e3 / barriers_per_batch);
  }
  us.erase(us.begin());  // the first batch warms up
  return figure("floor_grid_barrier",
                "barrier of " + std::to_string(sms) + " blocks of " + std::to_string(threads) +
                    " threads",
                std::move(us));
}

}  // namespace aatgs::bench
