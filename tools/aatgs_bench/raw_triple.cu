// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <deque>

#include "cuda_handles.cuh"
#include "raw_triple.hpp"
#include "stream_spin.cuh"

namespace aatgs::bench {

namespace {

struct Slot {
  Slot(int device, std::size_t bytes)
      : input(MemoryKind::mapped, bytes, device),
        there(MemoryKind::device, bytes, device),
        result(MemoryKind::device, bytes, device),
        output(MemoryKind::mapped, bytes, device) {}
  Memory input, there, result, output;
  Event uploaded, processed, downloaded;
};

void pass_on(const Stream& from, const Event& by, const Stream& to) {
  AATGS_CUDA(cudaEventRecord(by.get(), from.get()), "recording an event");
  AATGS_CUDA(cudaStreamWaitEvent(to.get(), by.get()), "waiting for an event");
}

}  // namespace

double raw_triple_step_us(int device, std::size_t bytes, double kernel_us, int steps,
                          unsigned slots) {
  std::deque<Slot> ring;
  for (unsigned i = 0; i < slots; ++i) ring.emplace_back(device, bytes);
  const Stream up;
  const Stream compute;
  const Stream down;
  const auto copy = [&](void* to, const void* from, const Stream& stream) {
    AATGS_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream.get()), "copying");
  };
  std::uint64_t begin = 0;
  const int warm_up = static_cast<int>(2 * slots);
  for (int i = 0; i < warm_up + steps; ++i) {
    Slot& slot = ring[static_cast<unsigned>(i) % slots];
    if (i == warm_up) begin = host_now_ns();
    while (cudaEventQuery(slot.downloaded.get()) == cudaErrorNotReady) {  // its steps all end
    }
    copy(slot.there.data(), slot.input.data(), up);
    pass_on(up, slot.uploaded, compute);
    spin_kernel<<<1, 32, 0, compute.get()>>>(static_cast<std::uint64_t>(kernel_us * 1e3));
    pass_on(compute, slot.processed, down);
    copy(slot.output.data(), slot.result.data(), down);
    AATGS_CUDA(cudaEventRecord(slot.downloaded.get(), down.get()), "recording an event");
  }
  AATGS_CUDA(cudaDeviceSynchronize(), "running steps by CUDA's own calls");
  return us_since(begin) / steps;
}

}  // namespace aatgs::bench
