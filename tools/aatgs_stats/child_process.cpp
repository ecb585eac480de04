// SPDX-License-Identifier: Apache-2.0
#include "child_process.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <array>
#include <system_error>

namespace aatgs {
namespace {

using Clock = std::chrono::steady_clock;

sigset_t awaited_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

/// The next of these signals; -1 if none came in time.
int next_signal(std::chrono::nanoseconds most) {
  const sigset_t set = awaited_signals();
  const auto ns = std::max<std::int64_t>(most.count(), 0);
  const timespec time{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  return ::sigtimedwait(&set, nullptr, &time);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto names_it = [&](const std::string& added) {
      return added.substr(0, added.find('=')) == text.substr(0, text.find('='));
    };
    if (std::none_of(more.begin(), more.end(), names_it)) all.push_back(text);
  }
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// In the new process: only calls that need no memory. Ends in the program, or tells `errno`.
[[noreturn]] void become(char* const* arguments, char* const* environment, const char* error_file,
                         const sigset_t& mask, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  const int none = ::open("/dev/null", O_RDWR);
  const int errors = ::open(error_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (none >= 0 && errors >= 0 && ::dup2(none, 0) == 0 && ::dup2(none, 1) == 1 &&
      ::dup2(errors, 2) == 2) {
    ::execvpe(arguments[0], arguments, environment);
  }
  const int why = errno;
  [[maybe_unused]] const ssize_t written = ::write(report, &why, sizeof(why));
  ::_exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command,
                           const std::vector<std::string>& environment,
                           const std::string& error_file) {
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = environment_with(environment);
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> variable_pointers = pointers(variables);
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) {
    throw Error("cannot make a pipe: " + std::generic_category().message(errno));
  }
  ::signal(SIGCHLD, SIG_DFL);  // if it was ignored, nobody could ask how the child ended
  const sigset_t set = awaited_signals();
  ::sigprocmask(SIG_BLOCK, &set, &before_);
  pid_ = ::fork();
  const int fork_error = errno;
  if (pid_ == 0) {
    become(argument_pointers.data(), variable_pointers.data(), error_file.c_str(), before_,
           report[1]);
  }
  ::close(report[1]);
  int why = 0;
  const bool failed = pid_ > 0 && ::read(report[0], &why, sizeof(why)) == ssize_t{sizeof(why)};
  ::close(report[0]);
  if (pid_ > 0 && !failed) return;
  end();
  if (!failed) throw Error("cannot fork: " + std::generic_category().message(fork_error));
  throw InputError("cannot run '" + command.front() + "': " + std::generic_category().message(why));
}

ChildProcess::~ChildProcess() {
  end();
}

ChildEnd ChildProcess::wait(std::chrono::seconds timeout) {
  const auto end = Clock::now() + timeout;
  for (;;) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      has_ended_ = true;
      if (WIFSIGNALED(status)) return {ChildEnd::Kind::signaled, WTERMSIG(status)};
      return {ChildEnd::Kind::exited, WEXITSTATUS(status)};
    }
    const auto left = end - Clock::now();
    if (left.count() <= 0) return {ChildEnd::Kind::timed_out, 0};
    const int number = next_signal(left);
    if (number > 0 && number != SIGCHLD) return {ChildEnd::Kind::interrupted, number};
  }
}

void ChildProcess::end() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);  // the group, of which some may be left
    if (!has_ended_) ::waitpid(pid_, nullptr, 0);
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace aatgs
