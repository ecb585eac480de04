// SPDX-License-Identifier: Apache-2.0
#include "replicas.hpp"
#include "replicas_on_host.hpp"

namespace pipeline_phases {
namespace {

constexpr unsigned block_threads = 1024;  // two replicas seldom share an SM then

struct BlockTeam {
  __device__ std::uint32_t rank() const { return threadIdx.x; }
  __device__ std::uint32_t size() const { return blockDim.x; }
  __device__ void sync() const { __syncthreads(); }
  __device__ void add(std::uint32_t& sum, std::uint32_t value) const { atomicAdd(&sum, value); }
};

__global__ void __launch_bounds__(block_threads) search_kernel(Replicas replicas) {
  search_replica(BlockTeam{}, replicas, blockIdx.x);
}
__global__ void __launch_bounds__(block_threads) choice_kernel(Choice choice) {
  choose(BlockTeam{}, choice);
}

}  // namespace

aatgs::StreamWork search_work(const Replicas& replicas) {
  return [replicas](aatgs::StreamTarget target) {
    if (!target.is_gpu) return search_on_host(replicas);
    auto* const stream = static_cast<cudaStream_t>(target.native);
    search_kernel<<<replicas.count, block_threads, 0, stream>>>(replicas);
  };
}

aatgs::StreamWork choice_work(const Choice& choice) {
  return [choice](aatgs::StreamTarget target) {
    if (!target.is_gpu) return choose(HostTeam{}, choice);
    choice_kernel<<<1, block_threads, 0, static_cast<cudaStream_t>(target.native)>>>(choice);
  };
}

}  // namespace pipeline_phases
