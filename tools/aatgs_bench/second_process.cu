// SPDX-License-Identifier: Apache-2.0
#include "second_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/memory.hpp>

#include "cuda_handles.cuh"

namespace aatgs::bench {

namespace {

constexpr unsigned longest_life_s = 12;
constexpr double enough_ms = 2500;  // of rounds: beside a busy context they may be slow
constexpr unsigned rounds = 5;
constexpr unsigned kernels_in_round = 100;
constexpr unsigned links = 40'000;  // about 90 us of multiply-adds, each waiting for the last

/// A fixed amount of work, however often it is interrupted.
__global__ void work(float* value) {
  float x = *value;
  for (unsigned i = 0; i < links; ++i) x = x * 0.999F + 0.5F;
  *value = x;
}

double round_ms(float* value, unsigned kernels, cudaStream_t stream) {
  const std::uint64_t begin = host_now_ns();
  for (unsigned i = 0; i < kernels; ++i) {
    work<<<1, 1, 0, stream>>>(value);
    AATGS_CUDA(cudaGetLastError(), "launching a kernel of the second process");
    AATGS_CUDA(cudaStreamSynchronize(stream), "running a kernel of the second process");
  }
  return static_cast<double>(host_now_ns() - begin) / 1e6;
}

/// All that the descriptor gives until its other end is closed.
std::string read_all(int descriptor) {
  std::string text;
  char piece[256];
  for (;;) {
    const ssize_t count = read(descriptor, piece, sizeof piece);
    if (count > 0) text.append(piece, static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR)) return text;
  }
}

std::vector<double> failed(const std::string& why) {
  std::cerr << "second process: not measured: " << why << std::endl;
  return {};
}

}  // namespace

std::vector<double> run_second_process(int device) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(std::system_category().message(errno));
  const std::string number = std::to_string(device);
  const char* const arguments[] = {"aatgs_bench", "--second-process", "--device", number.c_str(),
                                   nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = -1;
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr,
                                const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  const std::string output = error == 0 ? read_all(ends[0]) : "";
  close(ends[0]);
  if (error != 0) return failed(std::system_category().message(error));
  int status = 0;
  while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    return failed("no end within " + std::to_string(longest_life_s) + " s");
  }
  if (status != 0) return failed("it ended with status " + std::to_string(status));
  std::istringstream numbers(output);
  return {std::istream_iterator<double>(numbers), {}};
}

int be_second_process(int device) {
  alarm(longest_life_s);  // ends it wherever it waits
  AATGS_CUDA(cudaSetDevice(device), "selecting the device");
  Buffer<float> value(MemoryKind::device, 1, device);
  value.upload(std::vector<float>(1));
  Stream stream;
  round_ms(value.data(), 1, stream.get());  // loads the kernel
  double sum_ms = 0;
  for (unsigned i = 0; i < rounds && sum_ms < enough_ms; ++i) {
    const double ms = round_ms(value.data(), kernels_in_round, stream.get());
    std::cout << ms << "\n";
    sum_ms += ms;
  }
  return 0;
}

}  // namespace aatgs::bench
