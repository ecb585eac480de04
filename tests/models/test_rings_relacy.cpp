// SPDX-License-Identifier: Apache-2.0
// The rings themselves, from the same source as everywhere, under Relacy: it runs host and workers
// in every interleaving it can think of and lets loads return stale values as far as the memory
// orders allow. Host: release and acquire, as x86 gives. GPU workers: relaxed, with fences where
// the kernel has them; CPU workers: release and acquire. Not seen here: loads that overtake later
// stores (no hardware does that against a dependency) and the lanes of a warp (rings.pml has both
// kinds of granules on their way).
//
// Relacy's macros rename parts of the language, so everything else is included before it.
#include <doctest/doctest.h>

#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
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
  first_lap_only,      ///< only the first granule's lap is looked at
  split_granule,       ///< a granule is written and read in two halves
  marked_before_read,  ///< the slot is given back before the config has been read
  room_not_asked,      ///< the host does not ask for a free config slot
  slot_not_asked,      ///< nor whether the telemetry slot's last completion is collected
  torn_claim,          ///< claiming a ticket is a load and a store
  relaxed_take,        ///< nothing orders the step after the config
  relaxed_publish,     ///< nor the telemetry after the step
  no_lock,             ///< lossy policies: the slot is not locked
  relaxed_unlock,      ///< or unlocked without release
};

enum class Workers { cpu, gpu };

constexpr std::uint32_t most_slots = 2;

struct Scenario {
  Workers workers = Workers::cpu;
  TelemetryPolicy policy = TelemetryPolicy::block;
  Plant plant = Plant::none;
  std::uint32_t config_slots = most_slots;

  [[nodiscard]] bool lossy() const { return policy != TelemetryPolicy::block; }
};

constexpr unsigned worker_count = 2;
constexpr unsigned tickets = 5;
constexpr std::uint64_t first_ticket = (1ULL << 33) - 4;  // laps pass through 0

/// Two granules, of which `write_value` writes the first and the last in different ways.
struct Config {
  std::uint32_t word[5];

  static Config of(std::uint64_t ticket) {
    const auto t = static_cast<std::uint32_t>(ticket - first_ticket) + 1;
    return {{t, t, t, t, t}};
  }
  friend bool operator==(const Config&, const Config&) = default;
};

/// What Relacy runs: thread 0 is the host, the others are workers. Made anew for each execution.
class Rings : public rl::test_suite<Rings, 1 + worker_count> {
 public:
  /// Relacy makes the suite itself, so both are handed over here.
  static inline Scenario scenario;
  static inline Rings* current = nullptr;

  void before() {
    current = this;
    const std::uint32_t telemetry_slots = scenario.lossy() ? 1 : most_slots;
    config_ = {config_granules_, taken_,
               RingShape::make(scenario.config_slots, MessageBuffer<Config>::granules)};
    telemetry_ = {telemetry_granules_,
                  seen_,
                  guards_,
                  counters_,
                  RingShape::make(telemetry_slots, MessageBuffer<Record>::granules),
                  scenario.policy};
    config_.prepare(first_ticket);
    telemetry_.prepare(first_ticket);
    for (std::uint32_t i = 0; i < telemetry_slots; ++i) {
      guards_[i] = {0, telemetry_.shape.lap_before(i, first_ticket)};
    }
    for (Granule& g : config_granules_) adopt(&g, {g.low, g.high});
    for (Granule& g : telemetry_granules_) adopt(&g, {g.low, g.high});
    for (std::uint32_t& word : taken_) adopt(&word, {word, 0});
    for (std::uint32_t& word : seen_) adopt(&word, {word, 0});
    for (SlotGuard& guard : guards_) adopt(&guard.locked, {0, 0});
    for (WorkerCounters& counters : counters_) {
      adopt(&counters.finished, {0, 0});
      adopt(&counters.dropped, {0, 0});
    }
    next_claim_($) = 0;
    for (auto& cell : user_data_) cell($) = 0;
  }

  void thread(unsigned index) { index == 0 ? host() : worker(index - 1); }

  void after() { RL_ASSERT(handled_ == tickets); }

  // --- the memory ---------------------------------------------------------------------------

  Bits load(const void* where) {
    const unsigned i = cell_of(where);
    const rl::memory_order order = relaxed_here() ? rl::mo_relaxed : rl::mo_acquire;
    Bits bits = cells_[i].load(order, $);
    if (is(Plant::split_granule)) bits.high = upper_halves_[i].load(order, $).high;
    if (is(Plant::first_lap_only) && i < granule_count) {
      Bits& first = first_of_message_[rl::thread_index()];
      const unsigned in_message = i < config_granule_count
                                      ? i % config_granule_count_of_one
                                      : (i - config_granule_count) % record_granule_count_of_one;
      if (in_message == 0) first = bits;
      bits.high = (bits.high & 0xFFFF'FFFFU) | (first.high >> 32 << 32);
    }
    return bits;
  }

  void store(void* where, Bits bits, unsigned bytes) {
    const unsigned i = cell_of(where);
    const rl::memory_order order = relaxed_here() ? rl::mo_relaxed : rl::mo_release;
    cells_[i].store(bits, order, $);
    if (is(Plant::split_granule)) upper_halves_[i].store(bits, order, $);
    std::memcpy(where, &bits, bytes);  // its one writer also reads it plainly
  }

  /// The lock of a telemetry slot; what it guards stands for the slot in Relacy's eyes.
  std::uint32_t exchange(std::uint32_t& word, std::uint32_t value) {
    const unsigned i = cell_of(&word);
    if (is(Plant::no_lock)) return 0;
    const auto before = cells_[i].exchange({value, 0}, rl::mo_acquire, $);
    if (before.low != 0) {
      rl::yield(1, $);
    } else {
      guarded_($) = 1;
    }
    return static_cast<std::uint32_t>(before.low);
  }
  void unlock(std::uint32_t& word) {
    guarded_($) = 0;
    const auto order = is(Plant::relaxed_unlock) ? rl::mo_relaxed : rl::mo_release;
    cells_[cell_of(&word)].store({0, 0}, order, $);
  }

 private:
  struct Telemetry {
    std::uint32_t ticket = 0;
  };
  using Record = CompletionRecord<Telemetry>;

  static constexpr unsigned config_granule_count_of_one = MessageBuffer<Config>::granules;
  static constexpr unsigned record_granule_count_of_one = MessageBuffer<Record>::granules;
  static constexpr unsigned config_granule_count = most_slots * config_granule_count_of_one;
  static constexpr unsigned granule_count =
      config_granule_count + most_slots * record_granule_count_of_one;
  static constexpr unsigned cell_count = granule_count + 3 * most_slots + 2 * worker_count;

  static bool is(Plant plant) { return scenario.plant == plant; }
  static bool on_gpu() { return scenario.workers == Workers::gpu; }
  /// Whether the thread that runs now orders nothing by its accesses.
  static bool relaxed_here() {
    return rl::thread_index() != 0 && (on_gpu() || is(Plant::relaxed_take));
  }

  void adopt(void* where, Bits bits) {
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

  // --- the threads --------------------------------------------------------------------------

  /// As RingExecutor: try_submit, try_collect, lost.
  void host() {
    ConfigProducer<Config> producer(config_, first_ticket);
    CompletionReader<Telemetry> reader(telemetry_, first_ticket, worker_count);
    std::uint64_t collected = 0;
    while (handled_ < tickets) {
      const std::uint64_t next = producer.next();
      bool moved = false;
      if (next < first_ticket + tickets && may_push(producer, reader)) {
        user_data_[next % most_slots]($) += 1;
        producer.push(Config::of(next));
        moved = true;
      }
      Completion<Telemetry> done;
      if (reader.try_read(producer.next(), done)) {
        check_completion(done);
        ++collected;
        moved = true;
      }
      handled_ = collected + lost(reader);
      RL_ASSERT(handled_ <= producer.next() - first_ticket);
      if (!moved) rl::yield(1, $);
    }
    RL_ASSERT(handled_ == tickets);
  }

  bool may_push(ConfigProducer<Config>& producer, const CompletionReader<Telemetry>& reader) {
    if (!scenario.lossy() && !is(Plant::slot_not_asked) && !reader.slot_is_free(producer.next())) {
      return false;
    }
    return is(Plant::room_not_asked) || producer.has_room();
  }

  std::uint64_t lost(const CompletionReader<Telemetry>& reader) const {
    if (scenario.policy != TelemetryPolicy::drop_newest) return reader.overwritten();
    std::uint64_t sum = 0;
    for (const WorkerCounters& c : counters_) sum += load_shared(&c.dropped);
    return sum;
  }

  void check_completion(const Completion<Telemetry>& done) {
    const std::uint64_t i = done.ticket - first_ticket;
    RL_ASSERT(i < tickets);
    RL_ASSERT(!seen_before_[i]);  // doubled
    seen_before_[i] = true;
    const bool torn = done.taken_ns != done.ticket || done.started_ns != done.ticket ||
                      done.finished_ns != done.ticket || done.telemetry.ticket != i + 1 ||
                      done.code != i + 1;
    RL_ASSERT(!torn);
    if (!scenario.lossy()) user_data_[done.ticket % most_slots]($) += 1;
  }

  /// As CpuResidency::run_block, or one lane of resident_block_kernel.
  void worker(unsigned rank) {
    for (std::uint64_t ticket = claim(); ticket < first_ticket + tickets; ticket = claim()) {
      MessageBuffer<Config> config;
      if (is(Plant::marked_before_read)) mark_taken(config_, ticket);
      while (!take_config(SingleLane{}, config_, ticket, config.words())) rl::yield(1, $);
      if (on_gpu() && !is(Plant::relaxed_take)) rl::atomic_thread_fence(rl::mo_acq_rel, $);
      if (!is(Plant::marked_before_read)) mark_taken(config_, ticket);
      RL_ASSERT(config.value() == Config::of(ticket));
      if (!scenario.lossy()) user_data_[ticket % most_slots]($) += 1;  // the step
      publish(rank, ticket, config.value());
    }
  }

  void publish(unsigned rank, std::uint64_t ticket, const Config& config) {
    MessageBuffer<Record> record{};
    Record& r = record.value();
    r.taken_ns = r.started_ns = r.finished_ns = ticket;
    r.code = r.telemetry.ticket = config.word[0];
    if (on_gpu() && !is(Plant::relaxed_publish)) rl::atomic_thread_fence(rl::mo_acq_rel, $);
    publish_completion(SingleLane{}, telemetry_, rank, ticket, record);
  }

  std::uint64_t claim() {
    if (!is(Plant::torn_claim)) return first_ticket + next_claim_.fetch_add(1, rl::mo_relaxed, $);
    const std::uint64_t mine = next_claim_.load(rl::mo_relaxed, $);
    next_claim_.store(mine + 1, rl::mo_relaxed, $);
    return first_ticket + mine;
  }

  Granule config_granules_[config_granule_count];
  Granule telemetry_granules_[granule_count - config_granule_count];
  std::uint32_t taken_[most_slots];
  std::uint32_t seen_[most_slots];
  SlotGuard guards_[most_slots];
  WorkerCounters counters_[worker_count] = {};
  ConfigRing config_;
  TelemetryRing telemetry_;

  const void* addresses_[cell_count];
  rl::atomic<Bits> cells_[cell_count];
  rl::atomic<Bits> upper_halves_[cell_count];  // Plant::split_granule only
  Bits first_of_message_[1 + worker_count];    // Plant::first_lap_only only
  unsigned adopted_ = 0;

  rl::atomic<std::uint64_t> next_claim_;
  rl::var<unsigned> user_data_[most_slots];  // a Buffer that host and steps hand to and fro
  rl::var<unsigned> guarded_;
  bool seen_before_[tickets] = {};
  std::uint64_t handled_ = 0;  // collected or known as lost
};

/// What Relacy says of a scenario: "SUCCESS", or the first thing that goes wrong.
std::string check(const Scenario& scenario, unsigned executions) {
  Rings::scenario = scenario;
  rl::test_params params;
  std::ostream silent(nullptr);
  params.iteration_count = executions;
  params.output_stream = scenario.plant == Plant::none ? &std::cout : &silent;
  params.progress_stream = &silent;
  params.execution_depth_limit = 3000;
  rl::simulate<Rings>(params);
  return rl::test_result_str(params.test_result);
}

}  // namespace

Bits load(const void* where) {
  return Rings::current->load(where);
}
void store(void* where, Bits bits, unsigned bytes) {
  Rings::current->store(where, bits, bytes);
}
void fence() {
  rl::atomic_thread_fence(rl::mo_seq_cst, $);
}
std::uint32_t exchange(std::uint32_t& word, std::uint32_t value, Order) {
  return Rings::current->exchange(word, value);
}
void store_atomic(std::uint32_t& word, std::uint32_t, Order) {
  Rings::current->unlock(word);
}

namespace {

TEST_CASE("rings under Relacy: a config or completion is lost, doubled or torn") {
  for (const Workers workers : {Workers::cpu, Workers::gpu}) {
    for (const TelemetryPolicy policy : {TelemetryPolicy::block, TelemetryPolicy::drop_newest,
                                         TelemetryPolicy::overwrite_oldest}) {
      for (const std::uint32_t config_slots : {1U, 2U}) {
        CAPTURE(static_cast<int>(workers));
        CAPTURE(static_cast<int>(policy));
        CAPTURE(config_slots);
        CHECK(check({workers, policy, Plant::none, config_slots}, 6'000) == "SUCCESS");
      }
    }
  }
}

TEST_CASE("rings under Relacy: the check misses a planted defect") {
  constexpr auto cpu = Workers::cpu;
  constexpr auto gpu = Workers::gpu;
  constexpr auto block = TelemetryPolicy::block;
  constexpr auto drop = TelemetryPolicy::drop_newest;
  constexpr auto overwrite = TelemetryPolicy::overwrite_oldest;
  const struct {
    Scenario scenario;
    const char* verdict;
  } defects[] = {
      {{cpu, block, Plant::first_lap_only}, "USER ASSERT FAILED"},
      {{gpu, block, Plant::first_lap_only}, "USER ASSERT FAILED"},
      {{cpu, block, Plant::split_granule}, "USER ASSERT FAILED"},
      {{gpu, block, Plant::split_granule}, "USER ASSERT FAILED"},
      {{cpu, block, Plant::marked_before_read, 1}, "LIVELOCK"},
      {{gpu, drop, Plant::marked_before_read}, "LIVELOCK"},
      {{cpu, block, Plant::room_not_asked, 1}, "LIVELOCK"},
      {{gpu, drop, Plant::room_not_asked}, "LIVELOCK"},
      {{cpu, block, Plant::slot_not_asked}, "DATA RACE"},
      {{cpu, block, Plant::torn_claim}, "DATA RACE"},
      {{gpu, overwrite, Plant::torn_claim}, "LIVELOCK"},
      {{cpu, block, Plant::relaxed_take}, "DATA RACE"},
      {{gpu, block, Plant::relaxed_take}, "DATA RACE"},
      {{gpu, block, Plant::relaxed_publish}, "DATA RACE"},
      {{cpu, drop, Plant::no_lock}, "DATA RACE"},
      {{gpu, overwrite, Plant::no_lock}, "DATA RACE"},
      {{gpu, drop, Plant::relaxed_unlock}, "DATA RACE"},
      {{cpu, overwrite, Plant::relaxed_unlock}, "DATA RACE"},
  };
  for (const auto& [scenario, verdict] : defects) {
    CAPTURE(static_cast<int>(scenario.plant));
    CAPTURE(static_cast<int>(scenario.workers));
    CHECK(check(scenario, 6'000) == verdict);
  }
}

}  // namespace
}  // namespace aatgs::model
