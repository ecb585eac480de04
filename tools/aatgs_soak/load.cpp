// SPDX-License-Identifier: Apache-2.0
#include "load.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <algorithm>
#include <cmath>
#include <exception>
#include <thread>

namespace aatgs::soak {

using namespace std::chrono_literals;

namespace {

void spin_for(std::uint64_t ns) {
  for (const std::uint64_t begin = host_now_ns(); host_now_ns() - begin < ns;) cpu_relax();
}

}  // namespace

Costs costs_of(ExecutorKind executor, Scope scope) {
  const bool grid = scope == Scope::grid;
  switch (executor) {
    case ExecutorKind::resident:
      return grid ? Costs{4000, 1150} : Costs{2600, 60};
    case ExecutorKind::cpu:
      return grid ? Costs{100'000, 20'000} : Costs{30'000, 1500};
    default:
      return {15'000, 8000};
  }
}

Costs costs_of(const ContextOptions& options) {
  constexpr double relaunch_ns = 30'000;
  Costs costs = costs_of(options.executor, options.scope);
  if (options.executor != ExecutorKind::resident) return costs;
  if (options.bounded) costs.trip_ns += relaunch_ns;
  if (options.leave_after != 0) {
    costs.config_ns += relaunch_ns / static_cast<double>(options.leave_after);
  }
  return costs;
}

PortLoad::PortLoad(SoakContext& port, const LoadPlan& plan, Random random, Cell& cell)
    : port_(port),
      plan_(plan),
      costs_(costs_of(plan.options)),
      random_(random),
      cell_(cell),
      ledger_(plan.options.first_ticket, plan.port, plan.salt, plan.some_fail),
      is_lossy_(plan.options.telemetry_policy != TelemetryPolicy::block),
      depth_(is_lossy_ ? std::numeric_limits<std::uint64_t>::max() : plan.options.telemetry_slots),
      made_until_(plan.options.first_ticket),
      done_(4 * most_at_once) {
  cell_.ledger = &ledger_;
  cell_.port = &port_;
}

PortLoad::~PortLoad() {
  cell_.port = nullptr;
  cell_.ledger = nullptr;
  cell_.doing = "nothing";
}

// ---- one config after the other -----------------------------------------------------------------

void PortLoad::make(SoakConfig& config, std::uint64_t ticket) const {
  const std::uint64_t base = ledger_.base(ticket);
  std::uint32_t order = plan_.port << order_port_shift;
  if (plan_.spin_ns != 0) order |= static_cast<std::uint32_t>(base % plan_.spin_ns);
  if ((base & 63U) == 0) order |= order_collective;
  if (ledger_.fails(base)) order |= order_fail;
  fill(config, ticket, base, order);
}

const SoakConfig& PortLoad::config_of(std::uint64_t ticket) {
  for (; made_until_ <= ticket; ++made_until_)
    make(configs_[made_until_ % most_at_once], made_until_);
  return configs_[ticket % most_at_once];
}

void PortLoad::accept(std::uint64_t count, std::uint64_t first_ticket) {
  if (first_ticket != ledger_.next()) {
    ledger_.blame("a config was given ticket " + std::to_string(first_ticket) + ", expected " +
                  std::to_string(ledger_.next()));
  }
  ledger_.submit(count);
  idle_rounds_ = 0;
}

void PortLoad::note_refusal(QueueStatus status) {
  if (status != QueueStatus::closed) return;
  closed_ = true;
  if (!plan_.may_be_ended) ledger_.blame("the context says that it is closed; nobody has ended it");
}

bool PortLoad::try_queue() {
  const QueueResult result = port_.try_queue(config_of(ledger_.next()));
  if (result) {
    accept(1, result.ticket);
  } else {
    note_refusal(result.status);
  }
  return static_cast<bool>(result);
}

std::size_t PortLoad::try_queue_many(std::size_t wish) {
  const std::size_t at = ledger_.next() % most_at_once;
  const std::size_t count = std::min({wish, most_at_once - at, static_cast<std::size_t>(left())});
  if (count == 0) return 0;
  config_of(ledger_.next() + count - 1);
  const QueueManyResult result = port_.try_queue_many(std::span(configs_).subspan(at, count));
  if (result.count != 0) accept(result.count, result.ticket);
  if (result.count != count) note_refusal(result.status);
  return result.count;
}

void PortLoad::take(const Done& done) {
  ledger_.tick(done);
  idle_rounds_ = 0;
  cell_.collected.store(cell_.collected.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

bool PortLoad::poll() {
  const std::optional<Done> done = port_.poll();
  if (done) take(*done);
  return done.has_value();
}

std::size_t PortLoad::poll_many(std::size_t wish) {
  const std::size_t count = port_.poll_many(std::span(done_).first(wish));
  for (const Done& done : std::span(done_).first(count)) take(done);
  return count;
}

/// A round in which nothing moved. Now and then it looks whether the executor is still well.
void PortLoad::idle() {
  cpu_relax();
  ++idle_rounds_;
  if (idle_rounds_ % 64 == 0) std::this_thread::yield();
  if (idle_rounds_ % 65'536 != 0) return;
  if (const auto done = port_.wait(2ms)) return take(*done);
  is_hopeless_ = !is_lossy_ && ledger_.open() > 0 && port_.is_gpu_idle() && !poll();
}

/// Collects until nothing is in flight. False: broken off.
bool PortLoad::drain() {
  if (is_lossy_) {
    flush();
    return !over();
  }
  while (ledger_.open() != 0 && !over()) {
    if (poll_many(done_.size()) == 0) idle();
  }
  return !over();
}

/// The same, but only an end of the context breaks it off.
void PortLoad::finish() {
  if (is_lossy_ && !is_broken()) return flush();
  while (ledger_.open() != 0 && !closed_ && !is_broken()) {
    if (poll_many(done_.size()) == 0) idle();
  }
}

void PortLoad::collect_all() {
  while (poll_many(done_.size()) != 0) {
  }
}

void PortLoad::flush() {
  while (!is_hopeless_ && !port_.flush(1s)) {
    const std::uint64_t before = ledger_.seen();
    collect_all();
    is_hopeless_ = ledger_.seen() == before && port_.is_gpu_idle() && port_.stats().in_flight != 0;
  }
  collect_all();
}

// ---- the loads ----------------------------------------------------------------------------------

std::uint64_t PortLoad::count_for(double ns, double each_ns) const {
  return std::min(left(), static_cast<std::uint64_t>(std::max(1.0, ns / each_ns)));
}

/// With so many slots the round trip sets the pace.
double PortLoad::stream_config_ns() const {
  const std::uint64_t slots = std::min<std::uint64_t>(depth_, plan_.options.config_slots);
  return std::max(costs_.config_ns, costs_.trip_ns / static_cast<double>(slots));
}

/// Random numbers of them at once, the rings as full as they get.
void PortLoad::many(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, stream_config_ns());
  while (ledger_.submitted() < end && !over()) {
    const std::uint64_t wish = std::min(1 + random_.below(most_at_once), end - ledger_.submitted());
    const std::size_t queued = try_queue_many(wish);
    const std::size_t found = poll_many(1 + random_.below(done_.size()));
    if (queued == 0 && found == 0) idle();
  }
}

/// One by one, the rings as full as they get.
void PortLoad::stream(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, stream_config_ns());
  const std::uint64_t most = 1 + random_.below(std::min<std::uint64_t>(depth_, 2048));
  while (ledger_.submitted() < end && !over()) {
    // What a lossy policy has lost stays open here.
    const bool queued = (is_lossy_ || ledger_.open() < most) && try_queue();
    if (!poll() && !queued) idle();
  }
}

/// Bursts of random size with pauses between.
void PortLoad::bursts(double ns) {
  const std::uint64_t most = std::min(plan_.options.config_slots, plan_.options.telemetry_slots);
  for (const double end = spent_ns_ + ns; spent_ns_ < end && !over();) {
    const std::uint64_t count = std::min(left(), 1 + random_.below(most));
    for (std::uint64_t i = 0; i < count && !over();) {
      if (try_queue()) {
        ++i;
      } else if (!poll()) {
        idle();
      }
    }
    if (!drain()) return;
    spent_ns_ += costs_.trip_ns + static_cast<double>(count) * costs_.config_ns;
    pause();
  }
}

/// Nothing, or long enough for the kernel to park, or anything between.
void PortLoad::pause() {
  if (random_.one_in(8)) return park();
  const auto park_ns = static_cast<std::uint64_t>(plan_.options.park_after.count());
  const std::uint64_t longest = std::max<std::uint64_t>(3 * park_ns, 20'000);
  // Around the moment at which it parks is where a config could be missed.
  const std::uint64_t at_park = park_ns + 10'000 + random_.below(120'000);
  const std::uint64_t choices[] = {0,       random_.below(1000),    random_.below(20'000),
                                   longest, random_.below(longest), at_park,
                                   at_park};
  const std::uint64_t ns = random_.pick(choices);
  const auto wanted = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  if (wanted > plan_.until) return;
  if (ns > 200'000) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(ns));
  } else {
    spin_for(ns);
  }
  spent_ns_ += static_cast<double>(ns);
}

/// By hand. Another port may keep the kernel busy, or the context may come to its end.
void PortLoad::park() {
  const bool must = plan_.options.ports == 1 && !plan_.may_be_ended;
  const bool has_parked = port_.park(must ? std::chrono::nanoseconds(5s) : 1ms);
  if (must && !has_parked) ledger_.blame("park() of an idle context was not done within 5 s");
  spent_ns_ += 100'000;
}

/// One in flight at a time.
void PortLoad::single(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, costs_.trip_ns);
  while (ledger_.submitted() < end && drain()) {
    while (!try_queue() && !over()) idle();
  }
  drain();
}

/// Queues until refused, without collecting; then collects some.
void PortLoad::full(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, 2 * costs_.config_ns);
  while (ledger_.submitted() < end && !over()) {
    for (std::uint64_t patience = 1 + random_.below(200); patience > 0 && left() > 0;) {
      if (!try_queue()) --patience;
      if (ledger_.submitted() >= end || over()) break;
    }
    const std::uint64_t wish = 1 + random_.below(2 * plan_.options.telemetry_slots);
    for (std::uint64_t i = 0; i < wish && ledger_.open() > 0; ++i) {
      if (!poll()) idle();
    }
  }
}

void PortLoad::batches(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, 2 * costs_.config_ns);
  std::vector<SoakConfig> batch;
  while (ledger_.submitted() < end && drain()) {
    const std::uint64_t most =
        std::max<std::uint64_t>(1, std::min(end - ledger_.submitted(), std::uint64_t{3000}));
    batch.resize(1 + random_.below(most));
    for (std::size_t i = 0; i < batch.size(); ++i) make(batch[i], ledger_.next() + i);
    const std::vector<Done> results = port_.execute_batch(batch);
    accept(batch.size(), results.front().ticket);
    made_until_ = std::max(made_until_, ledger_.next());
    for (const Done& done : results) {
      if (done.status != CompletionStatus::lost) take(done);
    }
  }
}

QueueResult PortLoad::queue(const SoakConfig& config) {
  if (plan_.options.config_policy == ConfigPolicy::reject) return port_.queue(config);
  return port_.queue(config, std::chrono::microseconds(random_.below(50)));
}

/// The calls that wait.
void PortLoad::waits(double ns) {
  const std::uint64_t end = ledger_.submitted() + count_for(ns, costs_.trip_ns);
  while (ledger_.submitted() < end && !over()) {
    const SoakConfig& config = config_of(ledger_.next());
    if (random_.one_in(4) && !is_lossy_) {
      const auto done = port_.execute(config);
      accept(1, ledger_.next());
      if (done) take(*done);
    } else if (const auto result = queue(config)) {
      accept(1, result.ticket);
    } else {
      note_refusal(result.status);
      poll();
    }
    if (random_.one_in(3)) {
      if (const auto done = port_.wait(std::chrono::microseconds(random_.below(100)))) take(*done);
    }
    if (random_.one_in(50)) flush();
  }
}

// ---- the whole ----------------------------------------------------------------------------------

bool PortLoad::over() {
  return has_ended() || is_phase_over();
}

bool PortLoad::has_ended() {
  if (closed_ || is_broken() || (left() == 0 && ledger_.open() == 0)) return true;
  const bool timed = plan_.until != std::chrono::steady_clock::time_point::max();
  return timed && std::chrono::steady_clock::now() >= plan_.until;
}

/// What a phase costs is a guess: small shares of a launch or crowded ports cost far more.
bool PortLoad::is_phase_over() {
  if (++looks_ % 256 == 0) phase_is_over_ = std::chrono::steady_clock::now() >= phase_until_;
  return phase_is_over_;
}

void PortLoad::run_phases() {
  struct Way {
    const char* name;
    void (PortLoad::*load)(double);
    std::uint32_t weight;  // by time, of 100
  };
  // Not where another port may end the context: what came of the batch would be unknown.
  const std::uint32_t batch = plan_.may_be_ended || !plan_.in_batches ? 0 : 10;
  const Way ways[] = {
      {"queueing many", &PortLoad::many, 50},   {"streaming", &PortLoad::stream, 20},
      {"in bursts", &PortLoad::bursts, 14},     {"one at a time", &PortLoad::single, 3},
      {"with full rings", &PortLoad::full, 8},  {"waiting", &PortLoad::waits, 3},
      {"in batches", &PortLoad::batches, batch}};
  std::uint32_t all = 0;
  for (const Way& way : ways) all += way.weight;
  const double slice = std::isfinite(plan_.budget_ns) ? plan_.budget_ns : 10e6;
  while (spent_ns_ < plan_.budget_ns && left() > 0 && !has_ended()) {
    auto drawn = static_cast<std::uint32_t>(random_.below(all));
    const Way* way = ways;
    for (; drawn >= way->weight; ++way) drawn -= way->weight;
    const double ns = slice / 32 * static_cast<double>(1 + random_.below(8));
    const double before = spent_ns_;
    cell_.doing = way->name;
    phase_is_over_ = false;
    phase_until_ = std::chrono::steady_clock::now() +
                   std::chrono::nanoseconds(static_cast<std::int64_t>(1.5 * ns));
    (this->*way->load)(ns);
    spent_ns_ = std::max(spent_ns_, before + ns);
  }
}

void PortLoad::run() noexcept {
  try {
    run_phases();
    phase_is_over_ = false;
    phase_until_ = std::chrono::steady_clock::time_point::max();
    cell_.doing = "collecting the rest";
    if (!plan_.leaves_in_flight) finish();
    if (is_hopeless_) ledger_.lose(port_.stats().dropped);
  } catch (const UseError& error) {
    closed_ = true;
    if (!plan_.may_be_ended) ledger_.blame(error.what());
  } catch (const std::exception& error) {
    closed_ = true;
    ledger_.blame(std::string("exception while ") + cell_.doing.load() + ": " + error.what());
  }
}

void PortLoad::settle(bool ended) {
  cell_.doing = "settling the account";
  collect_all();
  const ExecutionStatistics s = port_.stats();
  const auto require = [&](bool right, const char* what, std::uint64_t expected,
                           std::uint64_t found) {
    if (right) return;
    ledger_.blame(std::string("the context's account: expected ") + what + " " +
                  std::to_string(expected) + ", found " + std::to_string(found));
  };
  const std::uint64_t sum = s.completed + s.failed + s.dropped + s.in_flight;
  require(s.submitted == ledger_.submitted(), "submitted", ledger_.submitted(), s.submitted);
  require(s.submitted == sum, "completed + failed + dropped + in flight", s.submitted, sum);
  require(s.completed + s.failed == ledger_.seen(), "completed + failed", ledger_.seen(),
          s.completed + s.failed);
  if (!plan_.leaves_in_flight || ended) {
    require(s.in_flight == 0, "in flight", 0, s.in_flight);
    ledger_.close(s.dropped, s.parks);
  } else {
    ledger_.close(s.dropped + s.in_flight, s.parks);
  }
}

}  // namespace aatgs::soak
