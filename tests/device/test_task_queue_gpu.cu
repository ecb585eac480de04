// SPDX-License-Identifier: Apache-2.0
// The task queue and the end of all tasks among blocks of a kernel. Every wait ends at a deadline.
#include <doctest/doctest.h>

#include <aatgs/device/task_lanes.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/task_queue_memory.hpp>
#include <aatgs/runtime/task_waiters.hpp>
#include <algorithm>

#include "../brief.hpp"

namespace aatgs::test {
namespace {

constexpr std::uint64_t deadline_ns = 5'000'000'000;
constexpr std::uint32_t threads = 128;  // of a block: 4 warps
constexpr std::uint32_t at_once = 32;   // entries that one warp moves with one claim

/// Counts of what goes wrong; `late`: waits given up.
struct Findings {
  std::uint32_t wrong;
  std::uint32_t late;
};

struct Deadline {
  std::uint64_t end;

  __device__ static Deadline from_now() { return {device::timer_ns() + deadline_ns}; }
  __device__ bool operator()() const { return device::timer_ns() < end; }
};

/// 40 bytes that all follow from one number.
struct Parcel {
  std::uint32_t word[10];

  __device__ static Parcel of(std::uint32_t number) {
    Parcel parcel;
    for (std::uint32_t i = 0; i < 10; ++i) parcel.word[i] = number * 0x9E37'79B1U + i;
    parcel.word[0] = number;
    return parcel;
  }
  __device__ bool torn() const {
    const Parcel whole = of(word[0]);
    bool same = true;
    for (std::uint32_t i = 0; i < 10; ++i) same = same && word[i] == whole.word[i];
    return !same;
  }
};

struct Traffic {
  TaskQueue<Parcel> queue;
  std::uint32_t* payload;  // [total] plain data, handed over with the parcel
  std::uint32_t* arrived;  // [total]
  std::uint64_t* taken;    // one
  Findings* findings;
  std::uint32_t each;  // parcels of one producing warp
  std::uint32_t total;
};

__device__ void note(std::uint32_t& count) {
  atomicAdd(&count, 1U);
}

__device__ void produce(const Traffic& t, std::uint32_t warp, Parcel* some) {
  const device::WarpTaskLanes lanes;
  const auto deadline = Deadline::from_now();
  for (std::uint32_t done = 0; done < t.each;) {
    const std::uint32_t count = min(1 + (done + warp) % at_once, t.each - done);
    if (lanes.rank() < count) {
      const std::uint32_t number = warp * t.each + done + lanes.rank();
      some[lanes.rank()] = Parcel::of(number);
      t.payload[number] = number + 1;
    }
    const std::uint32_t pushed = push_many(lanes, t.queue, some, count, deadline);
    if (pushed == task_queue_stuck || !lanes.all(deadline())) {
      if (lanes.rank() == 0) note(t.findings->late);
      return;
    }
    done += pushed;
  }
}

__device__ void consume(const Traffic& t, Parcel* some) {
  const device::WarpTaskLanes lanes;
  const auto deadline = Deadline::from_now();
  const cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device> taken(*t.taken);
  while (lanes.from_first(taken.load(cuda::memory_order_relaxed)) < t.total) {
    const std::uint32_t popped = pop_many(lanes, t.queue, some, at_once, deadline);
    if (popped == task_queue_stuck || !lanes.all(deadline())) {
      if (lanes.rank() == 0) note(t.findings->late);
      return;
    }
    if (lanes.rank() < popped) {
      const Parcel& parcel = some[lanes.rank()];
      const std::uint32_t number = parcel.word[0];
      if (number >= t.total || parcel.torn() || t.payload[number] != number + 1) {
        note(t.findings->wrong);
      } else {
        atomicAdd(t.arrived + number, 1U);
      }
    }
    if (lanes.rank() == 0 && popped != 0) taken.fetch_add(popped, cuda::memory_order_relaxed);
  }
}

/// Blocks by turns push and pop, 4 warps each.
__global__ void __launch_bounds__(threads) traffic_kernel(Traffic t) {
  __shared__ Parcel some[threads / 32][at_once];
  const std::uint32_t warp = threadIdx.x / 32;
  if (blockIdx.x % 2 == 0) {
    produce(t, blockIdx.x / 2 * (threads / 32) + warp, some[warp]);
  } else {
    consume(t, some[warp]);
  }
}

struct Tree {
  TaskQueue<std::uint32_t> queue;
  TaskWaiters waiters;
  std::uint32_t* end;  // set when no task is left
  std::uint32_t* ran;  // [tasks + 1]
  Findings* findings;
  std::uint32_t tasks;
};

/// The first thread of each warp is a worker.
__device__ std::uint32_t self() {
  return (blockIdx.x * blockDim.x + threadIdx.x) / 32;
}
__device__ std::uint32_t workers() {
  return gridDim.x * blockDim.x / 32;
}

/// Task k has the children 2k and 2k + 1. They go to workers that wait, else to the queue. A full
/// queue makes the parent run its child itself; depth first, so that one word a level remembers
/// where it is.
__device__ void run_tree(const Tree& t, std::uint32_t task, const Deadline& deadline) {
  std::uint32_t waiting[64];
  std::uint32_t waiting_count = 0;
  waiting[waiting_count++] = task;
  while (waiting_count != 0) {
    const std::uint32_t now = waiting[--waiting_count];
    atomicAdd(t.ran + now, 1U);
    for (const std::uint32_t child : {2 * now, 2 * now + 1}) {
      if (child > t.tasks) continue;
      const SingleTaskLane lane;
      const std::uint32_t seen = first_waiters(lane, t.waiters, workers(), self());
      const auto handle = [child](std::uint32_t) { return TaskHandle{child, 0, 0}; };
      if (hand_out(lane, t.waiters, workers(), self(), seen, 1, handle) != 0) continue;
      const TaskMove move = try_push(t.queue, child, deadline);
      if (move == TaskMove::stuck) note(t.findings->late);
      if (move == TaskMove::refused) waiting[waiting_count++] = child;
    }
  }
}

/// Each worker leaves when no task is left and looks then at all that was done.
__global__ void __launch_bounds__(threads) tree_kernel(Tree t) {
  const auto deadline = Deadline::from_now();
  const cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device> end(*t.end);
  if (threadIdx.x % 32 != 0) return;
  bool waits = false;
  if (self() == 0) run_tree(t, 1, deadline);
  while (end.load(cuda::memory_order_acquire) == 0) {
    TaskHandle task;
    if (waits && look_in_box(t.waiters.boxes[self()], task)) {
      detail::order_workers();
      waits = false;
      run_tree(t, task.id, deadline);
    } else if (ready_tasks(t.queue) != 0) {
      std::uint32_t id = 0;
      if (waits && !stop_waiting(t.waiters, self(), workers())) continue;
      waits = false;
      if (try_pop(t.queue, id, deadline) == TaskMove::done) run_tree(t, id, deadline);
    } else if (!waits) {
      waits = true;
      if (begin_waiting(t.waiters, self(), workers())) end.store(1, cuda::memory_order_release);
    }
    if (!deadline()) {
      note(t.findings->late);
      return;
    }
  }
  for (std::uint32_t i = 1 + threadIdx.x / 32; i <= t.tasks; i += blockDim.x / 32) {
    if (t.ran[i] != 1) note(t.findings->wrong);
  }
}

/// Blocks that all run at once, at most `most`.
template <class Kernel>
unsigned resident_blocks(Kernel kernel, unsigned most) {
  int each = 0;
  int sms = 0;
  AATGS_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, threads, 0),
             "asking for the occupancy of a test kernel");
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0),
             "asking for the number of SMs");
  return std::min(most, static_cast<unsigned>(each * sms)) & ~1U;
}

template <class Kernel, class Arguments>
void run(Kernel kernel, unsigned blocks, const Arguments& arguments) {
  // Memory is cleared on streams that wait for nobody.
  AATGS_CUDA(cudaDeviceSynchronize(), "preparing a test kernel");
  kernel<<<blocks, threads>>>(arguments);
  AATGS_CUDA(cudaGetLastError(), "launching a test kernel");
  AATGS_CUDA(cudaDeviceSynchronize(), "running a test kernel");
}

void check_findings(const Buffer<Findings>& findings) {
  const Findings found = findings.download()[0];
  CHECK(found.wrong == 0);
  CHECK(found.late == 0);
}

/// `most_blocks` blocks, or as many as are resident, hand over `each` parcels a producing warp.
void check_traffic(unsigned most_blocks, std::uint32_t each, std::uint32_t slots) {
  CAPTURE(slots);
  const unsigned blocks = resident_blocks(traffic_kernel, most_blocks);
  const std::uint32_t total = blocks / 2 * (threads / 32) * each;
  const TaskQueueMemory<Parcel> memory(MemoryKind::device, slots, 0, (1ULL << 32) - 100);
  const Buffer<std::uint32_t> payload(MemoryKind::device, total);
  const Buffer<std::uint32_t> arrived(MemoryKind::device, total);
  const Buffer<std::uint64_t> taken(MemoryKind::device, 1);
  const Buffer<Findings> findings(MemoryKind::device, 1);
  run(traffic_kernel, blocks,
      Traffic{memory.queue(), payload.data(), arrived.data(), taken.data(), findings.data(), each,
              total});
  check_findings(findings);
  std::uint32_t not_once = 0;
  for (const std::uint32_t count : arrived.download()) not_once += count == 1 ? 0 : 1;
  CHECK(not_once == 0);
}

TEST_CASE("task queue on the GPU: blocks lose, double or tear entries") {
  check_traffic(8, 50, 1);
  check_traffic(brief_or(8U, 528U), brief_or(100U, 500U), 64);
  check_traffic(brief_or(8U, 528U), brief_or(100U, 2'000U), 16'384);
}

TEST_CASE(
    "task waiters on the GPU: a task is lost or run twice, workers leave too early, or never") {
  const std::uint32_t tasks = brief_or(2'047U, 262'143U);
  const unsigned blocks = resident_blocks(tree_kernel, brief_or(8U, 264U));
  for (const std::uint32_t slots : {64U, 65'536U}) {
    CAPTURE(slots);
    const TaskQueueMemory<std::uint32_t> memory(MemoryKind::device, slots, 0, (1ULL << 38) - 100);
    const Buffer<std::uint32_t> full(MemoryKind::device, 1);
    const Buffer<std::uint32_t> words(MemoryKind::device, most_task_workers / 32);
    const Buffer<TaskBox> boxes(MemoryKind::device, most_task_workers);
    const Buffer<std::uint32_t> end(MemoryKind::device, 1);
    const Buffer<std::uint32_t> ran(MemoryKind::device, tasks + 1);
    const Buffer<Findings> findings(MemoryKind::device, 1);
    run(tree_kernel, blocks,
        Tree{memory.queue(),
             {full.data(), words.data(), boxes.data()},
             end.data(),
             ran.data(),
             findings.data(),
             tasks});
    check_findings(findings);
  }
}

}  // namespace
}  // namespace aatgs::test
