// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "measurement.hpp"

namespace aatgs {

/// Runs a program that uses the library, gives it the ring sizes by environment variables, and
/// takes what it did from the statistics pages that it leaves in a directory of its own.
class CommandRunner {
 public:
  /// `command`: the program and its arguments; not empty. After `timeout` a run is ended.
  CommandRunner(std::vector<std::string> command, std::chrono::seconds timeout)
      : command_(std::move(command)), timeout_(timeout) {}

  /// Policies are the program's own; the result has those that it used. All that the program
  /// started ends with this call, also when it throws: `InputError` if it cannot be run, publishes
  /// nothing, does not take its ring sizes from the environment, or runs too few configs;
  /// `TimeoutError`; `Error` if it fails, or this process is told to end by SIGINT, SIGTERM or
  /// SIGHUP meanwhile.
  Measurement operator()(const Setting& setting) const;

 private:
  [[nodiscard]] Measurement read_pages(const std::string& directory, Setting setting) const;

  std::vector<std::string> command_;
  std::chrono::seconds timeout_;
};

}  // namespace aatgs
