// SPDX-License-Identifier: Apache-2.0
// The conjugate gradient suite on the GPU's executors.
#include "../integrations/cg_suite.hpp"

namespace aatgs::linear::test {

std::vector<Variant> executors() {
  std::vector<Variant> all;
  for (const auto kind : {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph}) {
    // One block could not hold the larger matrices in its shared memory.
    for (const std::uint32_t workers : {0U, 2U, 3U}) {
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
