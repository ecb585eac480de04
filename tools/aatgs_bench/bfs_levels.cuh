// SPDX-License-Identifier: Apache-2.0
// The mesh of the searches, and the search by launches.
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/search/breadth_first.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda_handles.cuh"

namespace aatgs::bench {

inline constexpr std::uint32_t mesh_side = 1000;
inline constexpr std::uint32_t mesh_kept_percent = 65;

struct Mesh {
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> neighbours;
  std::uint32_t source = 0;
  std::vector<std::uint32_t> distances;  // of the host
  std::uint32_t levels = 0;

  Mesh() {
    std::mt19937 random(1);
    std::vector<std::vector<std::uint32_t>> lists(mesh_side * mesh_side);
    const auto join = [&](std::uint32_t v, std::uint32_t w) {
      if (random() % 100 >= mesh_kept_percent) return;
      lists[v].push_back(w);
      lists[w].push_back(v);
    };
    for (std::uint32_t v = 0; v < mesh_side * mesh_side; ++v) {
      if (v % mesh_side != mesh_side - 1) join(v, v + 1);
      if (v + mesh_side < mesh_side * mesh_side) join(v, v + mesh_side);
    }
    for (const auto& list : lists) {
      neighbours.insert(neighbours.end(), list.begin(), list.end());
      offsets.push_back(static_cast<std::uint32_t>(neighbours.size()));
    }
    while (search_from(source) < lists.size() / 2) ++source;
  }

 private:
  /// Vertices reached.
  std::size_t search_from(std::uint32_t from) {
    distances.assign(mesh_side * mesh_side, search::unreached);
    distances[from] = 0;
    std::vector<std::uint32_t> queue{from};
    for (std::size_t next = 0; next < queue.size(); ++next) {
      const std::uint32_t v = queue[next];
      for (std::uint32_t e = offsets[v]; e < offsets[v + 1]; ++e) {
        std::uint32_t& distance = distances[neighbours[e]];
        if (distance != search::unreached) continue;
        distance = distances[v] + 1;
        queue.push_back(neighbours[e]);
      }
    }
    levels = distances[queue.back()];
    return queue.size();
  }
};

struct LevelArgs {
  const std::uint32_t* offsets;
  const std::uint32_t* neighbours;
  std::uint32_t* distances;
  std::uint32_t* lists[2];
  std::uint32_t* counts;  ///< of three levels in turn
};

/// One level: from the list of its vertices to that of the next.
static __global__ void level_kernel(const __grid_constant__ LevelArgs args, std::uint32_t level) {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
  cudaTriggerProgrammaticLaunchCompletion();
#endif
  const std::uint32_t count = args.counts[level % 3];
  const std::uint32_t* list = args.lists[level % 2];
  std::uint32_t* next = args.lists[(level + 1) % 2];
  std::uint32_t* found = args.counts + (level + 1) % 3;
  if (blockIdx.x == 0 && threadIdx.x == 0) args.counts[(level + 2) % 3] = 0;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    const std::uint32_t v = list[i];
    const std::uint32_t end = args.offsets[v + 1];
    const std::uint32_t distance = args.distances[v] + 1;
    constexpr std::uint32_t together = 4;  // edges whose trips to memory overlap
    for (std::uint32_t e = args.offsets[v]; e < end; e += together) {
      std::uint32_t w[together];
      bool is_new[together];
#pragma unroll
      for (std::uint32_t k = 0; k < together; ++k) w[k] = e + k < end ? args.neighbours[e + k] : v;
#pragma unroll
      for (std::uint32_t k = 0; k < together; ++k) {
        is_new[k] = args.distances[w[k]] == search::unreached;
      }
      std::uint32_t count = 0;
#pragma unroll
      for (std::uint32_t k = 0; k < together; ++k) {
        is_new[k] = is_new[k] && atomicCAS(args.distances + w[k], search::unreached, distance) ==
                                     search::unreached;
        count += is_new[k] ? 1 : 0;
      }
      if (count == 0) continue;
      std::uint32_t slot = atomicAdd(found, count);
#pragma unroll
      for (std::uint32_t k = 0; k < together; ++k) {
        if (is_new[k]) next[slot++] = w[k];
      }
    }
  }
}

/// The search by launches.
class Levels {
 public:
  Levels(const Mesh& mesh, int device)
      : mesh_(mesh),
        offsets_(MemoryKind::device, mesh.offsets, device),
        neighbours_(MemoryKind::device, mesh.neighbours, device),
        distances_(MemoryKind::device, mesh.distances.size(), device),
        first_(MemoryKind::device, mesh.distances.size(), device),
        second_(MemoryKind::device, mesh.distances.size(), device),
        counts_(MemoryKind::device, 3, device),
        count_(MemoryKind::mapped, 1, device) {}
  ~Levels() { forget_graph(); }
  Levels(const Levels&) = delete;
  Levels& operator=(const Levels&) = delete;

  void start() {
    std::vector<std::uint32_t> distances(distances_.size(), search::unreached);
    distances[mesh_.source] = 0;
    distances_.upload(distances);
    first_.upload(std::vector<std::uint32_t>{mesh_.source});
    counts_.upload(std::vector<std::uint32_t>{1, 0, 0});
  }

  /// A launch for each level, just as many blocks as it takes.
  void run_launches(unsigned threads) {
    std::uint32_t count = 1;
    for (std::uint32_t level = 0; count != 0; ++level) {
      launch((count + threads - 1) / threads, threads, level, false);
      count = read_count((level + 1) % 3);
    }
  }

  void run_graph() {
    for (std::uint32_t level = 0;; level += graph_levels) {
      AATGS_CUDA(cudaGraphLaunch(graph_, stream_.get()), "launching a graph of levels");
      if (read_count(0) == 0) return;
      if (level > mesh_.distances.size()) throw Error("a search by levels does not end");
    }
  }

  void capture(unsigned blocks, unsigned threads, bool programmatic) {
    forget_graph();
    cudaGraph_t graph = nullptr;
    AATGS_CUDA(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal),
               "capturing levels");
    for (std::uint32_t level = 0; level < graph_levels; ++level) {
      launch(blocks, threads, level, programmatic && level != 0);
    }
    AATGS_CUDA(cudaStreamEndCapture(stream_.get(), &graph), "capturing levels");
    const cudaError_t error = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    AATGS_CUDA(error, "instantiating a graph of levels");
  }

  [[nodiscard]] static bool has_dependent_launch(int device) {
    return aatgs::has_dependent_launch(device, reinterpret_cast<const void*>(&level_kernel));
  }

  [[nodiscard]] std::vector<std::uint32_t> distances() const { return distances_.download(); }

 private:
  static constexpr std::uint32_t graph_levels = 60;  // even, and a multiple of three

  void launch(unsigned blocks, unsigned threads, std::uint32_t level, bool programmatic) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(threads);
    config.stream = stream_.get();
    config.attrs = &attribute;
    config.numAttrs = programmatic ? 1 : 0;
    const LevelArgs args{offsets_.data(),
                         neighbours_.data(),
                         distances_.data(),
                         {first_.data(), second_.data()},
                         counts_.data()};
    AATGS_CUDA(cudaLaunchKernelEx(&config, level_kernel, args, level), "launching a level");
  }

  std::uint32_t read_count(std::uint32_t which) {
    AATGS_CUDA(cudaMemcpyAsync(count_.data(), counts_.data() + which, sizeof(std::uint32_t),
                               cudaMemcpyDeviceToHost, stream_.get()),
               "reading the length of a level");
    AATGS_CUDA(cudaStreamSynchronize(stream_.get()), "searching by levels");
    return *count_.data();
  }

  void forget_graph() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
  }

  const Mesh& mesh_;
  Buffer<std::uint32_t> offsets_, neighbours_, distances_, first_, second_, counts_, count_;
  Stream stream_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace aatgs::bench
