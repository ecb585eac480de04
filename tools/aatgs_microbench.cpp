// SPDX-License-Identifier: Apache-2.0
// aatgs_microbench: what a config and its telemetry cost the host, piece by piece, without a GPU.
// Where a ring needs an other end, this thread plays it while the clock stands still. So nothing
// here waits for another core or for the bus: it is the floor of `host/try_queue` and `host/poll`
// in aatgs_bench.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/ring_executor.hpp>
#include <aatgs/host/run_telemetry.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <aatgs/runtime/latency_histogram.hpp>
#include <aatgs/runtime/telemetry_ring.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace aatgs;

template <std::size_t Bytes>
struct Payload {
  unsigned char bytes[Bytes];
};
using Config = Payload<256>;
using Telemetry = Payload<64>;
using Record = CompletionRecord<Telemetry>;

constexpr std::uint32_t slots = 1024;

/// Keeps the compiler from treating a value as known or unused.
template <class T>
void touch(T& value) {
  benchmark::DoNotOptimize(&value);
  benchmark::ClobberMemory();
}

/// The far end of a port's rings: takes configs and answers them when told to.
class Responder {
 public:
  explicit Responder(const Port& port) : port_(port) {}

  void answer(unsigned count) {
    for (unsigned i = 0; i < count; ++i, ++ticket_) {
      if (!take_config(SingleLane{}, port_.config, ticket_, config_.words())) {
        throw std::logic_error("the config to answer is not in the ring");
      }
      mark_taken(port_.config, ticket_);
      publish_completion(SingleLane{}, port_.telemetry, 0, ticket_, record_);
    }
  }

 private:
  Port port_;
  std::uint64_t ticket_ = 0;
  MessageBuffer<Config> config_{};
  MessageBuffer<Record> record_{};
};

ContextOptions ring_options() {
  ContextOptions options;
  options.executor = ExecutorKind::cpu;
  options.config_slots = options.telemetry_slots = slots;
  return options;
}

std::unique_ptr<ResidentMemory> ring_memory() {
  constexpr MessageSizes sizes{MessageBuffer<Config>::granules, MessageBuffer<Record>::granules};
  return std::make_unique<ResidentMemory>(MemoryKind::host, ring_options(), sizes, slots);
}

/// Workers that only ever do what a `Responder` does for them.
class NoWorkers final : public Residency {
 public:
  NoWorkers() : Residency(ring_memory()) {}
  [[nodiscard]] std::uint32_t workers() const override { return slots; }
  [[nodiscard]] std::uint32_t workers_of_port() const override { return slots; }
  [[nodiscard]] std::string description() const override { return "microbenchmark"; }

 private:
  bool make_leave(Command, std::chrono::nanoseconds) override { return true; }
};

template <std::size_t Bytes>
struct MessageRing {
  RingShape shape = RingShape::make(64, granules_for(Bytes));
  std::vector<Granule> granules{shape.total_granules()};
};

template <std::size_t Bytes>
void ring_write(benchmark::State& state) {
  MessageRing<Bytes> ring;
  Payload<Bytes> value{};
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    touch(value);
    write_value(&ring.granules[ring.shape.offset_of(ticket)], ring.shape.lap_of(ticket), value);
    ++ticket;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * Bytes));
}

template <std::size_t Bytes>
void ring_read(benchmark::State& state) {
  MessageRing<Bytes> ring;
  Payload<Bytes> value{};
  for (std::uint64_t t = 0; t < ring.shape.slots; ++t) {
    write_value(&ring.granules[ring.shape.offset_of(t)], ring.shape.lap_of(t), value);
  }
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    if (!read_value(&ring.granules[ring.shape.offset_of(ticket)], 1, value)) {
      state.SkipWithError("the message is not in the ring");
      break;
    }
    touch(value);
    ++ticket;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * Bytes));
}

/// Runs `one` for each slot of the ring per batch, and `between` with the clock stopped before it.
template <class Between, class One>
void run_batches(benchmark::State& state, const Between& between, const One& one) {
  bool good = true;
  while (good && state.KeepRunningBatch(slots)) {
    state.PauseTiming();
    between();
    state.ResumeTiming();
    for (std::uint32_t i = 0; i < slots; ++i) good = one() && good;
  }
  if (!good) state.SkipWithError("a ring was full or empty when it should not be");
}

void producer_push(benchmark::State& state) {
  const auto memory = ring_memory();
  const Port port = memory->ports()[0].port();
  ConfigProducer<Config> producer(port.config, 0);
  Config config{};
  std::uint64_t taken = 0;
  const auto take_all = [&] {
    for (; taken < producer.next(); ++taken) mark_taken(port.config, taken);
  };
  run_batches(state, take_all, [&] {
    touch(config);
    if (!producer.has_room()) return false;
    producer.push(config);
    return true;
  });
}

void reader_try_read(benchmark::State& state) {
  const auto memory = ring_memory();
  const Port port = memory->ports()[0].port();
  CompletionReader<Telemetry> reader(port.telemetry, 0, slots);
  const MessageBuffer<Record> record{};
  std::uint64_t end = 0;
  const auto publish_all = [&] {
    for (std::uint32_t i = 0; i < slots; ++i, ++end) {
      publish_completion(SingleLane{}, port.telemetry, 0, end, record);
    }
  };
  run_batches(state, publish_all, [&] {
    Completion<Telemetry> done;
    const bool here = reader.try_read(end, done);
    touch(done);
    return here;
  });
}

ContextOptions context_options(bool with_page) {
  ContextOptions options = ring_options();
  options.publish_statistics = with_page;
  return options;
}

/// A context over rings that a `Responder` answers.
struct Bench {
  explicit Bench(bool with_page = true)
      : context(make_ring_executors<Config, Telemetry>(workers, ring_options()),
                {ExecutorKind::cpu, "a microbenchmark"}, context_options(with_page)) {}

  std::shared_ptr<Residency> workers = std::make_shared<NoWorkers>();
  Responder responder{workers->memory().ports()[0].port()};
  GpuExecutionContext<Config, Telemetry> context;
  Config config{};

  bool queue_one() {
    touch(config);
    return static_cast<bool>(context.try_queue(config));
  }
  bool poll_one() {
    const auto done = context.poll();
    benchmark::DoNotOptimize(&done);
    return done.has_value();
  }
  void queue_all() {
    for (std::uint32_t i = 0; i < slots; ++i) (void)queue_one();
  }
  void poll_all() {
    while (poll_one()) {
    }
  }
};

void context_try_queue(benchmark::State& state) {
  Bench bench;
  bool first = true;
  const auto empty_rings = [&] {
    if (!std::exchange(first, false)) bench.responder.answer(slots);
    bench.poll_all();
  };
  run_batches(state, empty_rings, [&] { return bench.queue_one(); });
}

void context_poll(benchmark::State& state) {
  Bench bench;
  const auto answer_all = [&] {
    bench.queue_all();
    bench.responder.answer(slots);
  };
  run_batches(state, answer_all, [&] { return bench.poll_one(); });
}

void context_poll_of_nothing(benchmark::State& state) {
  Bench bench;
  (void)bench.queue_one();
  for (auto _ : state) benchmark::DoNotOptimize(bench.poll_one());
}

/// One config to its telemetry with all that lies between on this side, the responder's part too;
/// without (0) or with (1) the page of statistics.
void context_round_trip(benchmark::State& state) {
  Bench bench(state.range(0) != 0);
  for (auto _ : state) {
    (void)bench.queue_one();
    bench.responder.answer(1);
    benchmark::DoNotOptimize(bench.poll_one());
  }
}

void histogram_record(benchmark::State& state) {
  LatencyHistogram histogram;
  std::uint64_t value = 1;
  for (auto _ : state) {
    histogram.record(value % 65536);
    value = value * 6364136223846793005U + 1442695040888963407U;
  }
  touch(histogram);
}

void tick_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(TickClock::now());
}

void steady_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(host_now_ns());
}

/// So fast one after the other that the queue is full most of the time: mostly drops.
void telemetry_record_or_drop(benchmark::State& state) {
  TelemetryOptions options;
  options.file = "/dev/null";
  TelemetryHandle telemetry(options);
  const RunMetric metric;
  for (auto _ : state) benchmark::DoNotOptimize(telemetry.record(metric));
}

/// A pipe that nobody reads: a disk that has come to a stop.
class StalledFile {
 public:
  StalledFile()
      : path_(std::filesystem::temp_directory_path() /
              ("aatgs_microbench_" + std::to_string(::getpid()))) {
    if (::mkfifo(path_.c_str(), 0600) != 0 ||
        (reader_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK)) < 0) {
      throw std::runtime_error("cannot make the pipe " + path_.string() +
                               ": set TMPDIR to a folder that takes one");
    }
  }
  ~StalledFile() {
    let_fail();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  StalledFile(const StalledFile&) = delete;
  StalledFile& operator=(const StalledFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes to it end, with an error.
  void let_fail() {
    if (reader_ >= 0) ::close(std::exchange(reader_, -1));
  }

 private:
  std::filesystem::path path_;
  int reader_ = -1;
};

/// A record every 10 us, first into the queue's room, then dropped; `p99_ns` is the one to look at.
void telemetry_record_on_a_stalled_disk(benchmark::State& state) {
  StalledFile file;
  TelemetryOptions options;
  options.file = file.path();
  TelemetryHandle telemetry(options);
  const RunMetric metric;
  const TickClock clock;
  const double ns = clock.ns_per_tick();
  const auto pause = static_cast<std::uint64_t>(10'000 / ns);
  std::vector<double> costs;
  costs.reserve(1 << 20);
  for (auto _ : state) {
    const std::uint64_t begin = TickClock::now();
    benchmark::DoNotOptimize(telemetry.record(metric));
    const std::uint64_t end = TickClock::now();
    costs.push_back(static_cast<double>(end - begin) * ns);
    while (TickClock::now() - begin < pause) {
    }
  }
  std::sort(costs.begin(), costs.end());
  state.counters["p50_ns"] = costs[costs.size() / 2];
  state.counters["p99_ns"] = costs[costs.size() * 99 / 100];
  state.counters["dropped"] = static_cast<double>(telemetry.status().dropped);
  file.let_fail();
}

/// So many dependent multiplications.
double compute(std::uint64_t length) {
  double x = 1;
  for (std::uint64_t i = 0; i < length; ++i) x = x * 1.0000001 + 1e-9;
  return x;
}

/// For `compute` to take about 90 us.
std::uint64_t length_of_step() {
  constexpr std::uint64_t trial = 200'000;
  double best_ns = 1e18;
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t begin = host_now_ns();
    benchmark::DoNotOptimize(compute(trial));
    best_ns = std::min(best_ns, static_cast<double>(host_now_ns() - begin));
  }
  return static_cast<std::uint64_t>(90'000 / best_ns * trial);
}

/// Steps of about 90 us without (0) and with (1) a record of each, some 10,000 a second: what
/// telemetry costs a solver that leaves the writer a core.
void solver_step(benchmark::State& state) {
  static const std::uint64_t length = length_of_step();  // the same with and without
  const auto path = std::filesystem::temp_directory_path() /
                    ("aatgs_microbench_" + std::to_string(::getpid()) + ".jsonl");
  TelemetryOptions options;
  options.file = path;
  options.replace = true;
  {
    TelemetryHandle telemetry(options);
    RunMetric metric;
    for (auto _ : state) {
      benchmark::DoNotOptimize(compute(length));
      if (state.range(0) != 0) telemetry.record(metric);
      ++metric.step;
    }
    state.counters["dropped"] = static_cast<double>(telemetry.status().dropped);
  }
  std::filesystem::remove(path);
}

BENCHMARK(ring_write<16>);
BENCHMARK(ring_write<64>);
BENCHMARK(ring_write<256>);
BENCHMARK(ring_write<1024>);
BENCHMARK(ring_write<4096>);
BENCHMARK(ring_read<16>);
BENCHMARK(ring_read<64>);
BENCHMARK(ring_read<256>);
BENCHMARK(ring_read<1024>);
BENCHMARK(ring_read<4096>);
BENCHMARK(producer_push);
BENCHMARK(reader_try_read);
BENCHMARK(context_try_queue);
BENCHMARK(context_poll);
BENCHMARK(context_poll_of_nothing);
BENCHMARK(context_round_trip)->ArgName("page")->Arg(0)->Arg(1);
BENCHMARK(histogram_record);
BENCHMARK(telemetry_record_or_drop);
BENCHMARK(solver_step)->ArgName("telemetry")->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(telemetry_record_on_a_stalled_disk)->Iterations(100'000);
BENCHMARK(tick_clock);
BENCHMARK(steady_clock);

}  // namespace

BENCHMARK_MAIN();
