// SPDX-License-Identifier: Apache-2.0
// Streams, events, graphs and stream-ordered memory on CUDA itself. Every wait ends at a deadline.
#include <doctest/doctest.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/stream/advanced_stream_pool.hpp>
#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <aatgs/host/stream/stream_profiler.hpp>
#include <atomic>
#include <cstring>
#include <cuda/stream_ref>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../brief.hpp"

namespace aatgs::test {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;
constexpr std::uint64_t kernel_deadline_ns = 5'000'000'000;

__device__ std::uint64_t timer_ns() {
  std::uint64_t ns;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(ns));
  return ns;
}

/// Stays until `*open`, or its deadline.
__global__ void gate_kernel(const volatile int* open) {
  const std::uint64_t end = timer_ns() + kernel_deadline_ns;
  while (*open == 0 && timer_ns() < end) __nanosleep(1000);
}

__global__ void spin_kernel(std::uint64_t ns) {
  const std::uint64_t end = timer_ns() + ns;
  while (timer_ns() < end) __nanosleep(1000);
}

__global__ void add_kernel(int* values, std::size_t count, int plus) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    values[i] += plus;
  }
}

__global__ void count_others_kernel(const int* values, std::size_t count, int expected,
                                    int* others) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    if (values[i] != expected) atomicAdd(others, 1);
  }
}

cudaStream_t native(StreamTarget target) {
  return static_cast<cudaStream_t>(target.native);
}

void add(Stream& stream, int* values, std::size_t count, int plus) {
  stream.run([=](StreamTarget target) {
    add_kernel<<<64, 256, 0, native(target)>>>(values, count, plus);
  });
}

/// Pinned host memory, zeroed.
template <class T>
class Pinned {
 public:
  Pinned(std::shared_ptr<StreamDevice> device, std::size_t count)
      : device_(std::move(device)),
        data_(static_cast<T*>(device_->allocate_pinned(count * sizeof(T)))) {}
  ~Pinned() { device_->free_pinned(data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }

 private:
  std::shared_ptr<StreamDevice> device_;
  T* data_;
};

/// A kernel that stays in a stream until it is let go. Waits at its end until nothing needs its
/// flag.
/// Under tools that run one kernel at a time it is open from the beginning.
class Gate {
 public:
  explicit Gate(const std::shared_ptr<StreamDevice>& device) : open_(device, 1) {
    if (!holds()) open();
  }
  static bool holds() { return brief_or(false, true); }
  ~Gate() {
    open();
    for (const auto& done : held_) done->wait(patience);
  }
  void hold(Stream& stream) {
    stream.run([flag = open_.data()](StreamTarget target) {
      gate_kernel<<<1, 1, 0, native(target)>>>(flag);
    });
    held_.push_back(std::make_unique<Event>(stream.device()));
    stream.record(*held_.back());
  }
  void open() { std::atomic_ref<int>(open_[0]).store(1); }

 private:
  Pinned<int> open_;
  std::vector<std::unique_ptr<Event>> held_;
};

template <class Call>
std::string code_of(Call call) {
  try {
    call();
  } catch (const DeviceError& error) {
    CAPTURE(error.what());
    return error.code_name();
  }
  return "none";
}

struct Fixture {
  std::shared_ptr<StreamDevice> device = make_gpu_stream_device(0);
  StreamOrderedAllocator allocator{device};
  // Kernels are loaded when they are first used, which may wait for those that run.
  Fixture() {
    cudaFuncAttributes loaded{};
    for (const auto kernel :
         {reinterpret_cast<const void*>(&gate_kernel), reinterpret_cast<const void*>(&spin_kernel),
          reinterpret_cast<const void*>(&add_kernel),
          reinterpret_cast<const void*>(&count_others_kernel)}) {
      AATGS_CUDA(cudaFuncGetAttributes(&loaded, kernel), "loading the kernels of the test");
    }
  }
};

constexpr std::size_t count = 1 << 18;
constexpr std::size_t bytes = count * sizeof(int);

TEST_CASE_FIXTURE(Fixture, "copies go somewhere: up, on the device, down, and memset between") {
  Stream stream(device);
  Pinned<int> from(device, count), to(device, count);
  for (std::size_t i = 0; i < count; ++i) from[i] = static_cast<int>(i);
  const auto a = allocator.allocate_owned(stream, bytes);
  const auto b = allocator.allocate_owned(stream, bytes);
  stream.copy(a.data(), from.data(), bytes);
  add(stream, static_cast<int*>(a.data()), count, 5);
  stream.copy(b.data(), a.data(), bytes);
  stream.set(b.data(), 0xFF, 40);
  stream.copy(to.data(), b.data(), bytes);
  stream.synchronize(patience);
  CHECK(to[9] == -1);
  std::size_t wrong = 0;
  for (std::size_t i = 10; i < count; ++i) wrong += to[i] != static_cast<int>(i) + 5 ? 1 : 0;
  CHECK(wrong == 0);
  CHECK(stream.metrics().transfers == 3);
  CHECK(stream.metrics().bytes == 3 * bytes);
}

TEST_CASE_FIXTURE(Fixture, "a stream is none: work in it does not wait for that of another") {
  Stream busy(device), other(device);
  CHECK(busy.native() != nullptr);
  CHECK(busy.id() != other.id());
  const auto memory = allocator.allocate_owned(other, bytes);
  Gate gate(device);
  gate.hold(busy);
  other.set(memory.data(), 0, bytes);
  other.synchronize(patience);
  CHECK(other.is_idle());
  CHECK(busy.is_idle() != Gate::holds());
  gate.open();
  busy.synchronize(patience);
  CHECK(busy.is_idle());
}

TEST_CASE_FIXTURE(Fixture, "an event is no no-op, and a wait for it happens on the device") {
  Stream first(device), second(device);
  Event event(device);
  Pinned<int> result(device, 1);
  const auto memory = allocator.allocate_owned(first, sizeof(int));
  auto* value = static_cast<int*>(memory.data());
  first.set(value, 0, sizeof(int));
  Gate gate(device);
  gate.hold(first);
  add(first, value, 1, 42);
  first.record(event);
  second.wait(event);
  second.copy(result.data(), value, sizeof(int));
  if (Gate::holds()) {
    CHECK_FALSE(event.is_done());
    CHECK_THROWS_AS(event.wait(5ms), TimeoutError);
    CHECK_FALSE(second.is_idle());
    CHECK(result[0] == 0);
  }
  // That it was not ready is not blamed on the next launch.
  Stream(device).run([](StreamTarget) {});
  gate.open();
  second.synchronize(patience);
  CHECK(event.is_done());
  CHECK(result[0] == 42);
}

TEST_CASE_FIXTURE(Fixture, "callbacks may call CUDA, and come after the work") {
  Stream stream(device), other(device);
  Pinned<int> seen(device, 2);
  const auto memory = allocator.allocate_owned(stream, sizeof(int));
  auto* value = static_cast<int*>(memory.data());
  stream.set(value, 0, sizeof(int));
  Gate gate(device);
  std::atomic<int> calls{0};
  gate.hold(stream);
  add(stream, value, 1, 7);
  stream.on_completion([&](std::exception_ptr error) {
    void* made = nullptr;
    const bool is_well = error == nullptr && cudaMalloc(&made, 1 << 20) == cudaSuccess &&
                         cudaFree(made) == cudaSuccess;
    other.copy(seen.data(), value, sizeof(int));
    other.synchronize(patience);
    seen[1] = is_well ? 1 : 0;
    ++calls;
  });
  if (Gate::holds()) CHECK(calls == 0);
  gate.open();
  stream.synchronize(patience);
  CHECK(calls == 1);
  CHECK(seen[0] == 7);
  CHECK(seen[1] == 1);
}

TEST_CASE_FIXTURE(Fixture, "the end of a stream does not wait, and its work comes all the same") {
  Pinned<int> result(device, 1);
  std::atomic<int> calls{0};
  Gate gate(device);
  {
    Stream stream(device);
    gate.hold(stream);
    const auto memory = allocator.allocate_owned(stream, sizeof(int));
    stream.set(memory.data(), 1, sizeof(int));
    stream.copy(result.data(), memory.data(), sizeof(int));
    stream.on_completion([&](std::exception_ptr) { ++calls; });
  }
  if (Gate::holds()) CHECK(result[0] == 0);
  gate.open();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (calls == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(calls == 1);
  CHECK(result[0] == 0x01010101);
}

TEST_CASE_FIXTURE(Fixture, "freed memory is not reused too early: another stream still reads it") {
  Stream home(device), reader(device);
  Pinned<int> others(device, 1);
  Gate gate(device);
  auto* values = static_cast<int*>(allocator.allocate(home, bytes));
  home.set(values, 0, bytes);
  add(home, values, count, 42);
  allocator.use_in(values, reader);
  gate.hold(reader);
  reader.run([=, into = others.data()](StreamTarget target) {
    count_others_kernel<<<64, 256, 0, native(target)>>>(values, count, 42, into);
  });
  allocator.free(home, values);
  // Of the same size, so that the pool would like to give the same memory again.
  void* next = allocator.allocate(home, bytes);
  home.set(next, 0, bytes);
  gate.open();
  reader.synchronize(patience);
  home.synchronize(patience);
  CHECK(others[0] == 0);
  allocator.free(home, next);
}

TEST_CASE_FIXTURE(Fixture, "memory freed in another stream, and by owners after the stream's end") {
  Stream other(device);
  Gate gate(device);
  StreamMemory memory;
  {
    Stream home(device);
    void* data = allocator.allocate(home, bytes);
    memory = allocator.allocate_owned(home, bytes);
    gate.hold(home);
    home.set(data, 1, bytes);
    home.set(memory.data(), 1, bytes);
    allocator.free(other, data);
  }
  memory.free();
  if (Gate::holds()) CHECK_FALSE(other.is_idle());
  gate.open();
  other.synchronize(patience);
  CHECK(allocator.stats().all.blocks == 0);
}

TEST_CASE_FIXTURE(Fixture, "10,000 cycles of allocating and freeing do not grow the pool") {
  Stream stream(device);
  const auto cycle = [&] {
    void* a = allocator.allocate(stream, 1 << 20);
    void* b = allocator.allocate(stream, 1000);
    allocator.free(stream, a);
    allocator.free(stream, b);
  };
  for (int i = 0; i < 100; ++i) cycle();
  stream.synchronize(patience);
  const std::uint64_t before = allocator.stats().pools.reserved;
  const int cycles = brief_or(200, 10'000);
  for (int i = 0; i < cycles; ++i) cycle();
  stream.synchronize(patience);
  const AllocatorStats stats = allocator.stats();
  CHECK(stats.pools.reserved == before);
  CHECK(stats.pools.used == 0);
  CHECK(stats.all.blocks == 0);
}

TEST_CASE_FIXTURE(Fixture, "a pool keeps what is freed, and gives it back when told to") {
  Stream stream(device);
  constexpr std::size_t large = std::size_t{256} << 20;
  { const StreamMemory memory = allocator.allocate_owned(stream, large); }
  stream.synchronize(patience);
  CHECK(allocator.stats().pools.used == 0);
  CHECK(allocator.stats().pools.reserved >= large);
  allocator.trim();
  CHECK(allocator.stats().pools.reserved <= large / 2);  // CUDA keeps a chunk of 32 MiB
}

TEST_CASE_FIXTURE(Fixture, "too little memory: CUDA's name, who holds what, and life goes on") {
  Stream stream(device, {.name = "greedy"});
  void* held = allocator.allocate(stream, 12345);
  std::string message;
  CHECK(code_of([&] {
          try {
            (void)allocator.allocate(stream, std::size_t{1} << 44);
          } catch (const DeviceError& error) {
            message = error.what();
            throw;
          }
        }) == "cudaErrorMemoryAllocation");
  CHECK(message.find("12345 bytes in 1 blocks by 'greedy'") != std::string::npos);
  allocator.free(stream, held);
  CHECK_THROWS_AS(allocator.free(stream, held), UseError);
  stream.run([](StreamTarget) {});
  stream.synchronize(patience);
}

TEST_CASE_FIXTURE(Fixture, "failures have CUDA's names and the stream's, and the stream goes on") {
  Stream stream(device, {.name = "wrong"});
  const std::string refused = code_of([&] {
    stream.run(
        [](StreamTarget target) { add_kernel<<<1, 4096, 0, native(target)>>>(nullptr, 0, 0); });
  });
  CAPTURE(refused);  // CUDA 12 gives the one, CUDA 13 the other
  const bool is_named =
      refused == "cudaErrorInvalidConfiguration" || refused == "cudaErrorInvalidValue";
  CHECK(is_named);
  std::string message;
  try {
    stream.copy(nullptr, nullptr, 4);
  } catch (const DeviceError& error) {
    message = error.what();
  }
  CHECK(message.find("'wrong'") != std::string::npos);
  CHECK(message.find("cudaErrorInvalidValue") != std::string::npos);
  CHECK(code_of([] { (void)make_gpu_stream_device(1000); }) == "cudaErrorInvalidDevice");
  Event event(make_cpu_stream_device());
  CHECK_THROWS_AS(stream.record(event), UseError);
  stream.run([](StreamTarget) {});
  stream.synchronize(patience);
}

TEST_CASE_FIXTURE(Fixture,
                  "captured work runs when launched; an update changes it, also its shape") {
  Stream stream(device), side(device);
  Pinned<int> result(device, 2);
  const auto memory = allocator.allocate_owned(stream, 2 * sizeof(int));
  auto* values = static_cast<int*>(memory.data());
  stream.set(values, 0, 2 * sizeof(int));
  stream.synchronize(patience);
  StreamGraph graph(device);
  Event fork(device), join(device);
  const auto capture = [&](int plus, bool has_side) {
    stream.begin_capture();
    add(stream, values, 1, plus);
    if (has_side) {
      stream.record(fork);
      side.wait(fork);
      add(side, values + 1, 1, plus);
      side.record(join);
      stream.wait(join);
    }
    stream.end_capture(graph);
  };
  const auto values_after = [&](int launches) {
    for (int i = 0; i < launches; ++i) stream.launch(graph);
    stream.copy(result.data(), values, 2 * sizeof(int));
    stream.synchronize(patience);
    return std::make_pair(result[0], result[1]);
  };
  capture(1, true);
  CHECK(values_after(0) == std::make_pair(0, 0));
  CHECK(values_after(3) == std::make_pair(3, 3));
  void* const before = graph.native();
  capture(10, true);
  CHECK(graph.native() == before);  // updated, not made anew
  CHECK(values_after(2) == std::make_pair(23, 23));
  capture(100, false);
  CHECK(values_after(1) == std::make_pair(123, 23));

  stream.begin_capture();
  CHECK_THROWS_AS((void)allocator.allocate(stream, 4), UseError);
  stream.record(fork);
  side.wait(fork);
  add(side, values, 1, 1);
  CHECK(code_of([&] { stream.end_capture(graph); }) == "cudaErrorStreamCaptureUnjoined");
  CHECK(values_after(1) == std::make_pair(223, 23));
}

TEST_CASE_FIXTURE(Fixture, "priorities are those of the device, and told honestly") {
  int least = 0, greatest = 0;
  REQUIRE(cudaDeviceGetStreamPriorityRange(&least, &greatest) == cudaSuccess);
  CHECK(device->priority_levels() == least - greatest + 1);
  const auto priority_of = [&](StreamPriority priority) {
    const Stream stream(device, {.name = "ranked", .priority = priority});
    int is = 99;
    CHECK(cudaStreamGetPriority(static_cast<cudaStream_t>(stream.native()), &is) == cudaSuccess);
    return is;
  };
  CHECK(priority_of(StreamPriority::high) == greatest);
  CHECK(priority_of(StreamPriority::low) == least);
  const int normal = priority_of(StreamPriority::normal);
  CHECK(normal <= least);
  CHECK(normal >= greatest);
  if (device->priority_levels() > 2) CHECK(normal < least);
}

TEST_CASE_FIXTURE(Fixture,
                  "managed memory is prefetched where the device can; other memory is refused") {
  Stream stream(device);
  const auto memory = allocator.allocate_owned(stream, bytes);
  CHECK_THROWS_AS(stream.prefetch(memory.data(), bytes), UseError);
  int can = 0;
  REQUIRE(cudaDeviceGetAttribute(&can, cudaDevAttrConcurrentManagedAccess, 0) == cudaSuccess);
  void* managed = nullptr;
  REQUIRE(cudaMallocManaged(&managed, bytes) == cudaSuccess);
  std::memset(managed, 0, bytes);
  if (can != 0) {
    stream.prefetch(managed, bytes);
    add(stream, static_cast<int*>(managed), count, 3);
    stream.prefetch(managed, bytes, false);
    stream.synchronize(patience);
    CHECK(static_cast<int*>(managed)[count - 1] == 3);
  } else {
    CHECK_THROWS_AS(stream.prefetch(managed, bytes), UseError);
  }
  cudaFree(managed);
}

TEST_CASE_FIXTURE(Fixture, "times are the device's, and latencies are sampled") {
  Stream stream(device);
  Event begin(device, true), end(device, true);
  stream.record(begin);
  for (int i = 0; i < 64; ++i) {
    stream.run([](StreamTarget target) { spin_kernel<<<1, 1, 0, native(target)>>>(200'000); });
    if (i % 8 == 0) stream.synchronize(patience);
  }
  stream.record(end);
  stream.synchronize(patience);
  CHECK(end.elapsed_since(begin) >= 64 * 190us);
  const StreamMetrics metrics = stream.metrics();
  CHECK(metrics.launches == 64);
  CHECK(metrics.timed >= 1);
  CHECK(metrics.timed <= 8);
  CHECK(metrics.mean_latency >= 190us);
}

TEST_CASE_FIXTURE(Fixture, "threads that never touched CUDA, raw handles, and cuda::stream_ref") {
  Stream stream(device);
  const auto memory = allocator.allocate_owned(stream, bytes);
  auto* values = static_cast<int*>(memory.data());
  stream.set(values, 0, bytes);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) add(stream, values, count, 1);
      });
    }
  }
  const cuda::stream_ref ref(static_cast<cudaStream_t>(stream.native()));
  add_kernel<<<64, 256, 0, ref.get()>>>(values, count, 1);
  Pinned<int> result(device, 1);
  stream.copy(result.data(), values + count - 1, sizeof(int));
  stream.synchronize(patience);
  CHECK(result[0] == 201);
}

TEST_CASE_FIXTURE(Fixture, "the pool's ready streams are those whose work is done") {
  StreamPool pool(device);
  constexpr auto purpose = StreamPurpose::kernel_execution;
  Stream& first = pool.shared(purpose);
  Stream& second = pool.shared(purpose);
  Gate one(device), other(device);
  one.hold(first);
  other.hold(second);
  if (Gate::holds()) {
    CHECK_FALSE(pool.has_ready_streams(purpose));
    CHECK(pool.wait_for_any_ready(purpose, 5ms) == nullptr);
  }
  other.open();
  Stream* ready = pool.wait_for_any_ready(purpose, patience);
  CHECK(ready != nullptr);
  if (Gate::holds()) CHECK(ready == &second);
  one.open();
  pool.synchronize_all(patience);
}

TEST_CASE_FIXTURE(Fixture, "the load of the advanced pool is what is in the device's streams") {
  AdvancedStreamPoolOptions options;
  options.least = options.most = 2;
  AdvancedStreamPool pool(device, options);
  const auto jobs = [&] {
    unsigned sum = 0;
    for (const StreamLoad& load : pool.loads()) sum += load.jobs;
    return sum;
  };
  Gate gate(device);
  std::string busy;
  {
    const auto lease = pool.shared({.expected = 1h});
    gate.hold(*lease);
    busy = lease->name();
  }
  for (int i = 0; i < 5; ++i) {
    const auto lease = pool.shared({.kind = WorkloadKind::compute});
    CHECK((lease->name() != busy || !Gate::holds()));
    lease->run([](StreamTarget target) { spin_kernel<<<1, 1, 0, native(target)>>>(200'000); });
  }
  if (Gate::holds()) CHECK(jobs() >= 1);
  gate.open();
  const auto end = std::chrono::steady_clock::now() + patience;
  while (jobs() != 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(jobs() == 0);
  CHECK(pool.average_workload_time(WorkloadKind::compute) >= 190us);
  CHECK(pool.measures()[static_cast<std::size_t>(StreamStrategy::load_balanced)].jobs == 6);
}

TEST_CASE_FIXTURE(Fixture, "the profiler's times are the device's") {
  Stream stream(device, {.name = "profiled"});
  StreamProfiler profiler(device);
  Pinned<int> from(device, count);
  const auto memory = allocator.allocate_owned(stream, bytes);
  const auto spin = [](StreamTarget target) { spin_kernel<<<1, 1, 0, native(target)>>>(200'000); };
  for (int i = 0; i < 10; ++i) {
    profiler.copy(stream, memory.data(), from.data(), bytes, "upload");
    profiler.run(stream, spin, "spin");
  }
  stream.synchronize(patience);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (profiler.report().running != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  const StreamProfile profile = profiler.report();
  REQUIRE(profile.streams.size() == 1);
  REQUIRE(profile.streams[0].operations.size() == 2);
  const ProfiledOperation& first = profile.streams[0].operations[0];
  const ProfiledOperation& second = profile.streams[0].operations[1];
  const ProfiledOperation& spins = first.name == "spin" ? first : second;
  const ProfiledOperation& uploads = first.name == "spin" ? second : first;
  CHECK(spins.count == 10);
  CHECK(spins.shortest >= 190us);
  CHECK(uploads.bytes == 10 * bytes);
  CHECK(uploads.gb_per_s() > 0);
  CHECK(profile.busy >= 10 * 190us);
  CHECK(profile.span >= profile.busy);
  CHECK(profiler.trace().find("profiled") != std::string::npos);
}

}  // namespace
}  // namespace aatgs::test
