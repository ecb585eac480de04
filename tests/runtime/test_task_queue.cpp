// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/task_queue_memory.hpp>
#include <aatgs/runtime/task_idle.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <functional>
#include <memory>
#include <thread>

#include "ring_test_support.hpp"

namespace aatgs {
namespace {

/// Tickets at which a word of the arithmetic overflows, the ticket itself included.
std::vector<std::uint64_t> first_tickets() {
  std::vector<std::uint64_t> all(std::begin(test::first_tickets), std::end(test::first_tickets));
  all.push_back(std::uint64_t{0} - 5);
  return all;
}

template <class Entry>
struct OwnedQueue : TaskQueueMemory<Entry> {
  explicit OwnedQueue(std::uint32_t slots, std::uint64_t first = 0)
      : TaskQueueMemory<Entry>(MemoryKind::host, slots, 0, first) {}
};

/// Pushes until it is full and pops until it is empty, round after round; counts what is wrong.
template <class Entry>
std::uint64_t wrong_moves(std::uint32_t slots, std::uint64_t first) {
  const OwnedQueue<Entry> owned(slots, first);
  const TaskQueue<Entry> queue = owned.queue();
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
  std::uint64_t wrong = 0;
  Entry entry{};
  for (std::uint32_t round = 0; round < 12; ++round) {
    while (try_push(queue, Entry::of(pushed)) == TaskMove::done) ++pushed;
    if (pushed != popped + slots || ready_tasks(queue) != slots) ++wrong;
    for (std::uint32_t i = 0; i < (round % 2 == 0 ? (slots + 1) / 2 : slots); ++i, ++popped) {
      if (try_pop(queue, entry) != TaskMove::done || !(entry == Entry::of(popped))) ++wrong;
    }
  }
  if (try_pop(queue, entry) != TaskMove::refused || pushed != popped) ++wrong;
  return wrong;
}

TEST_CASE(
    "task queue: an entry is lost, changed or out of turn where the ring or a counter wraps") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : first_tickets()) {
      CAPTURE(slots);
      CAPTURE(first);
      CHECK(wrong_moves<test::Bytes<32>>(slots, first) == 0);
    }
  }
  CHECK(wrong_moves<test::Bytes<1>>(4, 0) == 0);
  CHECK(wrong_moves<test::Bytes<12>>(4, 0) == 0);
  CHECK(wrong_moves<test::Bytes<13>>(4, 0) == 0);
  CHECK(wrong_moves<test::Bytes<64>>(4, 0) == 0);
}

TEST_CASE("task queue: many at once lose what there was no room for, or invent entries") {
  using Entry = test::Bytes<20>;
  for (const std::uint64_t first : first_tickets()) {
    CAPTURE(first);
    const OwnedQueue<Entry> owned(8, first);
    const TaskQueue<Entry> queue = owned.queue();
    std::vector<Entry> entries;
    for (std::uint64_t i = 0; i < 12; ++i) entries.push_back(Entry::of(i));
    std::vector<Entry> out(12);
    CHECK(push_many(SingleTaskLane{}, queue, entries.data(), 0) == 0);
    CHECK(push_many(SingleTaskLane{}, queue, entries.data(), 5) == 5);
    CHECK(push_many(SingleTaskLane{}, queue, entries.data() + 5, 7) == 3);
    CHECK(push_many(SingleTaskLane{}, queue, entries.data() + 8, 1) == 0);
    CHECK(pop_many(SingleTaskLane{}, queue, out.data(), 3) == 3);
    CHECK(pop_many(SingleTaskLane{}, queue, out.data() + 3, 9) == 5);
    CHECK(pop_many(SingleTaskLane{}, queue, out.data() + 8, 4) == 0);
    CHECK(std::equal(out.begin(), out.begin() + 8, entries.begin()));
    CHECK(push_many(SingleTaskLane{}, queue, entries.data(), 12) == 8);  // all the room is back
  }
}

TEST_CASE("task queue: it is made with a size that has no slots and laps") {
  for (const std::uint32_t slots : {0U, 3U, max_ring_slots * 2}) {
    CAPTURE(slots);
    CHECK_THROWS_WITH_AS(OwnedQueue<std::uint32_t>{slots}, doctest::Contains("power of two"),
                         OptionError);
  }
}

TEST_CASE("task queue: a wait for a worker that is gone cannot be given up") {
  OwnedQueue<std::uint32_t> owned(2);
  const TaskQueue<std::uint32_t> queue = owned.queue();
  // A worker that claims a slot and never fills it.
  REQUIRE(detail::claim_tasks(SingleTaskLane{}, &queue.state->room, queue.state->tail, 1).count ==
          1);
  std::uint32_t out = 0;
  CHECK(try_pop(queue, out) == TaskMove::refused);
  CHECK(try_push(queue, 7U) == TaskMove::done);
  CHECK(try_push(queue, 8U) == TaskMove::refused);
  int looks = 0;
  CHECK(try_pop(queue, out, [&] { return ++looks < 5; }) == TaskMove::stuck);
  CHECK(looks == 5);
  owned.prepare(9);
  CHECK(try_pop(queue, out) == TaskMove::refused);
  CHECK(try_push(queue, 9U) == TaskMove::done);
  CHECK(try_pop(queue, out) == TaskMove::done);
  CHECK(out == 9);
}

TEST_CASE("task queue: an entry is taken half written, or overwritten before it has been read") {
  using Entry = test::Bytes<40>;
  const auto give_up = [] { return false; };
  const OwnedQueue<Entry> owned(2);
  const TaskQueue<Entry> queue = owned.queue();
  Entry out{};
  // One worker is half done with its push when another one finishes.
  const auto& [first, count] =
      detail::claim_tasks(SingleTaskLane{}, &queue.state->room, queue.state->tail, 1);
  REQUIRE(count == 1);
  MessageBuffer<Entry> message{};
  write_message(SingleLane{}, queue.granules, 2, queue.shape.lap_of(first), message.words());
  REQUIRE(try_push(queue, Entry::of(1)) == TaskMove::done);
  CHECK(try_pop(queue, out, give_up) == TaskMove::stuck);
  CHECK(queue.taken[0] != queue.shape.lap_of(first));  // its slot is not given away either
  // The worker that gave up holds ticket 0; another one takes the next entry and makes room.
  detail::WorkerAtomic<std::int64_t>(queue.state->ready).fetch_add(1);
  REQUIRE(try_pop(queue, out) == TaskMove::done);
  CHECK(out == Entry::of(1));
  CHECK(try_push(queue, Entry::of(2), give_up) == TaskMove::stuck);
  queue.taken[0] = queue.shape.lap_of(first);
  CHECK(queue.state->tail == 3);
  CHECK(try_push(queue, Entry::of(3)) == TaskMove::refused);
}

/// Says where it comes from, and shows every torn byte.
struct Parcel {
  std::uint32_t producer;
  std::uint32_t number;
  test::Bytes<40> bytes;

  static Parcel of(std::uint32_t producer, std::uint32_t number) {
    return {producer, number, test::Bytes<40>::of((std::uint64_t{producer} << 32) + number)};
  }
  [[nodiscard]] bool torn() const { return !(bytes == of(producer, number).bytes); }
};

constexpr std::uint32_t producers = 3;
constexpr std::uint32_t consumers = 3;
constexpr std::uint32_t parcels = 6'000;  // of each producer

/// What threads share in the tests with many of them.
struct Traffic {
  Traffic(std::uint32_t slots, std::uint64_t first) : owned(slots, first) {}

  OwnedQueue<Parcel> owned;
  TaskQueue<Parcel> queue = owned.queue();
  std::array<std::array<std::uint32_t, parcels>, producers> payload{};  // plain data, handed over
  std::array<std::array<std::atomic<std::uint32_t>, parcels>, producers> arrived{};
  std::atomic<std::uint32_t> left{producers * parcels};
  std::atomic<std::uint32_t> wrong{0};
};

void produce(Traffic& traffic, std::uint32_t me) {
  for (std::uint32_t next = 0; next < parcels;) {
    std::array<Parcel, 5> some;
    const std::uint32_t count = std::min(1 + next % 5, parcels - next);
    for (std::uint32_t i = 0; i < count; ++i) {
      some[i] = Parcel::of(me, next + i);
      traffic.payload[me][next + i] = next + i + 1;
    }
    const std::uint32_t pushed = push_many(SingleTaskLane{}, traffic.queue, some.data(), count);
    if (pushed > count) ++traffic.wrong;
    if (pushed == 0) std::this_thread::yield();
    next += pushed;
  }
}

void consume(Traffic& traffic, std::uint32_t me) {
  std::array<std::uint32_t, producers> at_least{};
  while (traffic.left.load() != 0) {
    std::array<Parcel, 4> some;
    const std::uint32_t popped =
        pop_many(SingleTaskLane{}, traffic.queue, some.data(), 1 + me % some.size());
    if (popped == 0) std::this_thread::yield();
    for (std::uint32_t i = 0; i < popped; ++i) {
      const Parcel& p = some[i];
      if (p.torn() || p.number < at_least[p.producer]) {
        ++traffic.wrong;
        continue;
      }
      at_least[p.producer] = p.number + 1;
      if (traffic.payload[p.producer][p.number] != p.number + 1) ++traffic.wrong;
      ++traffic.arrived[p.producer][p.number];
    }
    traffic.left -= popped;
  }
}

TEST_CASE("task queue: threads lose, double, tear or reorder entries") {
  for (const std::uint32_t slots : {1U, 2U, 8U, 64U}) {
    CAPTURE(slots);
    const auto traffic = std::make_unique<Traffic>(slots, (1ULL << 32) - 100);
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 0; i < producers; ++i)
        threads.emplace_back(produce, std::ref(*traffic), i);
      for (std::uint32_t i = 0; i < consumers; ++i)
        threads.emplace_back(consume, std::ref(*traffic), i);
    }
    CHECK(traffic->wrong == 0);
    std::uint32_t not_once = 0;
    for (const auto& of_one : traffic->arrived) {
      for (const auto& count : of_one) not_once += count == 1 ? 0 : 1;
    }
    CHECK(not_once == 0);
    CHECK(ready_tasks(traffic->queue) == 0);
    CHECK(traffic->queue.state->room == slots);
  }
}

TEST_CASE(
    "task queue: threads that are refused at once leave it with too much or too little room") {
  constexpr std::uint32_t slots = 16;
  const OwnedQueue<std::uint32_t> owned(slots);
  const TaskQueue<std::uint32_t> queue = owned.queue();
  const std::array<std::uint32_t, 7> entries{};
  for (int round = 0; round < 50; ++round) {
    std::atomic<std::uint32_t> pushed{0};
    std::atomic<std::uint32_t> popped{0};
    std::barrier<> gate(4);
    const auto work = [&] {
      gate.arrive_and_wait();
      for (int i = 0; i < 20; ++i) pushed += push_many(SingleTaskLane{}, queue, entries.data(), 7);
      gate.arrive_and_wait();
      std::array<std::uint32_t, 7> out{};
      for (int i = 0; i < 20; ++i) popped += pop_many(SingleTaskLane{}, queue, out.data(), 7);
    };
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    }
    REQUIRE(pushed == slots);
    REQUIRE(popped == slots);
    REQUIRE(queue.state->room == slots);
  }
}

/// As a warp: threads that go through the calls together.
class ThreadLanes {
 public:
  struct Shared {
    explicit Shared(std::uint32_t lanes) : size(lanes), gate(lanes), flags(lanes) {}
    std::uint32_t size;
    std::barrier<> gate;
    std::vector<unsigned char> flags;
    std::uint64_t value = 0;
  };
  ThreadLanes(Shared& shared, std::uint32_t rank) : shared_(&shared), rank_(rank) {}

  [[nodiscard]] std::uint32_t rank() const { return rank_; }
  [[nodiscard]] std::uint32_t size() const { return shared_->size; }
  [[nodiscard]] bool all(bool flag) const {
    shared_->flags[rank_] = flag;
    shared_->gate.arrive_and_wait();
    bool result = true;
    for (const unsigned char one : shared_->flags) result = result && one != 0;
    shared_->gate.arrive_and_wait();
    return result;
  }
  [[nodiscard]] std::uint64_t from_first(std::uint64_t value) const {
    if (rank_ == 0) shared_->value = value;
    shared_->gate.arrive_and_wait();
    const std::uint64_t result = shared_->value;
    shared_->gate.arrive_and_wait();
    return result;
  }

 private:
  Shared* shared_;
  std::uint32_t rank_;
};

TEST_CASE("task queue: lanes that claim together skip, share or misplace entries") {
  constexpr std::uint32_t lanes = 3;
  using Entry = test::Bytes<32>;
  const OwnedQueue<Entry> owned(16, (1ULL << 36) - 7);
  ThreadLanes::Shared shared(lanes);
  std::array<Entry, 7> in{};
  std::array<Entry, 7> out{};
  std::atomic<std::uint32_t> wrong{0};
  const auto lane = [&](std::uint32_t rank) {
    const ThreadLanes mine(shared, rank);
    for (std::uint64_t round = 0; round < 100; ++round) {
      const auto count = static_cast<std::uint32_t>(1 + round % 7);
      for (std::uint32_t i = rank; i < count; i += lanes) in[i] = Entry::of(round * 7 + i);
      if (push_many(mine, owned.queue(), in.data(), count) != count) ++wrong;
      if (pop_many(mine, owned.queue(), out.data(), 7) != count) ++wrong;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!(out[i] == Entry::of(round * 7 + i))) ++wrong;
      }
      (void)mine.all(true);  // everybody has looked
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < lanes; ++i) threads.emplace_back(lane, i);
  }
  CHECK(wrong == 0);
}

TEST_CASE("task idle: workers leave while tasks are queued or running, or never") {
  constexpr std::uint32_t depth = 11;  // a binary tree: 2^12 - 1 tasks
  constexpr std::uint32_t tasks = (2U << depth) - 1;
  constexpr std::uint32_t workers = 4;
  for (const std::uint32_t slots : {4U, 1024U}) {
    CAPTURE(slots);
    const OwnedQueue<std::uint32_t> owned(slots);
    const TaskQueue<std::uint32_t> queue = owned.queue();
    TaskIdle idle{};
    std::atomic<bool> end = false;
    std::vector<std::uint32_t> ran(tasks + 1);  // plain: leaving is what makes it visible
    std::atomic<std::uint32_t> missing{0};

    // Task k has the children 2k and 2k + 1; a full queue makes the parent run its child itself.
    const auto run = [&](const auto& self, std::uint32_t task) -> void {
      ++ran[task];
      for (const std::uint32_t child : {2 * task, 2 * task + 1}) {
        if (child > tasks) break;
        if (try_push(queue, child) != TaskMove::done) self(self, child);
      }
    };
    const auto any_ready = [&] { return ready_tasks(queue) != 0; };
    const auto work = [&] {
      std::uint32_t task = 0;
      bool is_idle = false;
      while (!end) {
        if (any_ready()) {
          if (is_idle) leave_idle(idle);
          is_idle = false;
          if (try_pop(queue, task) == TaskMove::done) run(run, task);
        } else if (!is_idle) {
          is_idle = true;
          if (become_idle(idle, workers)) end = true;
        } else {
          std::this_thread::yield();
        }
      }
      for (std::uint32_t i = 1; i <= tasks; ++i) missing += ran[i] == 1 ? 0 : 1;
    };
    REQUIRE(try_push(queue, 1U) == TaskMove::done);
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 0; i < workers; ++i) threads.emplace_back(work);
    }
    CHECK(missing == 0);
    CHECK(idle.workers == workers);
  }
}

}  // namespace
}  // namespace aatgs
