// SPDX-License-Identifier: Apache-2.0
// The task queue and the end of all tasks themselves, from the same source as everywhere, under
// Relacy: see test_rings_relacy.cpp. All threads are GPU workers here: what moves an entry is
// relaxed, with fences where the code has them; CPU workers have more order than that.
//
// Relacy's macros rename parts of the language, so everything else is included before it.
#include <doctest/doctest.h>

#include <aatgs/runtime/task_queue.hpp>
#include <aatgs/runtime/task_waiters.hpp>
#include <cstring>
#include <iostream>
#include <string>

namespace aatgs::model {
inline std::ostream& operator<<(std::ostream& out, const Bits& bits) {
  return out << std::hex << bits.high << ':' << bits.low << std::dec;
}
}  // namespace aatgs::model

#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef free
#undef assert

namespace aatgs::model {
namespace {

/// A defect that the checker must find.
enum class Plant {
  none,
  torn_ticket,     ///< a ticket is taken by a load and a store
  torn_credit,     ///< credit is taken by a load and a store
  credit_kept,     ///< what was taken beyond the credit is not given back
  slot_not_asked,  ///< whether the slot's last entry has been taken
  split_granule,   ///< a granule is written and read in two halves
  no_fence,        ///< nothing orders an entry and what was done for it
  take_first,      ///< a worker that waits takes a task before it says so
  unlooked,        ///< a worker waits without another look at the queue
  relaxed_wait,    ///< to begin to wait orders nothing
  full_kept,       ///< who is taken out of a full word is not counted out
  full_late,       ///< or only after he has been handed his task
  taken_twice,     ///< those who wait are taken by a load and a store
};

enum class Work {
  traffic,  ///< two push, two pop
  tree,     ///< tasks spawn tasks until none is left
};

struct Scenario {
  Work work = Work::traffic;
  Plant plant = Plant::none;
  std::uint32_t slots = 1;
};

constexpr unsigned thread_count = 4;
constexpr unsigned task_count = 6;
constexpr std::uint32_t most_slots = 4;

/// Two granules.
struct Entry {
  std::uint32_t word[4];

  static Entry of(std::uint32_t id) { return {{id, id, id, id}}; }
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// What Relacy runs. Made anew for each execution.
class Tasks : public rl::test_suite<Tasks, thread_count> {
 public:
  /// Relacy makes the suite itself, so both are handed over here.
  static inline Scenario scenario;
  static inline Tasks* current = nullptr;

  void before() {
    current = this;
    queue_ = {granules_, taken_, &state_, &ready_, RingShape::make(scenario.slots, granules_each)};
    queue_.prepare((std::uint64_t{scenario.slots} << 32) - 3);  // laps pass through 0
    for (std::uint32_t i = 0; i < scenario.slots * granules_each; ++i) {
      adopt(&granules_[i], {granules_[i].low, granules_[i].high});
    }
    for (std::uint32_t i = 0; i < scenario.slots; ++i) adopt(&taken_[i], {taken_[i], 0});
    words_[0]($) = state_.tail;
    words_[1]($) = state_.head;
    words_[2]($) = static_cast<std::uint64_t>(state_.room);
    for (unsigned i = 3; i < word_count; ++i) words_[i]($) = 0;
    for (TaskBox& box : boxes_) adopt(&box.granule, {});
    ended_($) = false;
    popped_($) = 0;
    for (unsigned i = 0; i < task_count; ++i) {
      given_[i]($) = 0;
      done_[i]($) = 0;
    }
  }

  void thread(unsigned index) {
    if (scenario.work == Work::tree) {
      grow(index == 0);
    } else if (index < 2) {
      push(index * task_count / 2);
    } else {
      pop();
    }
  }

  void after() {
    for (const bool arrived : arrived_) RL_ASSERT(arrived);  // lost
  }

  // --- the memory ---------------------------------------------------------------------------

  Bits load(const void* where) {
    const unsigned i = cell_of(where);
    if (is(Plant::slot_not_asked) && where >= taken_ && where < taken_ + most_slots) {
      return {pushing_lap_[rl::thread_index()] - 1U, 0};
    }
    Bits bits = cells_[i].load(rl::mo_relaxed, $);
    if (is(Plant::split_granule)) bits.high = upper_halves_[i].load(rl::mo_relaxed, $).high;
    return bits;
  }
  void store(void* where, Bits bits) {
    const unsigned i = cell_of(where);
    cells_[i].store(bits, rl::mo_relaxed, $);
    if (late_[rl::thread_index()] != 0) {
      words_[full_word].fetch_add(late_[rl::thread_index()], rl::mo_relaxed, $);
      late_[rl::thread_index()] = 0;
    }
    if (is(Plant::split_granule)) upper_halves_[i].store(bits, rl::mo_relaxed, $);
  }
  std::uint64_t load_atomic(const void* where, Order order) {
    if (is_unused(where)) return 0;
    return words_[word_of(where)].load(to_relacy(order), $);
  }
  std::uint64_t add(void* where, std::uint64_t value, Order order) {
    const bool ticket = where == &state_.tail || where == &state_.head;
    const bool credit = where == &state_.room || where == &ready_;
    const bool takes = static_cast<std::int64_t>(value) < 0;
    if (where == &full_ && takes && is(Plant::full_kept)) return 0;
    if (where == &full_ && takes && is(Plant::full_late)) {
      late_[rl::thread_index()] = value;
      return 0;
    }
    if (is(Plant::credit_kept) && credit && !takes && overdrawn_[rl::thread_index()]) {
      overdrawn_[rl::thread_index()] = false;
      return 0;
    }
    rl::atomic<std::uint64_t>& word = words_[word_of(where)];
    const bool torn = (is(Plant::torn_ticket) && ticket) || (is(Plant::torn_credit) && credit);
    std::uint64_t before = 0;
    if (torn) {
      before = word.load(rl::mo_relaxed, $);
      word.store(before + value, rl::mo_relaxed, $);
    } else {
      before = word.fetch_add(value, to_relacy(order), $);
    }
    if (credit && takes) {
      overdrawn_[rl::thread_index()] = static_cast<std::int64_t>(before + value) < 0;
    }
    if (where == &state_.tail) pushing_lap_[rl::thread_index()] = queue_.shape.lap_of(before);
    return before;
  }
  std::uint32_t set(std::uint32_t* where, std::uint32_t bits, Order order) {
    return static_cast<std::uint32_t>(words_[word_of(where)].fetch_or(bits, to_relacy(order), $));
  }
  std::uint32_t keep(std::uint32_t* where, std::uint32_t bits, Order order) {
    rl::atomic<std::uint64_t>& word = words_[word_of(where)];
    if (!is(Plant::taken_twice)) {
      return static_cast<std::uint32_t>(word.fetch_and(bits, to_relacy(order), $));
    }
    const std::uint64_t before = word.load(rl::mo_relaxed, $);
    word.store(before & bits, rl::mo_relaxed, $);
    return static_cast<std::uint32_t>(before);
  }
  static void fence() {
    if (!is(Plant::no_fence)) rl::atomic_thread_fence(rl::mo_acq_rel, $);
  }

 private:
  static constexpr std::uint32_t granules_each = TaskQueue<Entry>::granules_each;
  static constexpr unsigned cell_count = most_slots * (granules_each + 1) + thread_count;
  static constexpr unsigned full_word = 4;
  static constexpr unsigned word_count = full_word + 1 + thread_count;  // each waits in its own

  static bool is(Plant plant) { return scenario.plant == plant; }
  static rl::memory_order to_relacy(Order order) {
    if (is(Plant::relaxed_wait)) return rl::mo_relaxed;
    switch (order) {
      case Order::acquire:
        return rl::mo_acquire;
      case Order::release:
        return rl::mo_release;
      case Order::acq_rel:
        return rl::mo_acq_rel;
      default:
        return rl::mo_relaxed;
    }
  }
  void adopt(const void* where, Bits bits) {
    addresses_[adopted_] = where;
    cells_[adopted_].store(bits, rl::mo_relaxed, $);
    upper_halves_[adopted_].store(bits, rl::mo_relaxed, $);
    ++adopted_;
  }
  [[nodiscard]] unsigned cell_of(const void* where) const {
    unsigned i = 0;
    while (addresses_[i] != where) ++i;
    return i;
  }
  [[nodiscard]] unsigned word_of(const void* where) const {
    if (where >= waiting_ && where < waiting_ + thread_count) {
      return full_word + 1 +
             static_cast<unsigned>(static_cast<const std::uint32_t*>(where) - waiting_);
    }
    const void* all[full_word + 1] = {&state_.tail, &state_.head, &state_.room, &ready_,
                                      &full_};
    unsigned i = 0;
    while (all[i] != where) ++i;
    return i;
  }
  /// Words of workers that there are not.
  [[nodiscard]] bool is_unused(const void* where) const {
    return where >= waiting_ + thread_count && where < waiting_ + TaskWaiters::words_each;
  }
  static bool pause() {
    rl::yield(1, $);
    return true;
  }

  // --- the threads --------------------------------------------------------------------------

  /// One entry, then two at once.
  void push(std::uint32_t first) {
    Entry entries[task_count / 2];
    for (std::uint32_t i = 0; i < task_count / 2; ++i) {
      entries[i] = Entry::of(first + i);
      given_[first + i]($) = first + i + 1;
    }
    std::uint32_t pushed = 0;
    while (pushed < task_count / 2) {
      const std::uint32_t count = pushed == 0 ? 1 : task_count / 2 - pushed;
      const std::uint32_t moved =
          push_many(SingleTaskLane{}, queue_, entries + pushed, count, pause);
      RL_ASSERT(moved <= count);
      pushed += moved;
      if (moved == 0) rl::yield(1, $);
    }
  }

  void pop() {
    std::uint32_t at_least[2] = {};
    while (popped_.load(rl::mo_relaxed, $) < task_count) {
      Entry entries[2];
      const std::uint32_t moved = pop_many(SingleTaskLane{}, queue_, entries, 2, pause);
      if (moved == 0) rl::yield(1, $);
      RL_ASSERT(moved <= 2);
      for (std::uint32_t i = 0; i < moved; ++i) {
        const std::uint32_t id = check(entries[i]);
        std::uint32_t& next = at_least[id / (task_count / 2)];
        RL_ASSERT(id >= next);  // reordered
        next = id + 1;
        popped_.fetch_add(1, rl::mo_relaxed, $);
      }
    }
  }

  std::uint32_t check(const Entry& entry) {
    const std::uint32_t id = entry.word[0];
    RL_ASSERT(id < task_count && entry == Entry::of(id));  // torn
    RL_ASSERT(!arrived_[id]);                              // doubled
    arrived_[id] = true;
    RL_ASSERT(given_[id]($) == id + 1);
    return id;
  }

  /// Task k has the children 2k + 1 and 2k + 2. Who leaves reads what all tasks have done.
  void grow(bool seeds) {
    if (seeds) spawn(0);
    bool looks = true;
    for (;;) {
      Entry entry;
      if (looks && ready_tasks(queue_) != 0) {
        if (try_pop(queue_, entry, pause) == TaskMove::done) run(entry);
        looks = !is(Plant::unlooked);
        continue;
      }
      looks = true;
      if (begin_waiting(waiters(), rl::thread_index(), thread_count)) {
        ended_.store(true, rl::mo_release, $);
      }
      if (!wait()) break;
    }
    for (auto& done : done_) RL_ASSERT(done($) == 1);
  }

  /// False: the end.
  bool wait() {
    for (;; rl::yield(1, $)) {
      TaskHandle task;
      if (look_in_box(boxes_[rl::thread_index()], task)) {
        detail::order_workers();
        run({{task.id, task.config_at, task.kind, task.id}});
        return true;
      }
      if (ended_.load(rl::mo_acquire, $)) return false;
      if (ready_tasks(queue_) == 0) continue;
      if (is(Plant::take_first)) {
        Entry entry;
        if (try_pop(queue_, entry, pause) == TaskMove::done) run(entry);
      }
      if (stop_waiting(waiters(), rl::thread_index(), thread_count)) return true;
    }
  }

  void run(const Entry& entry) {
    const std::uint32_t id = check(entry);
    done_[id]($) = 1;
    for (std::uint32_t child = 2 * id + 1; child <= 2 * id + 2 && child < task_count; ++child) {
      spawn(child);
    }
  }

  /// To one who waits, else to the queue; a full one makes the parent run its child itself.
  void spawn(std::uint32_t id) {
    given_[id]($) = id + 1;
    const unsigned self = rl::thread_index();
    const SingleTaskLane lane;
    const std::uint32_t seen = first_waiters(lane, waiters(), thread_count, self);
    if (hand_out(lane, waiters(), thread_count, self, seen, 1, [id](std::uint32_t) {
          return TaskHandle{id, id, id};
        }) != 0) {
      return;
    }
    if (try_push(queue_, Entry::of(id), pause) != TaskMove::done) run(Entry::of(id));
  }
  TaskWaiters waiters() { return {&full_, waiting_, boxes_}; }

  Granule granules_[most_slots * granules_each];
  std::uint32_t taken_[most_slots] = {};
  TaskQueueState state_{};
  std::int64_t ready_ = 0;
  TaskQueue<Entry> queue_{};
  std::uint32_t full_ = 0;
  std::uint32_t waiting_[TaskWaiters::words_each] = {};
  TaskBox boxes_[thread_count];

  const void* addresses_[cell_count] = {};
  rl::atomic<Bits> cells_[cell_count];
  rl::atomic<Bits> upper_halves_[cell_count];  // Plant::split_granule only
  rl::atomic<std::uint64_t> words_[word_count];
  std::uint32_t pushing_lap_[thread_count] = {};
  bool overdrawn_[thread_count] = {};
  std::uint64_t late_[thread_count] = {};
  unsigned adopted_ = 0;

  rl::atomic<unsigned> popped_;
  rl::atomic<bool> ended_;
  rl::var<unsigned> given_[task_count];  // what the pusher did for the task
  rl::var<unsigned> done_[task_count];   // what the task did
  bool arrived_[task_count] = {};
};

/// What Relacy says of a scenario: "SUCCESS", or the first thing that goes wrong.
std::string check(const Scenario& scenario, unsigned executions) {
  Tasks::scenario = scenario;
  rl::test_params params;
  std::ostream silent(nullptr);
  params.iteration_count = executions;
  params.output_stream = scenario.plant == Plant::none ? &std::cout : &silent;
  params.progress_stream = &silent;
  params.execution_depth_limit = 5000;
  rl::simulate<Tasks>(params);
  return rl::test_result_str(params.test_result);
}

}  // namespace

Bits load(const void* where) {
  return Tasks::current->load(where);
}
void store(void* where, Bits bits, unsigned) {
  Tasks::current->store(where, bits);
}
std::uint64_t load_atomic(const void* word, Order order) {
  return Tasks::current->load_atomic(word, order);
}
std::uint64_t fetch_add(void* word, std::uint64_t value, Order order) {
  return Tasks::current->add(word, value, order);
}
std::uint32_t fetch_or(std::uint32_t* word, std::uint32_t bits, Order order) {
  return Tasks::current->set(word, bits, order);
}
std::uint32_t fetch_and(std::uint32_t* word, std::uint32_t bits, Order order) {
  return Tasks::current->keep(word, bits, order);
}
void fence_among_workers() {
  Tasks::fence();
}
void fence() {}

namespace {

constexpr unsigned executions = 10'000;

TEST_CASE("task queue under Relacy: an entry is lost, doubled, torn or out of turn") {
  for (const std::uint32_t slots : {1U, 2U, 4U}) {
    CAPTURE(slots);
    CHECK(check({Work::traffic, Plant::none, slots}, executions) == "SUCCESS");
  }
}

TEST_CASE(
    "task waiters under Relacy: a task is handed twice, or a worker leaves too early or never") {
  for (const std::uint32_t slots : {1U, 4U}) {
    CAPTURE(slots);
    CHECK(check({Work::tree, Plant::none, slots}, executions) == "SUCCESS");
  }
}

TEST_CASE("task queue under Relacy: the check misses a planted defect") {
  const struct {
    Scenario scenario;
    const char* verdict;
  } defects[] = {
      {{Work::traffic, Plant::torn_ticket, 2}, "USER ASSERT FAILED"},
      {{Work::traffic, Plant::torn_credit, 2}, "LIVELOCK"},
      {{Work::traffic, Plant::credit_kept, 1}, "LIVELOCK"},
      {{Work::traffic, Plant::slot_not_asked, 2}, "LIVELOCK"},
      {{Work::traffic, Plant::split_granule, 1}, "USER ASSERT FAILED"},
      {{Work::traffic, Plant::no_fence, 2}, "DATA RACE"},
      {{Work::tree, Plant::no_fence, 4}, "DATA RACE"},
      {{Work::tree, Plant::take_first, 4}, "DATA RACE"},
      {{Work::tree, Plant::unlooked, 4}, "USER ASSERT FAILED"},
      {{Work::tree, Plant::relaxed_wait, 4}, "DATA RACE"},
      {{Work::tree, Plant::full_kept, 4}, "DATA RACE"},
      {{Work::tree, Plant::full_late, 4}, "DATA RACE"},
      {{Work::tree, Plant::taken_twice, 4}, "LIVELOCK"},
  };
  for (const auto& [scenario, verdict] : defects) {
    CAPTURE(static_cast<int>(scenario.plant));
    CAPTURE(scenario.slots);
    CHECK(check(scenario, executions) == verdict);
  }
}

}  // namespace
}  // namespace aatgs::model
