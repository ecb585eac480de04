// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "replicas.hpp"

namespace pipeline_phases {

/// All replicas one after the other.
inline void search_on_host(const Replicas& replicas) {
  for (std::uint32_t i = 0; i < replicas.count; ++i) search_replica(HostTeam{}, replicas, i);
}

}  // namespace pipeline_phases
