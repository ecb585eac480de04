// SPDX-License-Identifier: Apache-2.0
// The grid barrier of a resident kernel, apart from it.
#include <doctest/doctest.h>

#include <aatgs/device/barrier_choice.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/memory.hpp>

namespace {

using namespace aatgs;

__global__ void choose(const __grid_constant__ device::ResidentArgs args) {
  if (threadIdx.x == 0) device::choose_barrier(args, 0);
}

/// What a resident kernel of so many workers would need for its barrier, and the choice made.
struct Choice {
  explicit Choice(std::uint32_t workers)
      : control(MemoryKind::mapped, 1),
        state(MemoryKind::device, 1),
        places(MemoryKind::device, device::barrier_places + 1) {
    device::ResidentArgs args{};
    args.control = control.data();
    args.state = state.data();
    args.barriers = places.data();
    args.workers = workers;
    args.step_deadline_ns = 2'000'000'000;
    void* arguments[] = {&args};
    AATGS_CUDA(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(&choose), dim3(workers),
                                           dim3(64), arguments, 0, nullptr),
               "launching the choice");
    AATGS_CUDA(cudaDeviceSynchronize(), "running the choice");
  }

  Buffer<ControlBlock> control;
  Buffer<ResidentState> state;
  Buffer<BarrierPlace> places;
};

TEST_CASE("barrier: its place is chosen beyond those that there are, or is not left empty") {
  for (const std::uint32_t workers : {1U, 2U, 131U}) {
    CAPTURE(workers);
    const Choice choice(workers);
    const std::uint32_t place = choice.state.download()[0].barrier_place;
    REQUIRE(place < device::barrier_places);
    const auto places = choice.places.download();
    for (std::uint32_t i = 0; i <= device::barrier_places; ++i) {
      CAPTURE(i);
      const bool is_empty = places[i].words.word[0][0] == 0 && places[i].words.word[1][0] == 0;
      CHECK(is_empty == (i == place));  // the others were all tried
    }
  }
}

}  // namespace
