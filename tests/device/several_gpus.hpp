// SPDX-License-Identifier: Apache-2.0
// What tests of several GPUs share.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <aatgs/host/stream/device_set.hpp>
#include <cstdlib>
#include <string>

#include "../host/context_test_support.hpp"

namespace aatgs::test {

constexpr auto patience = 20s;

/// False, and says so, if there is one GPU only.
inline bool has_two_gpus() {
  if (all_gpus().size() >= 2) return true;
  MESSAGE("SKIPPED: it needs two GPUs, and there is one");
  return false;
}

/// Runs a hidden test case of this program; whether it ended well, in time.
inline bool run_child(const std::string& test_case, const std::string& environment = {}) {
  const std::string self = "/proc/" + std::to_string(getpid()) + "/exe";
  const std::string command =
      environment + " timeout 30 " + self + " --no-skip --minimal -tc='child: " + test_case + "'";
  return std::system(command.c_str()) == 0;
}

}  // namespace aatgs::test
