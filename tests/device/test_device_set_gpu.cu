// SPDX-License-Identifier: Apache-2.0
// Copies between GPUs. With one GPU, what needs two says so and is skipped. What faults runs in a
// process of its own: a hidden test case.
#include <aatgs/host/stream/device_set.hpp>
#include <string>
#include <vector>

#include "../brief.hpp"
#include "several_gpus.hpp"

namespace aatgs::test {
namespace {

constexpr std::uint64_t busy_ns = 5'000'000;

__device__ std::uint64_t timer_ns() {
  std::uint64_t ns;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(ns));
  return ns;
}

/// Late, so that who does not wait finds what was there.
__global__ void fill_late_kernel(int* values, std::size_t count, int value, std::uint64_t ns) {
  const std::uint64_t end = timer_ns() + ns;
  while (timer_ns() < end) __nanosleep(1000);
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    values[i] = value + static_cast<int>(i);
  }
}

__global__ void count_others_kernel(const int* values, std::size_t count, int value, int* others) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    if (values[i] != value + static_cast<int>(i)) atomicAdd_system(others, 1);
  }
}

cudaStream_t native(StreamTarget target) {
  return static_cast<cudaStream_t>(target.native);
}

void fill_late(Stream& stream, int* values, std::size_t count, int value) {
  stream.run([=](StreamTarget target) {
    fill_late_kernel<<<32, 256, 0, native(target)>>>(values, count, value, busy_ns);
  });
}

void count_others(Stream& stream, const int* values, std::size_t count, int value, int* others) {
  stream.run([=](StreamTarget target) {
    count_others_kernel<<<32, 256, 0, native(target)>>>(values, count, value, others);
  });
}

/// A word that host and GPUs reach.
class Word {
 public:
  explicit Word(const std::shared_ptr<StreamDevice>& device)
      : device_(device), word_(static_cast<int*>(device->allocate_pinned(sizeof(int)))) {}
  ~Word() { device_->free_pinned(word_); }
  Word(const Word&) = delete;
  Word& operator=(const Word&) = delete;
  int* get() const { return word_; }

 private:
  std::shared_ptr<StreamDevice> device_;
  int* word_;
};

/// To and fro between two streams, by what has `copy`: each waits for what was written late, and is
/// read before the source is written over.
template <class Way>
void check_copies(Stream& here, int* near, Stream& there, int* far, std::size_t count, Way& way) {
  CAPTURE(count);
  const Word others(here.device());
  for (int round = 0; round < 3; ++round) {
    fill_late(here, near, count, 100 * round);
    way.copy(there, far, here, near, count * sizeof(int));
    fill_late(here, near, count, -1);
    count_others(there, far, count, 100 * round, others.get());
    fill_late(there, far, count, 100 * round + 50);
    way.copy(here, near, there, far, count * sizeof(int));
    fill_late(there, far, count, -1);
    count_others(here, near, count, 100 * round + 50, others.get());
  }
  there.synchronize(patience);
  here.synchronize(patience);
  CHECK(*others.get() == 0);
}

/// The target's stream comes to the copy late, and the source is written over as soon as it may be.
template <class Way>
void check_held_target(Stream& here, int* near, Stream& there, int* far, std::size_t count,
                       Way& way) {
  CAPTURE(count);
  const Word others(here.device());
  for (int round = 0; round < 2; ++round) {
    fill_late(here, near, count, round);
    for (int i = 0; i < 3; ++i) fill_late(there, far, count, -1);
    way.copy(there, far, here, near, count * sizeof(int));
    here.set(near, 0xFF, count * sizeof(int));
    count_others(there, far, count, round, others.get());
  }
  there.synchronize(patience);
  here.synchronize(patience);
  CHECK(*others.get() == 0);
}

std::vector<std::size_t> counts() {
  return {1, (1 << 20) + 1, brief_or(std::size_t{1} << 20, std::size_t{12} << 20)};
}

// ---- one GPU is enough -------------------------------------------------------------------------

TEST_CASE("device set: a GPU is counted wrongly, taken twice, or taken where it is not") {
  int count = 0;
  REQUIRE(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(all_gpus().size() == static_cast<std::size_t>(count));
  const DeviceSet all = DeviceSet::gpus(all_gpus());
  MESSAGE("\n" << all.describe());
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all.link(i, i) == DeviceLink::same);
    CHECK(all.device(i)->ordinal() == static_cast<int>(i));
  }
  CHECK_THROWS_AS(DeviceSet::gpus(std::vector<int>{0, 0}), OptionError);
  CHECK_THROWS_AS(DeviceSet::gpus(std::vector<int>{0, count}), DeviceError);
  CHECK_THROWS_AS(DeviceSet::gpus(std::vector<int>{-1}), DeviceError);
}

TEST_CASE("device set: on one GPU a copy comes too early or late, directly or by the host") {
  const Watchdog watchdog("copies on one GPU");
  const std::vector<int> first{0};
  DeviceSet set = DeviceSet::gpus(first);
  StagedLink link(set.device(0), set.device(0), 1 << 20);
  Stream here(set.device(0));
  Stream there(set.device(0));
  for (const std::size_t count : counts()) {
    const StreamMemory near = set.memory(0).allocate_owned(here, count * sizeof(int));
    const StreamMemory far = set.memory(0).allocate_owned(there, count * sizeof(int));
    auto* from = static_cast<int*>(near.data());
    auto* to = static_cast<int*>(far.data());
    check_copies(here, from, there, to, count, set);
    check_copies(here, from, there, to, count, link);
    check_held_target(here, from, there, to, count, set);
    check_held_target(here, from, there, to, count, link);
  }
}

// ---- copies between two ------------------------------------------------------------------------

TEST_CASE("device set: between two GPUs a copy comes too early or late, directly or by the host") {
  if (!has_two_gpus()) return;
  const Watchdog watchdog("copies between GPUs");
  for (const bool by_host : {false, true}) {
    for (const bool pool_per_stream : {false, true}) {
      DeviceSetOptions options;
      options.prefer_staged = by_host;
      options.memory.pool_per_stream = pool_per_stream;
      const std::vector<int> two{0, 1};
      DeviceSet set = DeviceSet::gpus(two, options);
      CAPTURE(to_string(set.link(0, 1)));
      if (by_host) CHECK(set.link(0, 1) == DeviceLink::staged);
      Stream here(set.device(0));
      Stream there(set.device(1));
      for (const std::size_t count : counts()) {
        const StreamMemory near = set.memory(0).allocate_owned(here, count * sizeof(int));
        const StreamMemory far = set.memory(1).allocate_owned(there, count * sizeof(int));
        REQUIRE(cudaSetDevice(0) == cudaSuccess);  // whatever the thread had selected
        check_copies(here, static_cast<int*>(near.data()), there, static_cast<int*>(far.data()),
                     count, set);
        check_held_target(here, static_cast<int*>(near.data()), there,
                          static_cast<int*>(far.data()), count, set);
      }
    }
  }
}

/// It faults if it may not.
TEST_CASE("child: a kernel reads the pools of a peer" * doctest::skip()) {
  DeviceSetOptions options;
  options.memory.pool_per_stream = true;
  const std::vector<int> two{0, 1};
  DeviceSet set = DeviceSet::gpus(two, options);
  constexpr std::size_t count = 1000;
  const Word others(set.device(1));
  Stream there(set.device(1));
  const auto check = [&](StreamOrderedAllocator& memory, Stream& here) {
    const StreamMemory values = memory.allocate_owned(here, count * sizeof(int));
    auto* at = static_cast<int*>(values.data());
    fill_late(here, at, count, 5);
    here.synchronize(patience);
    set.prepare(0, 1);
    count_others(there, at, count, 5, others.get());
    there.synchronize(patience);
    CHECK(*others.get() == 0);
  };
  Stream before(set.device(0));
  check(set.memory(0), before);  // its pool is older than the access
  Stream after(set.device(0));
  check(set.memory(0), after);  // and this one newer
  StreamOrderedAllocator shared(set.device(0));
  check(shared, after);
}

TEST_CASE("device set: a kernel does not reach the pools of a peer") {
  if (!has_two_gpus()) return;
  const std::vector<int> two{0, 1};
  if (DeviceSet::gpus(two).link(0, 1) != DeviceLink::peer) {
    MESSAGE("SKIPPED: the two are no peers");
    return;
  }
  CHECK(run_child("a kernel reads the pools of a peer"));
}

}  // namespace
}  // namespace aatgs::test
