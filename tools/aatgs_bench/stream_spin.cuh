// SPDX-License-Identifier: Apache-2.0
// Work of a given length for streams. It touches no memory, so it slows no copy.
#pragma once

#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <cstdint>

namespace aatgs::bench {

namespace {  // each file that includes this has its own kernel

__global__ void spin_kernel(std::uint64_t ns) {
  std::uint64_t now = 0;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  for (const std::uint64_t end = now + ns; now < end;) {
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  }
}

inline cudaStream_t native(StreamTarget target) {
  return static_cast<cudaStream_t>(target.native);
}

inline StreamWork spin(double us, unsigned blocks = 1, unsigned threads = 32) {
  return [ns = static_cast<std::uint64_t>(us * 1e3), blocks, threads](StreamTarget target) {
    spin_kernel<<<blocks, threads, 0, native(target)>>>(ns);
  };
}

inline double us_since(std::uint64_t begin) {
  return static_cast<double>(host_now_ns() - begin) * 1e-3;
}

}  // namespace

}  // namespace aatgs::bench
