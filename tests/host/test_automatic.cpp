// SPDX-License-Identifier: Apache-2.0
// `automatic` over executors that are as fast, and as unwilling, as each test wants them.
#include <doctest/doctest.h>

#include <aatgs/host/automatic_executor.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <algorithm>
#include <deque>
#include <functional>
#include <new>
#include <string>
#include <vector>

namespace aatgs {
namespace {

using namespace std::chrono_literals;

/// What the scripted executors share with the test.
struct World {
  std::uint64_t now = 0;
  /// What a config takes on `resident`, `launch_queue` and `graph_queue`.
  std::uint64_t ns[3] = {1000, 1000, 1000};
  bool obstructed[3] = {};         ///< cannot be made
  std::uint64_t graphs_depth = 0;  ///< from which graphs are a candidate; 0: they are none
  unsigned patience = 0;           ///< looks for a completion in vain before it comes
  bool leaves = true;
  std::vector<ExecutorKind> made;
  std::vector<std::uint64_t> first_tickets;
  int running = 0;             ///< executors not stopped
  int stopped_with_work = 0;   ///< while something was in flight
  std::uint64_t slots = 1000;  ///< for telemetry
  std::uint64_t batch_ns = 0;  ///< of a config in a batch; 0: there is no batch road
  bool batch_obstructed = false;
  bool memory_is_gone = false;     ///< when the batch road is to be made
  std::function<void()> in_batch;  ///< called at the first config of a batch on that road
  bool is_broken = false;          ///< nothing comes back any more, and checks and batches say why
  std::uint64_t change_ns = 0;     ///< to make an executor
  std::uint64_t batched = 0;       ///< configs that the batch road has run
  int batches_beside_others = 0;   ///< run while an executor was there
};

constexpr std::size_t index_of(ExecutorKind kind) {
  return kind == ExecutorKind::resident ? 0 : kind == ExecutorKind::launch_queue ? 1 : 2;
}

/// Runs configs in order when it is asked for completions; telemetry: the config.
class ScriptedExecutor final : public Executor<std::uint64_t, std::uint64_t> {
 public:
  ScriptedExecutor(World& world, ExecutorKind kind, std::uint64_t first_ticket)
      : world_(world), kind_(kind), next_(first_ticket) {
    if (world.obstructed[index_of(kind)]) throw OptionError("no room on this GPU");
    world.made.push_back(kind);
    world.first_tickets.push_back(first_ticket);
    ++world.running;
    world.now += world.change_ns;
  }

  QueueStatus try_submit(const std::uint64_t& config) override {
    if (has_ended_) return QueueStatus::closed;
    if (open_.size() >= world_.slots) return QueueStatus::telemetry_full;
    open_.push_back({next_++, config});
    return QueueStatus::queued;
  }
  bool try_collect(Completion<std::uint64_t>& out) override {
    if (world_.is_broken || open_.empty() || ++looks_ <= world_.patience) return false;
    looks_ = 0;
    world_.now += world_.ns[index_of(kind_)];
    out = {};
    out.ticket = open_.front().first;
    out.telemetry = open_.front().second;
    open_.pop_front();
    return true;
  }
  [[nodiscard]] std::uint64_t lost() const override { return 0; }
  [[nodiscard]] bool idle() const override { return open_.empty(); }
  [[nodiscard]] RingCounters ring_counters(bool) override { return {}; }
  [[nodiscard]] std::uint64_t parks() const override { return 3; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return std::string(to_string(kind_)); }
  void request_abort() override { has_ended_ = true; }
  void check() override {
    if (has_ended_) throw UseError("it has been ended");
    if (world_.is_broken) throw DeviceError("the GPU is gone", "cudaErrorLaunchFailure");
  }
  bool stop(StopMode mode, std::chrono::nanoseconds) override {
    if (!has_ended_) --world_.running;
    has_ended_ = true;
    if (mode == StopMode::drain && !open_.empty()) ++world_.stopped_with_work;
    if (mode == StopMode::abort) open_.clear();
    return world_.leaves;
  }

 private:
  World& world_;
  ExecutorKind kind_;
  std::uint64_t next_;
  bool has_ended_ = false;
  unsigned looks_ = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> open_;
};

/// Config 13 fails.
class ScriptedBatchRoad final : public BatchRoad<std::uint64_t, std::uint64_t> {
 public:
  explicit ScriptedBatchRoad(World& world) : world_(world) {
    if (world.batch_obstructed) throw OptionError("no such graph");
    if (world.memory_is_gone) throw std::bad_alloc();
  }
  [[nodiscard]] std::string name() const override { return "one launch"; }
  void run(std::uint64_t first_ticket, std::span<const std::uint64_t> configs,
           std::span<Completion<std::uint64_t>> results) override {
    if (world_.is_broken) throw DeviceError("the GPU is gone", "cudaErrorLaunchFailure");
    if (world_.running > 0) ++world_.batches_beside_others;
    if (world_.in_batch) world_.in_batch();
    if (has_ended_) throw UseError("it has been ended");
    for (std::size_t i = 0; i < configs.size(); ++i) {
      results[i] = {};
      results[i].ticket = first_ticket + i;
      results[i].telemetry = configs[i];
      if (configs[i] == 13) results[i].status = CompletionStatus::failed;
    }
    world_.batched += configs.size();
    world_.now += world_.batch_ns * configs.size();
  }
  void request_abort() override { has_ended_ = true; }

 private:
  World& world_;
  bool has_ended_ = false;
};

using MakeBatch = AutomaticExecutor<std::uint64_t, std::uint64_t>::MakeBatchRoad;
using Context = GpuExecutionContext<std::uint64_t, std::uint64_t>;

Context make(World& world, const ContextOptions& options = {}) {
  std::vector<Candidate<std::uint64_t, std::uint64_t>> candidates;
  for (const auto kind :
       {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::graph_queue}) {
    const bool is_graph = kind == ExecutorKind::graph_queue;
    if (is_graph && world.graphs_depth == 0) continue;
    candidates.push_back({kind,
                          [&world, kind](std::uint64_t first_ticket) {
                            return std::make_unique<ScriptedExecutor>(world, kind, first_ticket);
                          },
                          is_graph ? world.graphs_depth : 0});
  }
  MakeBatch make_batch;
  if (world.batch_ns > 0) make_batch = [&] { return std::make_unique<ScriptedBatchRoad>(world); };
  std::vector<std::unique_ptr<Executor<std::uint64_t, std::uint64_t>>> executors;
  executors.push_back(std::make_unique<AutomaticExecutor<std::uint64_t, std::uint64_t>>(
      std::move(candidates), "found a GPU", options, make_batch, [&world] { return world.now; }));
  return {std::move(executors), {ExecutorKind::automatic, {}}, options};
}

bool adds_up(const ExecutionStatistics& s) {
  return s.submitted == s.completed + s.failed + s.dropped + s.in_flight &&
         s.in_flight <= s.submitted && s.dropped <= s.submitted;
}

/// Feeds configs, `depth` in flight all the time, and looks at everything that comes back.
class User {
 public:
  explicit User(Context& ctx, std::uint64_t first_ticket = 0) : ctx_(ctx), first_(first_ticket) {}

  /// Until `count` more have been collected; false: no progress.
  bool run(std::uint64_t count, std::uint64_t depth) {
    const std::uint64_t end = collected_ + count;
    for (std::uint64_t rounds = 0; collected_ < end; ++rounds) {
      if (rounds > 1000 * (count + depth)) return false;
      if (queued_ - collected_ < depth) queue();
      if (queued_ - collected_ >= depth) poll();
      if (!adds_up(ctx_.stats())) ++wrong_;
    }
    return true;
  }
  void queue() {
    const QueueResult result = ctx_.try_queue(queued_ * 7 + 1);
    if (!result) return;
    if (result.ticket != first_ + queued_) ++wrong_;
    ++queued_;
  }
  void poll() {
    const auto done = ctx_.poll();
    if (!done) return;
    if (done->ticket != first_ + collected_ || done->telemetry != collected_ * 7 + 1) ++wrong_;
    ++collected_;
  }
  [[nodiscard]] std::uint64_t queued() const { return queued_; }
  [[nodiscard]] std::uint64_t collected() const { return collected_; }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  Context& ctx_;
  std::uint64_t first_;
  std::uint64_t queued_ = 0;
  std::uint64_t collected_ = 0;
  int wrong_ = 0;
};

TEST_CASE("automatic: it stays with the slower executor") {
  struct Case {
    std::uint64_t resident_ns, queue_ns;
    ExecutorKind winner;
  };
  for (const Case& c :
       {Case{2600, 6400, ExecutorKind::resident}, Case{6400, 2600, ExecutorKind::launch_queue},
        Case{1000, 995, ExecutorKind::resident},  // 0.5 %: the preferred one
        Case{1000, 985, ExecutorKind::launch_queue},
        Case{10'000'000, 10'100'000, ExecutorKind::resident},
        Case{10'000'000, 9'000'000, ExecutorKind::launch_queue}}) {
    for (const std::uint64_t depth : {1U, 16U, 64U}) {
      CAPTURE(c.resident_ns);
      CAPTURE(c.queue_ns);
      CAPTURE(depth);
      World world;
      world.ns[0] = c.resident_ns;
      world.ns[1] = c.queue_ns;
      Context ctx = make(world);
      User user(ctx);
      REQUIRE(user.run(5000, depth));
      CHECK(ctx.is_settled());
      CHECK(ctx.executor() == c.winner);
      CHECK(ctx.description() == to_string(c.winner));
      CHECK(world.running == 1);
    }
  }
}

TEST_CASE("automatic: an executor for the deep is measured for the shallow, or for nobody") {
  for (const std::uint64_t depth : {1U, 47U, 48U, 64U}) {
    CAPTURE(depth);
    World world;
    world.graphs_depth = 48;
    world.ns[2] = 500;
    Context ctx = make(world);
    User user(ctx);
    REQUIRE(user.run(5000, depth));
    CHECK(ctx.is_settled());
    CHECK(ctx.executor() == (depth < 48 ? ExecutorKind::resident : ExecutorKind::graph_queue));
    const auto made = std::count(world.made.begin(), world.made.end(), ExecutorKind::graph_queue);
    CHECK(made == (depth < 48 ? 0 : 1));
    CHECK(user.wrong() == 0);
  }
}

TEST_CASE("automatic: a few slow moments of the user decide") {
  World world;
  world.ns[0] = 2000;
  world.ns[1] = 3000;
  Context ctx = make(world);
  User user(ctx);
  for (int i = 0; i < 400; ++i) {
    REQUIRE(user.run(1, 1));
    if (i >= 160 && i % 45 == 0) world.now += 50'000'000;
  }
  CHECK(ctx.is_settled());
  CHECK(ctx.executor() == ExecutorKind::resident);
}

TEST_CASE("automatic: a change of executors loses, doubles or reorders configs") {
  for (const std::uint64_t depth : {1U, 2U, 7U, 64U, 300U}) {
    for (const unsigned patience : {0U, 1U, 5U}) {
      CAPTURE(depth);
      CAPTURE(patience);
      World world;
      world.ns[1] = 5000;  // so that it changes twice
      world.patience = patience;
      Context ctx = make(world);
      User user(ctx);
      REQUIRE(user.run(50 * depth + 1000, depth));
      CHECK(world.made.size() == 3);
      REQUIRE(ctx.flush(10s));
      while (user.collected() < user.queued()) user.poll();
      CHECK(user.wrong() == 0);
      CHECK(world.stopped_with_work == 0);
      CHECK_FALSE(ctx.poll());
    }
  }
}

TEST_CASE("automatic: a change loses configs that are queued and polled many at once") {
  World world;
  world.ns[1] = 5000;
  world.patience = 1;
  Context ctx = make(world);
  std::uint64_t queued = 0;
  std::uint64_t collected = 0;
  int wrong = 0;
  std::vector<Context::Done> done(20);
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::uint64_t> configs(30);
    for (std::uint64_t i = 0; i < 30; ++i) configs[i] = queued + i;
    const auto result =
        ctx.try_queue_many(std::span(configs).first(queued - collected < 40 ? 30 : 0));
    if (result.ticket != queued) ++wrong;
    queued += result.count;
    const std::size_t count = ctx.poll_many(done);
    for (std::size_t i = 0; i < count; ++i, ++collected) {
      if (done[i].ticket != collected || done[i].telemetry != collected) ++wrong;
    }
    if (!adds_up(ctx.stats()) || ctx.stats().submitted != queued) ++wrong;
  }
  CHECK(ctx.is_settled());
  CHECK(world.made.size() == 3);
  CHECK(collected + 70 > queued);
  CHECK(wrong == 0);
}

TEST_CASE("automatic: tickets do not go on after a change") {
  World world;
  world.ns[1] = 5000;
  ContextOptions options;
  options.first_ticket = (std::uint64_t{1} << 35) - 100;
  Context ctx = make(world, options);
  User user(ctx, options.first_ticket);
  REQUIRE(user.run(1000, 3));
  CHECK(user.wrong() == 0);
  REQUIRE(world.first_tickets.size() == 3);
  CHECK(world.first_tickets[0] == options.first_ticket);
  CHECK(world.first_tickets[1] > world.first_tickets[0]);
  CHECK(world.first_tickets[2] > world.first_tickets[1]);
}

TEST_CASE("automatic: a user who never collects everything starves the trial") {
  World world;
  world.ns[1] = 5000;
  world.patience = 3;
  Context ctx = make(world);
  User user(ctx);
  std::uint64_t rounds = 0;
  for (; rounds < 20'000 && !ctx.is_settled(); ++rounds) {  // queues whenever it may
    while (user.queued() - user.collected() < 64) {
      const std::uint64_t before = user.queued();
      user.queue();
      if (user.queued() == before) break;
    }
    user.poll();
  }
  CHECK(ctx.is_settled());
  CHECK(ctx.executor() == ExecutorKind::resident);
  CHECK(user.wrong() == 0);
}

TEST_CASE("automatic: a wait for room at a change needs the user to collect") {
  World world;
  world.patience = 2;
  Context ctx = make(world);
  std::uint64_t wanted = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    REQUIRE(ctx.queue(i, 10s));
    if (i < 64) continue;
    const auto done = ctx.wait(10s);
    REQUIRE(done);
    CHECK(done->ticket == wanted++);
  }
  CHECK(ctx.is_settled());
}

TEST_CASE("automatic: batches and execute meet a change and wait for ever") {
  World world;
  Context ctx = make(world);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::uint64_t> configs(100);
    for (std::size_t i = 0; i < configs.size(); ++i) configs[i] = 3 * i;
    const auto results = ctx.execute_batch(configs);
    for (std::size_t i = 0; i < configs.size(); ++i) REQUIRE(results[i].telemetry == 3 * i);
    for (int i = 0; i < 3; ++i) ctx.execute(1);
    CHECK(adds_up(ctx.stats()));
  }
  REQUIRE(ctx.flush(10s));
  CHECK(ctx.stats().completed == 30 * 103);
}

TEST_CASE("automatic: a change lets more telemetry lie uncollected than there are slots") {
  World world;
  world.slots = 32;
  ContextOptions options;
  options.telemetry_slots = 32;
  Context ctx = make(world, options);
  User user(ctx);
  std::uint64_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    user.queue();
    most = std::max(most, user.queued() - user.collected());
    if (i % 3 == 0) user.poll();
  }
  CHECK(ctx.is_settled());
  CHECK(most == 32);
  CHECK(user.wrong() == 0);
}

TEST_CASE("automatic: a shutdown in the middle of the trial hangs or miscounts") {
  for (const StopMode mode : {StopMode::drain, StopMode::abort}) {
    for (std::uint64_t count = 0; count < 700; count += 13) {
      CAPTURE(count);
      World world;
      world.patience = 1;
      Context ctx = make(world);
      User user(ctx);
      REQUIRE(user.run(count, 5));
      CHECK(ctx.shutdown(mode, 10s));
      CHECK(ctx.try_queue(1).status == QueueStatus::closed);
      while (user.collected() < user.queued()) {
        const std::uint64_t before = user.collected();
        user.poll();
        if (user.collected() == before) break;
      }
      const ExecutionStatistics stats = ctx.stats();
      CHECK(stats.submitted == user.queued());
      CHECK(stats.completed == user.collected());
      CHECK(stats.in_flight == 0);
      CHECK((mode == StopMode::abort || stats.dropped == 0));
      CHECK(adds_up(stats));
      CHECK(world.running == 0);
      CHECK(user.wrong() == 0);
    }
  }
}

TEST_CASE("automatic: the statistics of the executors before are forgotten") {
  World world;
  Context ctx = make(world);
  User user(ctx);
  REQUIRE(user.run(3000, 1));
  CHECK(ctx.stats().completed == 3000);
  CHECK(ctx.stats().parks == 9);  // three of each that it had
  ctx.reset_stats();
  CHECK(ctx.stats().parks == 0);
  CHECK(ctx.stats().submitted == 0);
  CHECK(user.wrong() == 0);
}

TEST_CASE("automatic: it does not say what it does, what it has come to, and why") {
  World world;
  world.ns[0] = 2600;
  world.ns[1] = 6400;
  Context ctx = make(world);
  CHECK(ctx.executor() == ExecutorKind::resident);
  CHECK_FALSE(ctx.is_settled());
  CHECK(ctx.reason() == "found a GPU; still measuring resident");
  User user(ctx);
  REQUIRE(user.run(1000, 1));
  CHECK(
      ctx.reason().starts_with("found a GPU; resident: 2.6 us per config, launch_queue: 6.4 us "
                               "per config, measured over the first "));
}

TEST_CASE("automatic: an executor that cannot be had ends it") {
  World no_queue;
  no_queue.obstructed[1] = true;
  Context first = make(no_queue);
  User of_first(first);
  REQUIRE(of_first.run(1000, 4));
  CHECK(of_first.wrong() == 0);
  CHECK(first.executor() == ExecutorKind::resident);
  CHECK(first.is_settled());
  CHECK(first.reason().find("launch_queue: not to be had (no room") != std::string::npos);

  World no_resident;
  no_resident.obstructed[0] = true;
  Context second = make(no_resident);
  User user(second);
  REQUIRE(user.run(1000, 4));
  CHECK(second.executor() == ExecutorKind::launch_queue);
  CHECK(second.is_settled());
  CHECK(user.wrong() == 0);

  World neither;
  neither.obstructed[0] = neither.obstructed[1] = true;
  CHECK_THROWS_AS(make(neither), OptionError);
}

TEST_CASE("automatic: the GPU is lost at a change, and the context with it") {
  World world;
  Context ctx = make(world);
  User user(ctx);
  REQUIRE(user.run(10, 1));
  world.obstructed[0] = world.obstructed[1] = true;
  CHECK_THROWS_AS(user.run(1000, 1), OptionError);
  CHECK(ctx.try_queue(1).status == QueueStatus::closed);
  CHECK(adds_up(ctx.stats()));
  CHECK(ctx.stats().parks == 3);  // of one executor, counted once
  CHECK(ctx.read_events().events.empty());
}

TEST_CASE("automatic: a config refused at a change counts as if a ring were full") {
  World world;
  world.patience = 2;
  Context ctx = make(world);
  User user(ctx);
  REQUIRE(user.run(3000, 5));
  REQUIRE(world.made.size() > 1);
  const ExecutionStatistics stats = ctx.stats();
  CHECK(stats.config_overflows == 0);
  CHECK(stats.config_ring.peak == 0);  // the scripted ones say that theirs are empty
}

TEST_CASE("automatic: executors that were fed quite differently are compared") {
  World world;
  world.ns[0] = 3000;
  world.ns[1] = 2000;
  Context ctx = make(world);
  User user(ctx);
  REQUIRE(user.run(100, 1));
  while (ctx.executor() == ExecutorKind::resident) REQUIRE(user.run(1, 1));
  world.ns[0] = 500;  // with many in flight it is the faster one
  REQUIRE(user.run(5000, 64));
  CHECK(ctx.is_settled());
  CHECK(ctx.executor() == ExecutorKind::resident);
  CHECK(user.wrong() == 0);

  World restless;  // never two alike
  restless.ns[0] = 5000;
  Context other = make(restless);
  User changing(other);
  for (int i = 0; i < 2000; ++i) {
    REQUIRE(changing.run(20, restless.made.size() % 2 == 0 ? 1 : 64));
  }
  CHECK(other.is_settled());
  CHECK(other.executor() == ExecutorKind::launch_queue);
  CHECK(changing.wrong() == 0);
}

TEST_CASE("automatic: an executor that does not leave is forgotten on the GPU") {
  World world;
  world.leaves = false;
  Context ctx = make(world);
  User user(ctx);
  CHECK_THROWS_AS(user.run(1000, 1), TimeoutError);
}

/// Runs a batch and looks at every result; the number that were wrong.
int run_batch(Context& ctx, std::size_t count, std::uint64_t& ticket) {
  std::vector<std::uint64_t> configs(count);
  for (std::size_t i = 0; i < count; ++i) configs[i] = 5 * i + 3;  // 13 is the third
  const auto results = ctx.execute_batch(configs);
  int wrong = results.size() == count ? 0 : 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (results[i].ticket != ticket + i || results[i].telemetry != configs[i]) ++wrong;
  }
  ticket += count;
  if (!adds_up(ctx.stats()) || ctx.stats().submitted != ticket) ++wrong;
  return wrong;
}

TEST_CASE("automatic: known batches stay on the slower way") {
  for (const std::uint64_t batch_ns : {200U, 995U, 3000U}) {
    CAPTURE(batch_ns);
    World world;
    world.batch_ns = batch_ns;
    world.change_ns = 3'000'000;
    Context ctx = make(world);
    std::uint64_t ticket = 0;
    int rounds = 0;
    for (; rounds < 200 && (rounds == 0 || !ctx.is_settled()); ++rounds) {
      REQUIRE(run_batch(ctx, 1000, ticket) == 0);
    }
    CHECK(ctx.is_settled());
    for (int i = 0; i < 2; ++i) REQUIRE(run_batch(ctx, 700, ticket) == 0);  // the same size class
    const std::uint64_t before = world.batched;
    REQUIRE(run_batch(ctx, 700, ticket) == 0);
    CHECK(world.batched - before == (batch_ns == 200 ? 700 : 0));
    CHECK(world.batches_beside_others == 0);
    CHECK(ctx.reason().find("batches of 512 to 1023: one launch") != std::string::npos);
    CHECK(ctx.stats().dropped == 0);
    CHECK(ctx.shutdown(StopMode::drain, 10s));
    CHECK(ctx.try_queue(1).status == QueueStatus::closed);
    CHECK(world.running == 0);
  }
}

TEST_CASE("automatic: a config after a batch is lost, or gets a wrong ticket") {
  World world;
  world.batch_ns = 100;
  Context ctx = make(world);
  std::uint64_t ticket = 0;
  for (int round = 0; round < 100; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
  const std::uint64_t before = world.batched;
  REQUIRE(run_batch(ctx, 100, ticket) == 0);
  CHECK(world.batched == before + 100);
  CHECK(ctx.stats().failed > 0);
  CHECK(ctx.stats().parks > 0);  // of the executors that have left
  for (int i = 0; i < 1000; ++i) {
    const QueueResult result = ctx.try_queue(77);
    REQUIRE(result);
    CHECK(result.ticket == ticket);
    const auto done = ctx.wait(10s);
    REQUIRE(done);
    CHECK(done->ticket == ticket++);
    CHECK(done->telemetry == 77);
  }
  CHECK(world.running == 1);
  REQUIRE(ctx.try_queue(78));  // in flight: the batch must not leave it behind
  REQUIRE(run_batch(ctx, 100, ++ticket) == 0);
  CHECK(ctx.poll()->telemetry == 78);
  CHECK(world.stopped_with_work == 0);
  const std::uint64_t batched = world.batched;
  REQUIRE(run_batch(ctx, 100, ticket) == 0);
  CHECK(world.batched == batched + 100);
  REQUIRE(ctx.try_queue(79));
  CHECK(ctx.wait(10s)->ticket == ticket);
  CHECK(world.batches_beside_others == 0);
}

TEST_CASE("automatic: batches and single configs in turn pay for a change each time") {
  World world;
  world.batch_ns = 100;
  Context ctx = make(world);
  std::uint64_t ticket = 0;
  for (int round = 0; round < 300; ++round) {
    REQUIRE(run_batch(ctx, 100, ticket) == 0);
    for (int i = 0; i < 3; ++i, ++ticket) {
      REQUIRE(ctx.queue(1));
      REQUIRE(ctx.wait(10s));
    }
  }
  CHECK(world.made.size() <= 10);
  CHECK(world.running == 1);
  CHECK(ctx.is_settled());
}

TEST_CASE("automatic: a batch road that cannot be had ends it") {
  World world;
  world.batch_ns = 100;
  world.batch_obstructed = true;
  Context ctx = make(world);
  std::uint64_t ticket = 0;
  for (int round = 0; round < 100; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
  CHECK(ctx.is_settled());
  CHECK(ctx.reason().find("no such graph") != std::string::npos);
}

TEST_CASE(
    "automatic: a batch road that cannot be had, after single configs, holds the batch for ever") {
  for (const bool memory_is_gone : {false, true}) {
    CAPTURE(memory_is_gone);
    World world;
    world.batch_ns = 100;
    world.batch_obstructed = !memory_is_gone;
    world.memory_is_gone = memory_is_gone;
    Context ctx = make(world);
    std::uint64_t ticket = 0;
    const auto run_single_configs = [&] {  // until the context knows the executor of its choice
      for (int i = 0; i < 1000; ++i, ++ticket) {
        REQUIRE(ctx.queue(1));
        REQUIRE(ctx.wait(10s));
      }
    };
    run_single_configs();
    for (int round = 0; round < 5; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
    run_single_configs();
    for (int round = 0; round < 100; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
    CHECK(world.running == 1);
    CHECK(world.batched == 0);
    CHECK(ctx.is_settled());
    CHECK(ctx.reason().find("; batches one by one (") != std::string::npos);
  }
}

TEST_CASE("automatic: an abort does not reach who never waits in vain") {
  World world;
  Context ctx = make(world);
  User user(ctx);
  REQUIRE(user.run(5000, 2));
  REQUIRE(ctx.is_settled());
  ctx.request_abort();
  CHECK(ctx.try_queue(1).status == QueueStatus::closed);
}

TEST_CASE("automatic: an abort does not reach a batch on a road of its own") {
  World world;
  world.batch_ns = 100;
  Context ctx = make(world);
  world.in_batch = [&] { ctx.request_abort(); };
  std::uint64_t ticket = 0;
  int wrong = 0;
  const auto run_batches = [&] {
    for (int round = 0; round < 100; ++round) wrong += run_batch(ctx, 100, ticket);
  };
  CHECK_THROWS_AS(run_batches(), UseError);
  CHECK(wrong == 0);
  CHECK(world.batched == 0);
  CHECK(ctx.try_queue(1).status == QueueStatus::closed);
  CHECK(adds_up(ctx.stats()));
  CHECK(ctx.shutdown(StopMode::abort, 1s));
}

TEST_CASE("automatic: memory runs out in a batch, and the next one meets what is left of it") {
  World world;
  world.batch_ns = 100;
  world.in_batch = [] { throw std::bad_alloc(); };
  Context ctx = make(world);
  std::uint64_t ticket = 0;
  const auto run_batches = [&] {
    for (int round = 0; round < 100; ++round) static_cast<void>(run_batch(ctx, 100, ticket));
  };
  CHECK_THROWS_AS(run_batches(), std::bad_alloc);
  CHECK_THROWS_AS(ctx.execute_batch(std::vector<std::uint64_t>(100)), UseError);
  const ExecutionStatistics s = ctx.stats();
  CHECK(s.completed + s.failed == ticket);
  CHECK(s.in_flight == 0);
  CHECK(adds_up(s));
}

TEST_CASE("automatic: aborted while batches go their own road, the next batch waits for ever") {
  for (const int rounds : {0, 1, 100}) {  // before the first, while measuring, after it
    CAPTURE(rounds);
    World world;
    world.batch_ns = 100;
    Context ctx = make(world);
    std::uint64_t ticket = 0;
    for (int round = 0; round < rounds; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
    ctx.request_abort();
    CHECK(ctx.try_queue(1).status == QueueStatus::closed);
    CHECK_THROWS_AS(ctx.execute_batch(std::vector<std::uint64_t>(100)), UseError);
    CHECK(ctx.flush(1h));
    CHECK(ctx.shutdown(StopMode::abort, 1s));
    CHECK(ctx.stats().submitted == ticket);
    CHECK(adds_up(ctx.stats()));
  }
}

TEST_CASE("automatic: the GPU fails in a batch, and its configs are miscounted, or calls go on") {
  for (const int rounds : {1, 7, 8, 9, 10, 11, 12, 100}) {  // on either way, measured or not
    CAPTURE(rounds);
    World world;
    world.batch_ns = 100;
    Context ctx = make(world);
    std::uint64_t ticket = 0;
    for (int round = 0; round < rounds; ++round) REQUIRE(run_batch(ctx, 100, ticket) == 0);
    world.is_broken = true;
    CHECK_THROWS_AS(ctx.execute_batch(std::vector<std::uint64_t>(100)), DeviceError);
    const ExecutionStatistics s = ctx.stats();
    CHECK(s.submitted > ticket);
    CHECK(s.in_flight == 0);
    CHECK(s.completed + s.failed == ticket);
    CHECK(adds_up(s));
    CHECK_THROWS_AS(static_cast<void>(ctx.poll()), DeviceError);
    CHECK_THROWS_AS(static_cast<void>(ctx.try_queue(1)), DeviceError);
    CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
    CHECK(ctx.shutdown(StopMode::abort, 1s));
  }
}

}  // namespace
}  // namespace aatgs
