// SPDX-License-Identifier: Apache-2.0
// The conjugate gradient suite on the GPU's executors.
#include "../brief.hpp"
#include "../integrations/cg_suite.hpp"

namespace aatgs::linear::test {

std::vector<Variant> executors() {
  std::vector<Variant> all;
  using Kinds = std::vector<ExecutorKind>;
  for (const auto kind :
       aatgs::test::brief_or(Kinds{ExecutorKind::resident},
                             Kinds{ExecutorKind::resident, ExecutorKind::launch,
                                   ExecutorKind::graph, ExecutorKind::triple_buffer})) {
    // One block could not hold the larger matrices in its shared memory.
    for (const std::uint32_t workers :
         aatgs::test::brief_or<std::vector<std::uint32_t>>({3}, {0, 2, 3})) {
      CgOptions options;
      options.context.executor = kind;
      options.context.workers = workers;
      all.emplace_back(std::string(to_string(kind)) + ", workers: " + std::to_string(workers),
                       options);
    }
  }
  return all;
}

}  // namespace aatgs::linear::test
