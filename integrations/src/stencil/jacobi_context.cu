// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/make_context.cuh>
#include <aatgs/integrations/stencil/jacobi_tile_step.cuh>

#include "jacobi_context.hpp"

namespace aatgs::stencil {
namespace {

using Make = JacobiContext (*)(const TileMemory<float>&, const ContextOptions&);

struct Compiled {
  ShapeTraits traits;
  Make make;
};

template <TilePlace place, unsigned columns, unsigned rows, unsigned warps, unsigned source_rows>
Compiled compiled() {
  using Shape = TileShape<columns, rows, warps, source_rows>;
  return {Shape::traits(place), [](const TileMemory<float>& memory, const ContextOptions& options) {
            return make_context<JacobiSlice, JacobiProgress>(
                JacobiTileStep<float, Shape, place>{memory}, options);
          }};
}

/// Columns, rows and warps as large as registers allow without spills in the loop (nvcc 13, sm_90);
/// small ones for small fields, where a halo costs more than an exchange.
const std::vector<Compiled>& all_compiled() {
  constexpr auto chip = TilePlace::chip;
  static const std::vector<Compiled> all = {
      compiled<chip, 2, 16, 4, 16>(),
      compiled<chip, 3, 16, 4, 16>(),
      compiled<chip, 4, 16, 4, 16>(),
      compiled<chip, 4, 16, 8, 16>(),
      compiled<chip, 8, 21, 8, 0>(),
      compiled<TilePlace::memory, 4, 16, 8, 16>(),
      compiled<TilePlace::memory, 8, 20, 8, 0>(),
  };
  return all;
}

}  // namespace

const std::vector<ShapeTraits>& tile_shapes() {
  static const std::vector<ShapeTraits> shapes = [] {
    std::vector<ShapeTraits> list;
    for (const Compiled& c : all_compiled()) list.push_back(c.traits);
    return list;
  }();
  return shapes;
}

std::size_t most_tile_scratch(int device) {
  int bytes = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
             "asking for the shared memory of device " + std::to_string(device));
  constexpr std::size_t for_the_runtime = 4096;  // its own shared variables, under 1 KiB
  return static_cast<std::size_t>(bytes) - for_the_runtime;
}

JacobiContext make_tile_context(std::size_t shape, const TileMemory<float>& memory,
                                const ContextOptions& options) {
  return all_compiled().at(shape).make(memory, options);
}

JacobiContext make_plain_context(const JacobiPlainStep<float>& step,
                                 const ContextOptions& options) {
  return make_context<JacobiSlice, JacobiProgress>(step, options);
}

}  // namespace aatgs::stencil
