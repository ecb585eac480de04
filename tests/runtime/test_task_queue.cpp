// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/task_queue_memory.hpp>
#include <aatgs/runtime/task_queue_set.hpp>
#include <aatgs/runtime/task_waiters.hpp>
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
  detail::WorkerAtomic<std::int64_t>(*queue.ready).fetch_add(1);
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

TEST_CASE("task queue: of entries for several queues some are left out, or get into another one") {
  constexpr std::uint32_t lanes = 3;
  constexpr std::uint32_t most = 9;
  const OwnedQueue<std::uint32_t> owned[] = {OwnedQueue<std::uint32_t>(16, (1ULL << 36) - 7),
                                             OwnedQueue<std::uint32_t>(16, 5),
                                             OwnedQueue<std::uint32_t>(16)};
  const TaskQueue<std::uint32_t> queues[] = {owned[0].queue(), owned[1].queue(), owned[2].queue()};
  ThreadLanes::Shared shared(lanes);
  SortedEntries<3> sorted{};
  std::array<std::uint32_t, most> entries{};
  const auto lane = [&](std::uint32_t rank, std::uint32_t first) {
    (void)push_sorted(ThreadLanes(shared, rank), queues, entries.data(), sorted, first,
                      [](std::uint32_t entry) { return entry % 3; });
  };
  for (std::uint32_t round = 0; round < 100; ++round) {
    CAPTURE(round);
    const std::uint32_t of_second = round % 5;  // none at times
    const std::uint32_t of_third = round % 4;
    sorted = {{0, 2, 2 + of_second, 2 + of_second + of_third}, {}};
    for (std::uint32_t i = 0; i < sorted.begin[3]; ++i) {
      const std::uint32_t queue = i < sorted.begin[1] ? 0 : i < sorted.begin[2] ? 1 : 2;
      entries[i] = 3 * (most * round + i) + queue;
    }
    const std::uint32_t first = round % 3;  // some are not to be pushed
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 0; i < lanes; ++i) threads.emplace_back(lane, i, first);
    }
    std::uint32_t out = 0;
    for (std::uint32_t i = first; i < sorted.begin[3]; ++i) {
      CHECK(try_pop(queues[entries[i] % 3], out) == TaskMove::done);
      CHECK(out == entries[i]);
    }
    for (const auto& queue : queues) CHECK(try_pop(queue, out) == TaskMove::refused);
  }
}

/// Workers that hand tasks to those who wait, or push them. Task k has the children 2k and 2k + 1.
struct HandingTree {
  static constexpr std::uint32_t depth = 11;
  static constexpr std::uint32_t tasks = (2U << depth) - 1;

  HandingTree(std::uint32_t slots, std::uint32_t worker_count)
      : workers(worker_count), owned(slots), boxes(worker_count), ran(tasks + 1) {}

  void run(std::uint32_t self, std::uint32_t task) {
    ++ran[task];
    for (const std::uint32_t child : {2 * task, 2 * task + 1}) {
      if (child > tasks) break;
      const SingleTaskLane lane;
      const auto handle = [child](std::uint32_t) { return TaskHandle{child, ~child, child}; };
      const std::uint32_t seen = first_waiters(lane, waiters(), workers, self);
      if (hand_out(lane, waiters(), workers, self, seen, 1, handle) != 0) {
        ++handed;
      } else if (try_push(owned.queue(), child) != TaskMove::done) {
        run(self, child);
      }
    }
  }

  void work(std::uint32_t self) {
    std::uint32_t task = 0;
    do {
      while (ready_tasks(owned.queue()) != 0) {
        if (try_pop(owned.queue(), task) == TaskMove::done) run(self, task);
      }
      if (begin_waiting(waiters(), self, workers)) end = true;
    } while (wait(self));
    for (std::uint32_t i = 1; i <= tasks; ++i) amiss += ran[i] == 1 ? 0 : 1;
  }

  bool wait(std::uint32_t self) {
    TaskHandle task;
    for (;; std::this_thread::yield()) {
      if (look_in_box(boxes[self], task)) {
        detail::order_workers();
        if (task.config_at != ~task.id || task.kind != task.id) ++amiss;  // torn
        run(self, task.id);
        return true;
      }
      if (end) return false;
      if (ready_tasks(owned.queue()) != 0 && stop_waiting(waiters(), self, workers)) return true;
    }
  }
  TaskWaiters waiters() { return {&full, words, boxes.data()}; }

  const std::uint32_t workers;
  const OwnedQueue<std::uint32_t> owned;
  std::uint32_t full = 0;
  std::uint32_t words[2 * TaskWaiters::words_each] = {};
  std::vector<TaskBox> boxes;
  std::vector<std::uint32_t> ran;  // plain: leaving is what makes it visible
  std::atomic<bool> end = false;
  std::atomic<std::uint32_t> amiss = 0;
  std::atomic<std::uint32_t> handed = 0;
};

TEST_CASE("task waiters: a task is handed twice or to nobody, workers leave too early, or never") {
  for (const std::uint32_t slots : {4U, 1024U}) {
    for (const std::uint32_t workers : {1U, 4U, 40U}) {  // 40: two in some of the words
      CAPTURE(slots);
      CAPTURE(workers);
      HandingTree tree(slots, workers);
      REQUIRE(try_push(tree.owned.queue(), 1U) == TaskMove::done);
      {
        std::vector<std::jthread> threads;
        for (std::uint32_t i = 0; i < workers; ++i)
          threads.emplace_back(&HandingTree::work, &tree, i);
      }
      CHECK(tree.amiss == 0);
      CHECK(tree.full == TaskWaiters::words_of(workers));
    }
  }
}

TEST_CASE("task waiters: a worker has no bit, or that of another") {
  for (const std::uint32_t workers : {1U, 31U, 32U, 33U, 924U, 1024U, 1025U, 8192U}) {
    CAPTURE(workers);
    std::vector<std::uint32_t> seen(most_task_workers / 32);
    std::uint32_t amiss = 0;
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
      const auto [word, bit] = TaskWaiters::place_of(worker);
      if ((seen[word] & bit) != 0) ++amiss;
      if (TaskWaiters::worker_at(word, lowest_bit(bit)) != worker) ++amiss;
      seen[word] |= bit;
    }
    std::uint32_t used = 0;
    for (std::uint32_t word = 0; word < seen.size(); ++word) {
      if (seen[word] != TaskWaiters::all_of(word, workers)) ++amiss;
      used += seen[word] != 0 ? 1 : 0;
    }
    CHECK(amiss == 0);
    CHECK(used == TaskWaiters::words_of(workers));
  }
}

TEST_CASE("task waiters: one call hands too few, too many or the wrong tasks") {
  constexpr std::uint32_t workers = 70;  // words of two and of three
  for (const std::uint32_t count : {1U, 5U, 33U, 69U, 70U, 200U}) {
    for (const std::uint32_t from : {0U, 41U}) {
      CAPTURE(count);
      CAPTURE(from);
      std::uint32_t full = 0;
      std::vector<std::uint32_t> words(32);
      std::vector<TaskBox> boxes(workers);
      const TaskWaiters waiters{&full, words.data(), boxes.data()};
      std::uint32_t ends = 0;
      for (std::uint32_t i = 0; i < workers; ++i)
        ends += begin_waiting(waiters, i, workers) ? 1 : 0;
      REQUIRE(ends == 1);
      const SingleTaskLane lane;
      const std::uint32_t handed =
          hand_out(lane, waiters, workers, from, first_waiters(lane, waiters, workers, from), count,
                   [](std::uint32_t i) {
                     return TaskHandle{i, 0, 0};
                   });
      CHECK(handed == std::min(count, workers));
      std::vector<std::uint32_t> got(handed);
      for (TaskBox& box : boxes) {
        TaskHandle task;
        if (look_in_box(box, task)) ++got.at(task.id);
        CHECK_FALSE(look_in_box(box, task));
      }
      CHECK(std::count(got.begin(), got.end(), 1U) == handed);
    }
  }
}

}  // namespace
}  // namespace aatgs
