// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace aatgs {

/// How a process ended.
struct ChildEnd {
  enum class Kind { exited, signaled, timed_out, interrupted } kind;
  int number;  ///< exit status, or signal; `interrupted`: the signal that this process got
};

/// A process in a group of its own. Reads nothing, prints to nowhere, and its standard error stream
/// goes to a file. For a process with one thread, one object at a time: meanwhile SIGCHLD, SIGINT,
/// SIGTERM and SIGHUP are held back.
class ChildProcess {
 public:
  /// `environment`: NAME=VALUE, beside this process' own or instead of it. Throws `InputError` if
  /// the program cannot be run.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment,
               const std::string& error_file);
  /// Ends the whole group.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Until it ends, this process is told to end, or the time is over.
  ChildEnd wait(std::chrono::seconds timeout);

 private:
  void end();

  sigset_t before_;
  pid_t pid_ = -1;
  bool has_ended_ = false;
};

}  // namespace aatgs
