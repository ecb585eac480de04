// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include "machine.hpp"
#include "part_runner.hpp"

extern char** environ;  // NOLINT: POSIX names it so

namespace aatgs::soak {

using namespace std::chrono_literals;

namespace {

constexpr char ready = 'r';
constexpr auto child_life = 60s;

[[noreturn]] void fail(const std::string& what, int error) {
  throw Error(what + ": " + std::system_category().message(error));
}

/// A process of this program that keeps the executor busy. Killed when it goes out of scope.
class BusyChild {
 public:
  BusyChild(const Settings& settings, Scope scope, std::uint64_t seed) {
    int ends[2];
    if (pipe(ends) != 0) fail("making a pipe", errno);
    output_ = ends[0];
    const std::string words[] = {"aatgs_soak",
                                 "--be-killed",
                                 std::string(to_string(scope)),
                                 "--executor",
                                 std::string(to_string(settings.executor)),
                                 "--device",
                                 std::to_string(settings.device),
                                 "--seed",
                                 std::to_string(seed)};
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    const int error =
        posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error != 0) fail("starting the process that is to be killed", error);
  }
  ~BusyChild() {
    kill();
    close(output_);
  }
  BusyChild(const BusyChild&) = delete;
  BusyChild& operator=(const BusyChild&) = delete;

  /// Whether it says within a minute that configs come back.
  [[nodiscard]] bool is_busy() const {
    pollfd entry{output_, POLLIN, 0};
    char said = 0;
    return ::poll(&entry, 1, 60'000) == 1 && read(output_, &said, 1) == 1 && said == ready;
  }

  /// Whether SIGKILL was what ended it.
  bool kill() {
    if (pid_ < 0) return false;
    ::kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// Waits until the device has the memory of a killed process back.
bool has_memory_back(int device, std::uint64_t before) {
  constexpr std::uint64_t tolerance = 64U << 20;
  for (int i = 0; i < 200; ++i) {
    if (device_bytes(device).value_or(0) <= before + tolerance) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

Piece kill_one(const Soak& soak, Random& random) {
  Piece piece;
  Tally& tally = piece.tally;
  const Scope scope = random.one_in(2) ? Scope::block : Scope::grid;
  const std::uint64_t before = device_bytes(soak.settings.device).value_or(0);
  piece.about = "a process of its own under load in scope " + std::string(to_string(scope));
  soak.watch.note(piece.about);
  {
    BusyChild child(soak.settings, scope, random.next() >> 1);
    if (!child.is_busy()) {
      tally.blame(&Tally::other, "the process that is to be killed did not come to run configs");
      return piece;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(200'000)));
    if (!child.kill()) {
      tally.blame(&Tally::other, "the process ended before it was killed");
    }
  }
  if (!has_memory_back(soak.settings.device, before)) {
    tally.blame(&Tally::other, "the device memory of a killed process was not free after 10 s");
  }
  for (const Scope clean : {Scope::block, Scope::grid}) {
    const SegmentPlan plan = draw_steady(random, soak.settings, clean, 200ms);
    piece.about += "; then " + describe(plan);
    tally += run_segment(plan, soak.make, soak.watch);
  }
  return piece;
}

}  // namespace

PartResult soak_killed(const Soak& soak, std::uint64_t goal) {
  Random random(mix(soak.settings.seed) + 5);
  PartResult part;
  part.name = "killed";
  part.unit = "processes";
  part.goal = goal;
  return run_part(soak, part, [&](std::uint64_t) { return kill_one(soak, random); });
}

int be_killed(const Soak& soak, Scope scope) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::jthread teller([&](const std::stop_token& stop) {
    while (soak.watch.collected() < 100 && !stop.stop_requested()) std::this_thread::sleep_for(1ms);
    if (write(STDOUT_FILENO, &ready, 1) != 1) std::_Exit(1);
  });
  Random random(soak.settings.seed);
  const Tally tally =
      run_segment(draw_steady(random, soak.settings, scope, child_life), soak.make, soak.watch);
  return tally.errors() == 0 ? 0 : 1;
}

}  // namespace aatgs::soak
