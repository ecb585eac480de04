// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/launched_jacobi.hpp>
#include <aatgs/integrations/stencil/poisson_jacobi.hpp>
#include <aatgs/integrations/stencil/tile_primitives.cuh>
#include <array>
#include <limits>
#include <utility>

#include "padded_field.hpp"

namespace aatgs::stencil {
namespace {

enum class Dependence { stream, late, early };

template <Dependence dependence>
__device__ void await_input() {
#if __CUDA_ARCH__ >= 900
  if constexpr (dependence == Dependence::early) cudaTriggerProgrammaticLaunchCompletion();
  if constexpr (dependence != Dependence::stream) cudaGridDependencySynchronize();
  if constexpr (dependence == Dependence::late) cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/// One iteration. The source, which never changes, is read before the input is waited for.
template <unsigned columns, unsigned rows, Dependence dependence>
__global__ void iterate_once(FieldLayout layout, const float* from, float* to,
                             const float* source) {
  using Packed = Pack<float, columns>;
  const auto x = static_cast<std::int32_t>((blockIdx.x * blockDim.x + threadIdx.x) * columns);
  const auto y = static_cast<std::int32_t>((blockIdx.y * blockDim.y + threadIdx.y) * rows);
  if (x >= layout.n || y >= layout.n) return;
  const auto read = [](const float* at) { return *reinterpret_cast<const Packed*>(at); };
  const std::ptrdiff_t first = layout.at(x, y);
  const float* s = source + first;
  Packed sources[rows];
#pragma unroll
  for (unsigned i = 0; i < rows; ++i) {
    if (y + static_cast<std::int32_t>(i) < layout.n) sources[i] = read(s + i * layout.pitch);
  }
  await_input<dependence>();
  const float* u = from + first;
  Packed above = read(u - layout.pitch);
  Packed here = read(u);
#pragma unroll
  for (unsigned i = 0; i < rows; ++i, u += layout.pitch) {
    if (y + static_cast<std::int32_t>(i) >= layout.n) return;
    const Packed below = read(u + layout.pitch);
    const float left = u[-1];
    const float right = u[columns];
    Packed next;
#pragma unroll
    for (unsigned j = 0; j < columns; ++j) {
      const float l = j > 0 ? here.value[j > 0 ? j - 1 : 0] : left;
      const float r = j + 1 < columns ? here.value[j + 1 < columns ? j + 1 : 0] : right;
      next.value[j] = jacobi_point(l + above.value[j], r + below.value[j], sources[i].value[j]);
    }
    float* out = to + (u - from);
    if (x + static_cast<std::int32_t>(columns) <= layout.n) {
      *reinterpret_cast<Packed*>(out) = next;
    } else {
      for (unsigned j = 0; j < columns && x + static_cast<std::int32_t>(j) < layout.n; ++j) {
        out[j] = next.value[j];
      }
    }
    above = here;
    here = below;
  }
}

using Kernel = void (*)(FieldLayout, const float*, float*, const float*);

template <Dependence dependence>
Kernel kernel_of(const LaunchShape& shape) {
  switch (shape.columns * 16 + shape.rows) {
    case 16 + 1:
      return &iterate_once<1, 1, dependence>;
    case 16 + 2:
      return &iterate_once<1, 2, dependence>;
    case 16 + 4:
      return &iterate_once<1, 4, dependence>;
    case 64 + 1:
      return &iterate_once<4, 1, dependence>;
    case 64 + 2:
      return &iterate_once<4, 2, dependence>;
    case 64 + 4:
      return &iterate_once<4, 4, dependence>;
    case 64 + 8:
      return &iterate_once<4, 8, dependence>;
    default:
      throw UseError("no kernel of the shape " + shape.name());
  }
}

Kernel kernel_of(const LaunchShape& shape, LaunchRoad road) {
  if (road != LaunchRoad::graph_pdl) return kernel_of<Dependence::stream>(shape);
  return shape.early ? kernel_of<Dependence::early>(shape) : kernel_of<Dependence::late>(shape);
}

}  // namespace

struct LaunchedJacobi::State {
  State(std::uint32_t n, LaunchRoad r, int device)
      : road(r),
        layout(FieldLayout::of(static_cast<std::int32_t>(n), 0)),
        field(MemoryKind::device, layout.size(), device),
        spare(MemoryKind::device, layout.size(), device),
        source(MemoryKind::device, layout.size(), device),
        stream(device, "making a stream") {
    use({});
  }
  ~State() {
    cudaStreamSynchronize(stream.get());
    if (graph != nullptr) cudaGraphExecDestroy(graph);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void use(const LaunchShape& wanted) {
    kernel = kernel_of(wanted, road);
    shape = wanted;
    if (road != LaunchRoad::launch) capture();
  }

  void capture() {
    if (graph != nullptr) cudaGraphExecDestroy(std::exchange(graph, nullptr));
    AATGS_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal),
               "capturing a graph of iterations");
    for (std::uint64_t i = 0; i < graph_iterations; ++i) launch(i % 2 != 0);
    cudaGraph_t captured = nullptr;
    AATGS_CUDA(cudaStreamEndCapture(stream.get(), &captured), "capturing a graph of iterations");
    const cudaError_t error = cudaGraphInstantiate(&graph, captured, 0);
    cudaGraphDestroy(captured);
    AATGS_CUDA(error, "instantiating a graph of iterations");
    AATGS_CUDA(cudaGraphUpload(graph, stream.get()), "uploading a graph of iterations");
  }

  void launch(bool back) {
    const auto n = static_cast<unsigned>(layout.n);
    const auto blocks = [n](unsigned points) { return (n + points - 1) / points; };
    cudaLaunchConfig_t config{};
    config.gridDim =
        dim3(blocks(shape.columns * shape.block_x), blocks(shape.rows * shape.block_y));
    config.blockDim = dim3(shape.block_x, shape.block_y);
    config.stream = stream.get();
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = road == LaunchRoad::graph_pdl ? 1 : 0;
    const float* from = back ? spare.data() : field.data();
    float* to = back ? field.data() : spare.data();
    AATGS_CUDA(cudaLaunchKernelEx(&config, kernel, layout, from, to,
                                  static_cast<const float*>(source.data())),
               "launching an iteration of the shape " + shape.name());
  }

  LaunchRoad road;
  LaunchShape shape;
  Kernel kernel = nullptr;
  FieldLayout layout;
  Buffer<float> field;
  Buffer<float> spare;
  Buffer<float> source;
  detail::StreamHandle stream;
  cudaGraphExec_t graph = nullptr;
};

bool LaunchedJacobi::is_available(LaunchRoad road, int device) {
  return road != LaunchRoad::graph_pdl ||
         has_dependent_launch(device, reinterpret_cast<const void*>(kernel_of({}, road)));
}

LaunchedJacobi::LaunchedJacobi(std::uint32_t n, std::span<const float> f, LaunchRoad road,
                               int device) {
  check_values(n, f.size());
  if (!is_available(road, device)) {
    throw OptionError(
        "road '" + std::string(to_string(road)) + "' on device " + std::to_string(device) +
        ": the GPU, or the code as compiled, is of a compute capability below 9.0 and "
        "has no programmatic dependent launch: take 'graph'");
  }
  state_ = std::make_unique<State>(n, road, device);
  upload_field(state_->layout, scaled_source(n, f), state_->source);
}

LaunchedJacobi::~LaunchedJacobi() = default;

void LaunchedJacobi::iterate(std::uint64_t iterations) {
  State& state = *state_;
  std::uint64_t left = iterations;
  if (state.graph != nullptr) {
    for (; left >= graph_iterations; left -= graph_iterations) {
      AATGS_CUDA(cudaGraphLaunch(state.graph, state.stream.get()),
                 "launching a graph of iterations");
    }
  }
  for (std::uint64_t i = 0; i < left; ++i) state.launch(i % 2 != 0);
  if (left % 2 != 0) {
    AATGS_CUDA(
        cudaMemcpyAsync(state.field.data(), state.spare.data(), state.layout.size() * sizeof(float),
                        cudaMemcpyDeviceToDevice, state.stream.get()),
        "copying the field back");
  }
  AATGS_CUDA(cudaStreamSynchronize(state.stream.get()), "running Jacobi iterations");
}

std::vector<float> LaunchedJacobi::field() const {
  return download_field(state_->layout, state_->field);
}

void LaunchedJacobi::set_field(std::span<const float> u) {
  upload_field(state_->layout, u, state_->field);
}

std::vector<LaunchShape> LaunchedJacobi::shapes(LaunchRoad road) {
  constexpr std::array<std::pair<unsigned, unsigned>, 7> threads{
      {{1, 1}, {1, 2}, {1, 4}, {4, 1}, {4, 2}, {4, 4}, {4, 8}}};
  constexpr std::array<std::pair<unsigned, unsigned>, 6> blocks{
      {{32, 2}, {32, 4}, {32, 8}, {64, 4}, {64, 8}, {128, 2}}};
  std::vector<LaunchShape> all;
  for (const auto& [columns, rows] : threads) {
    for (const auto& [x, y] : blocks) {
      all.push_back({columns, rows, x, y, false});
      if (road == LaunchRoad::graph_pdl) all.push_back({columns, rows, x, y, true});
    }
  }
  return all;
}

LaunchShape LaunchedJacobi::tune() {
  constexpr std::uint64_t patience_ns = 3'000'000;
  LaunchShape best;
  std::uint64_t best_ns = std::numeric_limits<std::uint64_t>::max();
  for (const LaunchShape& shape : shapes(state_->road)) {
    set_shape(shape);
    iterate(graph_iterations);
    const std::uint64_t begin = host_now_ns();
    for (std::uint64_t start = begin; start - begin < patience_ns;) {
      iterate(graph_iterations);
      const std::uint64_t end = host_now_ns();
      if (end - start < best_ns) {
        best_ns = end - start;
        best = shape;
      }
      start = end;
    }
  }
  set_shape(best);
  return best;
}

void LaunchedJacobi::set_shape(const LaunchShape& shape) {
  state_->use(shape);
}

std::string LaunchShape::name() const {
  return std::to_string(columns) + "x" + std::to_string(rows) + " points a thread, blocks of " +
         std::to_string(block_x) + "x" + std::to_string(block_y) + (early ? ", early" : "");
}

std::string_view to_string(LaunchRoad road) {
  switch (road) {
    case LaunchRoad::launch:
      return "launch";
    case LaunchRoad::graph:
      return "graph";
    case LaunchRoad::graph_pdl:
      return "graph_pdl";
  }
  return "unknown";
}

}  // namespace aatgs::stencil
