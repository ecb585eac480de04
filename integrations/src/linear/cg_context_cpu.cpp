// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_managed_context.hpp>

#include "cg_context.hpp"

namespace aatgs::linear {

std::size_t most_scratch(ExecutorKind, int) {
  return std::size_t{1} << 20;
}

std::size_t cache_bytes(ExecutorKind, int) {
  return 0;
}

ManagedCg make_cg_context(const CgChip& chip, const ContextOptions& options) {
  return make_cpu_managed_context<CgSlice, CgProgress>(CgChipStep{chip}, {.context = options});
}
ManagedCg make_cg_context(const CgMemory& memory, const ContextOptions& options) {
  return make_cpu_managed_context<CgSlice, CgProgress>(CgMemoryStep{memory}, {.context = options});
}

}  // namespace aatgs::linear
