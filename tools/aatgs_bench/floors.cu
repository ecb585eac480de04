// SPDX-License-Identifier: Apache-2.0
#include <aatgs/device/primitives.cuh>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/control_block.hpp>
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "cuda_handles.cuh"
#include "floors.hpp"

namespace aatgs::bench {

namespace {

constexpr std::uint64_t patience_ns = 5'000'000'000;  // on both sides of every wait

/// The flags of a ping-pong, used by turns as the slots of a ring are: where a line lies decides
/// which part of the GPU's L2 cache it goes through, and takes 2.25 to 2.65 us (H200).
struct Flags {
  static constexpr std::uint32_t lines = 64;
  static constexpr std::uint32_t stride = 4096 / sizeof(std::uint32_t);

  std::uint32_t* base;  ///< [lines][stride]

  [[nodiscard]] __host__ __device__ std::uint32_t* of(std::uint32_t round) const {
    return base + (round % lines) * stride;
  }
};

__global__ void answer_flags(Flags in, Flags out, std::uint32_t rounds) {
  const std::uint64_t begin = device::timer_ns();
  for (std::uint32_t i = 1; i <= rounds; ++i) {
    while (load_shared(in.of(i)) != i) {
      if (device::timer_ns() - begin > patience_ns) return;
    }
    store_shared(out.of(i), i);
  }
}

constexpr unsigned barriers_per_batch = 1000;

/// The fastest of the kinds that we know: one atomic add, then polls of the same word.
__global__ void barriers(std::uint32_t* counter, std::uint64_t* batch_ns, unsigned batches) {
  std::uint32_t target = 0;
  const std::uint64_t first = device::timer_ns();
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
        for (unsigned polls = 1; static_cast<std::int32_t>(seen - target) < 0; ++polls) {
          asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                       : "=r"(seen)
                       : "l"(counter)
                       : "memory");
          if (polls % 4096 == 0 && device::timer_ns() - first > patience_ns) __trap();
        }
      }
      __syncthreads();
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) batch_ns[batch] = device::timer_ns() - begin;
  }
}

std::vector<double> ping_pong_us(int device, unsigned rounds) {
  Buffer<std::uint32_t> in_data(MemoryKind::mapped, Flags::lines * Flags::stride, device);
  Buffer<std::uint32_t> out_data(MemoryKind::mapped, Flags::lines * Flags::stride, device);
  const Flags in{in_data.data()};
  const Flags out{out_data.data()};
  Stream stream;
  answer_flags<<<1, 1, 0, stream.get()>>>(in, out, rounds);
  AATGS_CUDA(cudaGetLastError(), "launching the ping-pong kernel");
  std::vector<double> us;
  us.reserve(rounds);
  const unsigned warm_up = rounds / 10;
  for (std::uint32_t i = 1; i <= rounds; ++i) {
    const std::uint64_t begin = host_now_ns();
    store_shared(in.of(i), i);
    for (unsigned polls = 1; load_shared(out.of(i)) != i; ++polls) {
      cpu_relax();
      if (polls % 4096 == 0 && host_now_ns() - begin > patience_ns) {
        throw TimeoutError("no answer to flag " + std::to_string(i) + " within 5 s");
      }
    }
    if (i > warm_up) us.push_back(static_cast<double>(host_now_ns() - begin) / 1e3);
  }
  return us;
}

std::vector<double> barrier_us(int device, unsigned blocks, unsigned threads, unsigned batches) {
  Buffer<std::uint32_t> counter(MemoryKind::device, 32, device);
  Buffer<std::uint64_t> batch_ns(MemoryKind::device, batches, device);
  auto* counter_data = counter.data();
  auto* batch_data = batch_ns.data();
  void* arguments[] = {&counter_data, &batch_data, &batches};
  Stream stream;
  AATGS_CUDA(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(&barriers), dim3(blocks),
                                         dim3(threads), arguments, 0, stream.get()),
             "launching the barrier kernel");
  AATGS_CUDA(cudaStreamSynchronize(stream.get()), "running the barrier kernel");
  std::vector<double> us;
  for (const std::uint64_t ns : batch_ns.download()) {
    us.push_back(static_cast<double>(ns) / 1e3 / barriers_per_batch);
  }
  us.erase(us.begin());  // the first batch warms up
  return us;
}

/// Copies between pinned memory and the GPU's, each way in a stream of its own.
class Copies {
 public:
  static constexpr std::size_t bytes = std::size_t{64} << 20;

  Copies(int device, bool up, bool down) {
    if (up) ways_.push_back(std::make_unique<Way>(device, cudaMemcpyHostToDevice));
    if (down) ways_.push_back(std::make_unique<Way>(device, cudaMemcpyDeviceToHost));
  }

  /// Of all ways together, GB/s: so many transfers each, until the last has ended.
  double gb_s(unsigned transfers) {
    const std::uint64_t begin = host_now_ns();
    for (unsigned i = 0; i < transfers; ++i) {
      for (auto& way : ways_) way->queue();
    }
    for (auto& way : ways_) way->wait();
    const auto ns = static_cast<double>(host_now_ns() - begin);
    return static_cast<double>(ways_.size() * transfers * bytes) / ns;
  }

 private:
  /// On three buffers by turns, as a triple buffer does it: more than the host's caches hold.
  class Way {
   public:
    Way(int device, cudaMemcpyKind kind) : kind_(kind) {
      for (int i = 0; i < 3; ++i) {
        host_.emplace_back(MemoryKind::mapped, bytes, device);
        gpu_.emplace_back(MemoryKind::device, bytes, device);
      }
    }
    void queue() {
      void* sides[] = {host_[turn_].data(), gpu_[turn_].data()};
      const bool up = kind_ == cudaMemcpyHostToDevice;
      AATGS_CUDA(cudaMemcpyAsync(sides[up], sides[!up], bytes, kind_, stream_.get()),
                 "copying 64 MiB");
      turn_ = (turn_ + 1) % host_.size();
    }
    void wait() { AATGS_CUDA(cudaStreamSynchronize(stream_.get()), "copying 64 MiB"); }

   private:
    cudaMemcpyKind kind_;
    std::size_t turn_ = 0;
    std::vector<Buffer<std::byte>> host_, gpu_;
    Stream stream_;  // last: it waits for its copies
  };
  std::vector<std::unique_ptr<Way>> ways_;
};

/// On new memory now and then, since where it lies bears on the rate.
std::vector<double> copy_gb_s(int device, unsigned samples, bool up, bool down) {
  constexpr unsigned transfers = 9;
  constexpr unsigned samples_each = 5;
  std::vector<double> gb_s;
  while (gb_s.size() < samples) {
    Copies copies(device, up, down);
    (void)copies.gb_s(3);
    for (unsigned i = 0; i < samples_each; ++i) gb_s.push_back(copies.gb_s(transfers));
  }
  return gb_s;
}

/// Of 256 KiB, which a core's own caches hold. Nothing of the GPU bears on it: it tells at what
/// pace the host was.
std::vector<double> host_copy_gb_s(unsigned count) {
  constexpr std::size_t bytes = 256 << 10;
  constexpr int copies = 16;
  const std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes);
  std::vector<double> rates(count);
  for (double& rate : rates) {
    const std::uint64_t begin = host_now_ns();
    for (int i = 0; i < copies; ++i) {
      std::memcpy(to.data(), from.data(), bytes);
      asm volatile("" : : "r"(to.data()) : "memory");  // each of them is wanted
    }
    rate = copies * static_cast<double>(bytes) / static_cast<double>(host_now_ns() - begin);
  }
  return rates;
}

}  // namespace

void measure_floors(const Plan& plan, Report& report) {
  const int device = plan.context.device;
  const auto add = [&](const std::string& name, const char* unit, const std::string& what,
                       auto measure) {
    const Case of{.group = "floor", .road = name};
    if (plan.wants(of.name())) report.add(figure(of, unit, what, measure()));
  };
  int sms = 0;
  AATGS_CUDA(cudaSetDevice(device), "selecting the device");
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs");
  int engines = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&engines, cudaDevAttrAsyncEngineCount, device),
             "asking for the number of copy engines");
  const auto blocks = static_cast<unsigned>(sms);
  const auto scaled = [&](double per_second) {
    return static_cast<unsigned>(plan.seconds * per_second);
  };
  add("host_copy", "GB/s", "256 KiB within the caches of a core: the pace of the host",
      [&] { return host_copy_gb_s(std::max(100U, scaled(2000))); });
  add("ping_pong", "us", "4-byte flag to the GPU and back over mapped memory, 64 lines by turns",
      [&] { return ping_pong_us(device, std::max(1000U, scaled(1e6))); });
  for (const unsigned threads : {64U, 256U}) {
    add("grid_barrier_" + std::to_string(threads), "us",
        "barrier of " + std::to_string(sms) + " blocks of " + std::to_string(threads) + " threads",
        [&] { return barrier_us(device, blocks, threads, std::max(20U, scaled(4000))); });
  }
  const unsigned copies = std::max(10U, scaled(500));
  const std::string pinned = "64 MiB after 64 MiB, pinned memory, ";
  add("copy_to_gpu", "GB/s", pinned + "to the GPU",
      [&] { return copy_gb_s(device, copies, true, false); });
  add("copy_from_gpu", "GB/s", pinned + "from the GPU",
      [&] { return copy_gb_s(device, copies, false, true); });
  add("copy_both_ways", "GB/s",
      pinned + "there and back at once, the sum; " + std::to_string(engines) + " copy engines",
      [&] { return copy_gb_s(device, copies, true, true); });
}

}  // namespace aatgs::bench
