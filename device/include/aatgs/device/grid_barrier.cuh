// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/primitives.cuh>
#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/resident_state.hpp>
#include <cstdint>

namespace aatgs::device {

/// What a block can say with its arrival. Failures are counted in the low 20 bits of the barrier's
/// word, and cleared by whoever reports them, so that they never reach the bit above.
enum class ArrivalFlag : std::uint64_t { none = 0, failed = 1, leave = 1ULL << 20 };

/// Flags of a barrier. All blocks see the same `leave`; `failures` only block 0, which takes them
/// out of the word while others may still have to read it.
struct ArrivalFlags {
  std::uint32_t bits;
  __device__ std::uint32_t failures() const { return bits & 0xFFFFFU; }
  __device__ bool leave() const { return bits > 0xFFFFFU; }
};

/// Barrier of all worker blocks; one thread of each block uses it.
///
/// One atomic add, then polls of the same word: of five kinds tried on an H200 with 132 blocks it
/// is the fastest, 0.86 us (a flag released by the last block 1.37, two levels 1.48,
/// all-to-all 1.60). Of its 1,700 cycles the fence takes 390 on the SMs near to the half of the
/// L2 cache that has the word, and 610 on the others (270 where nothing has been written), the
/// atomic 290 and 500, a poll 310; without a fence 970 are left. Two words, one in each half, with
/// arrivals at both and polls of the nearer one: 0.85 us, and in a step nothing. A reduction, 320
/// cycles of pause, then polls: 0.78 us, but a pipelined step 1.10 us instead of 1.06.
class GridBarrier {
 public:
  /// `words`: zero.
  __device__ GridBarrier(ResidentState& state, BarrierWords& words, ControlBlock& control,
                         std::uint32_t blocks, std::uint64_t deadline_ns)
      : state_(state),
        words_(words),
        control_(control),
        blocks_(blocks),
        deadline_ns_(deadline_ns) {}

  /// Waits for all blocks; what they wrote before it can be read after it. Returns the flags that
  /// blocks raised at this very barrier; see there who may ask for which.
  __device__ ArrivalFlags arrive_and_wait(ArrivalFlag flag, std::uint64_t ticket) {
    if (!odd_) target_ += blocks_;  // wraps as the arrivals do
    const std::uint32_t target = target_;
    std::uint64_t* word = &words_.word[odd_][0];
    odd_ = !odd_;
    const std::uint64_t mine = (1ULL << 32) + static_cast<std::uint64_t>(flag);
    std::uint64_t seen;
    asm volatile("atom.add.acq_rel.gpu.global.u64 %0, [%1], %2;"
                 : "=l"(seen)
                 : "l"(word), "l"(mine)
                 : "memory");
    seen += mine;
    if (arrivals(seen) != target) seen = wait(word, target, ticket);
    return {static_cast<std::uint32_t>(seen)};
  }

  /// Takes the failures of the barrier just passed out of its word. One block, before it arrives
  /// again.
  __device__ void clear_failures(std::uint32_t failures) {
    std::uint64_t* word = &words_.word[!odd_][0];
    atomicAdd(reinterpret_cast<unsigned long long*>(word), 0ULL - failures);
  }

 private:
  static constexpr std::uint64_t record_ns = 1'000'000;

  __device__ static std::uint32_t arrivals(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 32);
  }

  __device__ std::uint64_t wait(const std::uint64_t* word, std::uint32_t target,
                                std::uint64_t ticket) {
    const std::uint64_t begin = timer_ns();
    for (std::uint32_t polls = 1;; ++polls) {
      std::uint64_t seen;
      asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(seen) : "l"(word) : "memory");
      if (static_cast<std::int32_t>(arrivals(seen) - target) >= 0) return seen;
      // The timer is looked at rarely: the poll itself is what a barrier waits on.
      if (polls % 1024 == 0 && timer_ns() - begin > deadline_ns_) give_up(seen, target, ticket);
    }
  }

  /// Blocks that never arrive would wedge the GPU for good. Going on without them would corrupt the
  /// user's data, so the kernel leaves its record and ends with an error.
  __device__ void give_up(std::uint64_t seen, std::uint32_t target, std::uint64_t ticket) {
    if (atomicExch(&state_.gave_up, 1U) == 0) {
      HangRecord& record = control_.hang;
      store_shared(&record.ticket, ticket);
      store_shared(&record.found, std::uint64_t{arrivals(seen)});
      store_shared(&record.expected, std::uint64_t{target});
      store_shared(&record.block, blockIdx.x);
      full_fence();
      store_shared(reinterpret_cast<std::uint32_t*>(&record.place),
                   static_cast<std::uint32_t>(WaitPlace::grid_barrier));
      full_fence();
    } else {  // a trap ends all blocks: not before the record is there
      for (const std::uint64_t begin = timer_ns(); timer_ns() - begin < record_ns;) {
      }
    }
    __trap();
  }

  ResidentState& state_;
  BarrierWords& words_;
  ControlBlock& control_;
  std::uint32_t blocks_;
  std::uint32_t target_ = 0;
  bool odd_ = false;
  std::uint64_t deadline_ns_;
};

/// For the next launch, or when all blocks use others. One thread.
__device__ inline void reset_barrier(BarrierWords& words) {
  words.word[0][0] = 0;
  words.word[1][0] = 0;
}

}  // namespace aatgs::device
