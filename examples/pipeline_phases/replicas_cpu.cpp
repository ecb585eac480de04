// SPDX-License-Identifier: Apache-2.0
// In builds without CUDA.
#include "replicas.hpp"
#include "replicas_on_host.hpp"

namespace pipeline_phases {

aatgs::StreamWork search_work(const Replicas& replicas) {
  return [replicas](aatgs::StreamTarget) { search_on_host(replicas); };
}

aatgs::StreamWork choice_work(const Choice& choice) {
  return [choice](aatgs::StreamTarget) { choose(HostTeam{}, choice); };
}

}  // namespace pipeline_phases
