// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace aatgs::detail {

/// When the process began, in clock ticks since boot; 0: there is none (or only its corpse).
std::uint64_t start_of_process(std::uint32_t pid);

/// The inode of this process' pid namespace; 0: /proc does not tell.
std::uint64_t own_pid_namespace();

}  // namespace aatgs::detail
