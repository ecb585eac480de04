// SPDX-License-Identifier: Apache-2.0
// Steps for the tests of task graphs; one scheduler knows all of them.
#pragma once

#include <aatgs/host/task_scheduler.hpp>
#include <cuda/atomic>
#include <type_traits>

namespace aatgs::test {

template <class T>
using DeviceAtomic = cuda::atomic_ref<T, cuda::thread_scope_device>;

/// Checks that all it depends on has run, and counts itself. Fails if it is told to.
struct CheckStep {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t id;
    std::uint32_t first;  ///< of its dependencies
    std::uint32_t count;
    std::uint32_t fails;
    std::uint64_t stamp;
  };
  struct Result {
    std::uint64_t stamp;
  };
  std::uint32_t* ran;  ///< [tasks]
  const std::uint32_t* dependencies;
  std::uint32_t* wrong;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Result& out) const {
    for (std::uint32_t i = group.rank(); i < config.count; i += group.size()) {
      if (ran[dependencies[config.first + i]] == 0) {
        DeviceAtomic<std::uint32_t>(*wrong).fetch_add(1);
      }
    }
    group.sync();
    if (group.rank() != 0) return;
    if (config.fails != 0) {
      group.fail(config.fails);
      return;
    }
    DeviceAtomic<std::uint32_t>(ran[config.id]).fetch_add(1);
    out.stamp = config.stamp + config.id;
  }
};

/// Counts its parts; part `fails` fails.
struct WideStep {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t first;  ///< of its counters
    std::uint32_t fails;
  };
  std::uint32_t* ran;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() != 0) return;
    DeviceAtomic<std::uint32_t>(ran[config.first + group.part()]).fetch_add(1);
    if (group.part() == config.fails) group.fail(40 + group.parts());
  }
};

/// Sees whether all parts have run.
struct AfterWideStep {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t first;
    std::uint32_t count;
  };
  struct Result {
    std::uint32_t ran;
  };
  const std::uint32_t* ran;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Result& out) const {
    std::uint32_t mine = 0;
    for (std::uint32_t i = group.rank(); i < config.count; i += group.size()) {
      mine += ran[config.first + i];
    }
    mine = group.sum(mine);
    if (group.rank() == 0) out.ran = mine;
  }
};

/// Fibonacci numbers the slow way: a task spawns two, and one that adds up what they found.
struct FibStep {
  struct Config {
    std::uint32_t n;
    std::uint32_t pad;
    std::uint64_t* into;  ///< where its number goes, by addition
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const;
};
struct SumStep {
  struct Config {
    std::uint64_t* into;
    std::uint64_t* from;  ///< what must be there when it runs
    std::uint32_t n;
    std::uint32_t pad;
  };
  std::uint64_t* cells;  ///< two for each n: how often a sum ran, and what is amiss
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() != 0) return;
    DeviceAtomic<std::uint64_t>(*config.from).fetch_add(1);
  }
};

template <class Group>
AATGS_HOST_DEVICE void FibStep::operator()(Group& group, const Config& config) const {
  if (group.rank() != 0) return;
  if (config.n < 2) {
    DeviceAtomic<std::uint64_t>(*config.into).fetch_add(config.n);
    return;
  }
  const std::uint32_t sum =
      group.template continue_after<SumStep>(2, {config.into, config.into + 1, config.n, 0});
  group.template spawn<FibStep>({config.n - 1, 0, config.into}, sum);
  group.template spawn<FibStep>({config.n - 2, 0, config.into}, sum);
}

struct ReadStep {
  static constexpr bool spawns = false;
  struct Config {
    const std::uint64_t* from;
  };
  struct Result {
    std::uint64_t value;
    std::uint64_t sums;
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Result& out) const {
    if (group.rank() == 0) out = {config.from[0], config.from[1]};
  }
};

/// Waits for one more than there is, spawns what it can and counts the rest itself, or spawns
/// itself for ever.
struct OddStep {
  struct Config {
    std::uint32_t what;
    std::uint32_t count;
  };
  std::uint32_t* done;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (config.what == 0) {
      if (group.rank() == 0) DeviceAtomic<std::uint32_t>(*done).fetch_add(1);
    } else if (config.what == 1 && group.rank() == 0) {
      const std::uint32_t next = group.template spawn_after<OddStep>(2, {0, 0});
      group.template spawn<OddStep>({0, 0}, next);
    } else if (config.what == 3) {
      if (group.rank() == 0) group.template spawn<OddStep>(config);
    } else if (config.what == 2) {
      for (std::uint32_t i = group.rank(); i < config.count; i += group.size()) {
        if (!group.template try_spawn<OddStep>({0, 0})) {
          DeviceAtomic<std::uint32_t>(*done).fetch_add(1);
        }
      }
    }
  }
};

/// Writes down when it ran.
struct OrderStep {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t id;
  };
  std::uint32_t* order;
  std::uint32_t* next;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() == 0) order[config.id] = DeviceAtomic<std::uint32_t>(*next).fetch_add(1);
  }
};

/// Goes on until it is told to stop.
struct LongStep {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t id;
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config&) const {
    if (group.rank() == 0) {
      while (!group.stop_requested()) {
      }
    }
    group.sync();
  }
};

using TestSteps = Steps<CheckStep, WideStep, AfterWideStep, FibStep, SumStep, ReadStep, OddStep,
                        OrderStep, LongStep>;
using TestGraph = TaskGraph<TestSteps>;

/// The steps of a test; those that it does not name are as good as not there.
template <class... Given>
TestSteps test_steps(const Given&... given) {
  const auto pick = [&]<class Step>(Step step) {
    const auto take = [&](const auto& other) {
      if constexpr (std::is_same_v<std::decay_t<decltype(other)>, Step>) step = other;
    };
    (take(given), ...);
    return step;
  };
  return TestSteps(pick(CheckStep{}), pick(WideStep{}), pick(AfterWideStep{}), pick(FibStep{}),
                   pick(SumStep{}), pick(ReadStep{}), pick(OddStep{}), pick(OrderStep{}),
                   pick(LongStep{}));
}

}  // namespace aatgs::test
