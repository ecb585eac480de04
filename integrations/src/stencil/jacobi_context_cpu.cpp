// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_context.hpp>

#include "jacobi_context.hpp"

namespace aatgs::stencil {

const std::vector<ShapeTraits>& tile_shapes() {
  static const std::vector<ShapeTraits> none;
  return none;
}

std::size_t most_tile_scratch(int) {
  return 0;
}

JacobiContext make_tile_context(std::size_t, const TileMemory<float>&, const ContextOptions&) {
  throw OptionError("Jacobi on tiles in a build without CUDA: use the form 'plain'");
}

JacobiContext make_plain_context(const JacobiPlainStep<float>& step,
                                 const ContextOptions& options) {
  return make_cpu_context<JacobiSlice, JacobiProgress>(step, options);
}

}  // namespace aatgs::stencil
