// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/bits.hpp>
#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/granule.hpp>
#include <aatgs/runtime/task_claim.hpp>
#include <cstdint>

namespace aatgs {

/// Where a worker that waits looks for the task that another one hands it. Empty: lap 0. A sector
/// of its own, so that polls of one are not in the way of another's.
struct alignas(32) TaskBox {
  Granule granule;
};

/// The workers of one run that wait for tasks. Others hand theirs to them directly, each into a box
/// of its own: one trip through the L2 cache, where a queue that all of them watch takes four. By
/// the same words workers tell, exactly, that nothing is left. In the workers' memory, owns
/// nothing; all zeros at the start of a run.
///
/// A worker waits only when it has found every queue empty since it last pushed or popped. So once
/// all wait, nothing is left: whoever changed a queue last has looked at it since.
///
/// `full` counts the words all of whose workers wait. Who takes a worker out of such a word counts
/// the word out a moment later, before that worker goes on. So `full` may tell one too many, but
/// never that all wait while something is left: who hands out a task is at work, and so is someone
/// who has pushed, or taken, the task that a worker goes to a queue for.
struct TaskWaiters {
  static constexpr std::uint32_t words_each = 32;                 ///< of a set, one line
  static constexpr std::uint32_t workers_each = 32 * words_each;  ///< of a set
  static constexpr std::uint32_t lap = 1;                         ///< of a full box

  std::uint32_t* full;   ///< one
  std::uint32_t* words;  ///< [sets of most_task_workers][words_each] a bit for each that waits
  TaskBox* boxes;        ///< [most_task_workers]

  /// Neighbours lie in different words, so that a warp finds many with one look.
  struct Place {
    std::uint32_t word;
    std::uint32_t bit;
  };
  AATGS_HOST_DEVICE static constexpr Place place_of(std::uint32_t worker) {
    return {worker / workers_each * words_each + worker % words_each,
            1U << (worker % workers_each / words_each)};
  }
  AATGS_HOST_DEVICE static constexpr std::uint32_t worker_at(std::uint32_t word,
                                                             std::uint32_t place) {
    return word / words_each * workers_each + place * words_each + word % words_each;
  }
  /// The bits of a word that workers have.
  AATGS_HOST_DEVICE static constexpr std::uint32_t all_of(std::uint32_t word,
                                                          std::uint32_t workers) {
    const std::uint32_t first = worker_at(word, 0);
    if (first >= workers) return 0;
    const std::uint32_t count = (workers - first + words_each - 1) / words_each;
    return count >= 32 ? ~0U : (1U << count) - 1;
  }
  /// Most of the bits of one word that workers have.
  AATGS_HOST_DEVICE static constexpr std::uint32_t bits_each(std::uint32_t workers) {
    return workers < workers_each ? (workers + words_each - 1) / words_each : 32;
  }
  /// Words that have workers.
  AATGS_HOST_DEVICE static constexpr std::uint32_t words_of(std::uint32_t workers) {
    const std::uint32_t rest = workers % workers_each;
    return workers / workers_each * words_each + (rest < words_each ? rest : words_each);
  }

  /// How often so many lanes have to look, each at a word, to see all of them.
  AATGS_HOST_DEVICE static constexpr std::uint32_t looks_of(std::uint32_t lanes,
                                                            std::uint32_t workers) {
    return (workers + workers_each - 1) / workers_each * (words_each / lanes);
  }
  /// Where a lane of worker `from` looks. Everyone begins elsewhere, so as not to try for the same
  /// ones.
  AATGS_HOST_DEVICE static constexpr std::uint32_t word_to_try(std::uint32_t lane,
                                                               std::uint32_t lanes,
                                                               std::uint32_t workers,
                                                               std::uint32_t from,
                                                               std::uint32_t look) {
    const std::uint32_t looks = looks_of(lanes, workers);
    return (look + from) % (looks == 0 ? 1 : looks) * lanes + (lane + from) % lanes;
  }
  AATGS_HOST_DEVICE std::uint32_t load(std::uint32_t word) const {
    return detail::WorkerAtomic<std::uint32_t>(words[word]).load(cuda::memory_order_relaxed);
  }
};

namespace detail {

/// Takes workers out of their word; returns those who still waited. Orders nothing.
AATGS_HOST_DEVICE inline std::uint32_t take_waiters(const TaskWaiters& waiters, std::uint32_t word,
                                                    std::uint32_t bits, std::uint32_t workers,
                                                    std::uint32_t& left) {
  const std::uint32_t before =
      WorkerAtomic<std::uint32_t>(waiters.words[word]).fetch_and(~bits, cuda::memory_order_relaxed);
  if (before == TaskWaiters::all_of(word, workers)) {
    WorkerAtomic<std::uint32_t>(*waiters.full).fetch_sub(1, cuda::memory_order_relaxed);
  }
  left = before & ~bits;
  return before & bits;
}

/// Of a sequence that is different enough for each start (the multiplier: P. L'Ecuyer, Math. Comp.
/// 68, 1999); its upper bits are the good ones.
AATGS_HOST_DEVICE inline std::uint32_t next_random(std::uint32_t random) {
  return random * 2891336453U + 1013904223U;
}
/// From 0 to below `count`, by the upper bits of `random`.
AATGS_HOST_DEVICE inline std::uint32_t below(std::uint32_t random, std::uint32_t count) {
  return static_cast<std::uint32_t>((std::uint64_t{random} * count) >> 32);
}

/// So many bits of the word, beginning at bit `first` and going round.
AATGS_HOST_DEVICE inline std::uint32_t bits_from(std::uint32_t word, std::uint32_t first,
                                                 std::uint32_t count) {
  const std::uint32_t turned = word >> first | word << (32 - first) % 32;
  std::uint32_t rest = turned;
  for (; count > 0 && rest != 0; --count) rest &= rest - 1;
  const std::uint32_t bits = turned & ~rest;
  return bits << first | bits >> (32 - first) % 32;
}

}  // namespace detail

/// A worker, of so many, has no task; see above for when. Its box is empty. Returns whether it is
/// the last: nothing is left, nothing comes any more, and what all have done is visible. One
/// thread.
AATGS_HOST_DEVICE inline bool begin_waiting(const TaskWaiters& waiters, std::uint32_t worker,
                                            std::uint32_t workers) {
  const auto [word, bit] = TaskWaiters::place_of(worker);
  const std::uint32_t before = detail::WorkerAtomic<std::uint32_t>(waiters.words[word])
                                   .fetch_or(bit, cuda::memory_order_acq_rel);
  if ((before | bit) != TaskWaiters::all_of(word, workers)) return false;
  return detail::WorkerAtomic<std::uint32_t>(*waiters.full)
                 .fetch_add(1, cuda::memory_order_acq_rel) +
             1 ==
         TaskWaiters::words_of(workers);
}

/// A worker that waits goes to take a task that it has seen in a queue; before it tries. False: it
/// waits on, since it has been chosen and a task is on its way. One thread.
AATGS_HOST_DEVICE inline bool stop_waiting(const TaskWaiters& waiters, std::uint32_t worker,
                                           std::uint32_t workers) {
  const auto [word, bit] = TaskWaiters::place_of(worker);
  std::uint32_t left;
  return detail::take_waiters(waiters, word, bit, workers, left) != 0;
}

/// The task that a worker which waits has been handed, if there is one; empties the box. What was
/// done before it was handed is visible after `detail::order_workers`. One thread.
AATGS_HOST_DEVICE inline bool look_in_box(TaskBox& box, TaskHandle& task) {
  const Granule granule = load_granule(&box.granule);
  if (granule.lap() != TaskWaiters::lap) return false;
  task = {static_cast<std::uint32_t>(granule.low), static_cast<std::uint32_t>(granule.low >> 32),
          static_cast<std::uint32_t>(granule.high)};
  store_granule(&box.granule, Granule{});
  return true;
}

/// What a lane of worker `from` sees first of those who wait. No workers: nobody.
template <DealingLanes L>
AATGS_HOST_DEVICE std::uint32_t first_waiters(L lanes, const TaskWaiters& waiters,
                                              std::uint32_t workers, std::uint32_t from) {
  if (workers == 0) return 0;
  return waiters.load(waiters.word_to_try(lanes.rank(), lanes.size(), workers, from, 0));
}

/// Hands `task_at(i)` for i below `count` to workers that wait, one to each; returns how many there
/// were: the first so many are handed. The lanes of a worker together; that is worker `from`, and
/// at work. `seen`: what `first_waiters` gave this lane, a while ago.
template <DealingLanes L, class TaskAt>
AATGS_HOST_DEVICE std::uint32_t hand_out(L lanes, const TaskWaiters& waiters, std::uint32_t workers,
                                         std::uint32_t from, std::uint32_t seen,
                                         std::uint32_t count, const TaskAt& task_at) {
  const std::uint32_t looks = TaskWaiters::looks_of(lanes.size(), workers);
  std::uint32_t given = 0;
  std::uint32_t random = from;
  for (std::uint32_t look = 0; look < looks; ++look) {
    const std::uint32_t word =
        TaskWaiters::word_to_try(lanes.rank(), lanes.size(), workers, from, look);
    if (look != 0) seen = waiters.load(word);
    for (;;) {
      const LaneCount offers = lanes.count(seen != 0);
      if (offers.total == 0) break;
      // As many of each word as make up what is left.
      const std::uint32_t left = count - given;
      const std::uint32_t each = (left + offers.total - 1) / offers.total;
      // Beginning anywhere, in the words and in each: where many hand out at once, as after a layer
      // of tasks, they would try for the same ones time and again, 0.7 us each time.
      random = detail::next_random(random);
      const std::uint32_t turned = offers.before + detail::below(random, offers.total);
      const std::uint32_t before = (turned < offers.total ? turned : turned - offers.total) * each;
      std::uint32_t got = 0;
      if (seen != 0 && before < left) {
        const std::uint32_t first =
            detail::below(detail::next_random(random), TaskWaiters::bits_each(workers));
        const std::uint32_t bits =
            detail::bits_from(seen, first, each < left - before ? each : left - before);
        got = detail::take_waiters(waiters, word, bits, workers, seen);
      } else {
        seen = waiters.load(word);  // meanwhile, for the case that others were first
      }
      const LaneCount takers = each == 1 ? lanes.count(got != 0) : lanes.add_up(count_bits(got));
      if (takers.total != 0) detail::order_workers();
      for (std::uint32_t at = given + takers.before; got != 0; ++at, got &= got - 1) {
        const TaskHandle task = task_at(at);
        const std::uint32_t worker = TaskWaiters::worker_at(word, lowest_bit(got));
        store_granule(&waiters.boxes[worker].granule,
                      Granule::make(task.id, task.config_at, task.kind, TaskWaiters::lap));
      }
      given += takers.total;
      if (given == count) return given;
    }
  }
  return given;
}

}  // namespace aatgs
