// SPDX-License-Identifier: Apache-2.0
// Puts faults into steps, executors and memory, which the soak must find.
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_context.hpp>
#include <atomic>
#include <nlohmann/json.hpp>

#include "memory_series.hpp"
#include "part_runner.hpp"
#include "report.hpp"
#include "segment.hpp"

namespace aatgs::soak {
namespace {

using namespace std::chrono_literals;

SegmentPlan plan_of(std::uint64_t configs) {
  SegmentPlan plan;
  plan.load.options.executor = ExecutorKind::cpu;
  plan.load.options.cpu_threads = 2;
  plan.load.options.config_slots = 64;
  plan.load.options.telemetry_slots = 64;
  plan.load.options.first_ticket = (std::uint64_t{1} << 32) - 1000;
  plan.load.salt = 42;
  plan.load.configs = configs;
  plan.load.some_fail = true;
  return plan;
}

Tally run(const SegmentPlan& plan, const ContextMaker& make) {
  Watch watch(1min, [](const std::string& where) {
    MESSAGE(where);
    std::_Exit(3);
  });
  return run_segment(plan, make, watch);
}

/// What a faulty step or executor does to its ticket.
enum class Fault {
  none,
  wrong_word,    ///< the step answers with one wrong word
  other_whole,   ///< the step answers as another ticket
  no_failure,    ///< a failure that was asked for does not happen
  drops,         ///< the host drops a completion
  doubles,       ///< the host gets a completion twice
  mixes,         ///< a completion is made of two
  torn_config,   ///< a config's word is that of another
  swaps_config,  ///< a config is that of another
  invents,       ///< a completion of a ticket that was never queued
  stays,         ///< a park that does not come to an end
};

constexpr std::uint64_t faulty_every = 10'000;

struct FaultyStep {
  SoakStep step;
  Fault fault;

  template <class Group>
  void operator()(Group& group, const SoakConfig& config, SoakTelemetry& out) const {
    SoakConfig seen = config;
    const bool is_faulty = group.ticket() % faulty_every == 77;
    if (fault == Fault::no_failure) seen.order &= ~order_fail;
    if (fault == Fault::no_failure)
      seen.check = check_of(base_of(seen.ticket, 0, step.salt), seen.order);
    if (is_faulty && fault == Fault::torn_config) {
      seen.words[7] = payload_word(base_of(config.ticket - 64, 0, step.salt), 7);
    }
    if (is_faulty && fault == Fault::swaps_config) {
      fill(seen, config.ticket - 64, base_of(config.ticket - 64, 0, step.salt), 0);
    }
    step(group, seen, out);
    if (!is_faulty || group.rank() != 0) return;
    if (fault == Fault::wrong_word) out.words[3] ^= 1U;
    if (fault == Fault::other_whole) {
      const std::uint64_t other = group.ticket() - 64;
      out.ticket = other;
      for (std::uint32_t i = 0; i < answer_words; ++i) {
        out.words[i] = answer_word(payload_word(base_of(other, 0, step.salt), source_of(i)), other);
      }
    }
  }
};

/// An executor whose host side goes wrong now and then.
class FaultyExecutor final : public Executor<SoakConfig, SoakTelemetry> {
 public:
  using Done = Completion<SoakTelemetry>;

  FaultyExecutor(std::unique_ptr<Executor> inner, Fault fault)
      : inner_(std::move(inner)), fault_(fault) {}

  QueueStatus try_submit(const SoakConfig& config) override { return inner_->try_submit(config); }
  bool try_collect(Done& out) override {
    if (again_) {
      out = last_;
      again_ = false;
      return true;
    }
    if (!inner_->try_collect(out)) return false;
    const bool is_faulty = out.ticket % faulty_every == 77;
    if (is_faulty && fault_ == Fault::drops) return false;
    if (is_faulty && fault_ == Fault::mixes) out.telemetry.words[6] = last_.telemetry.words[6];
    if (is_faulty && fault_ == Fault::invents) out.ticket += 1'000'000;
    last_ = out;
    again_ = is_faulty && fault_ == Fault::doubles;
    return true;
  }
  [[nodiscard]] std::uint64_t lost() const override { return inner_->lost(); }
  [[nodiscard]] bool idle() const override { return inner_->idle(); }
  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    return inner_->ring_counters(exact);
  }
  [[nodiscard]] std::uint64_t parks() const override { return inner_->parks(); }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return "faulty"; }
  bool park(std::chrono::nanoseconds deadline) override {
    return fault_ != Fault::stays && inner_->park(deadline);
  }
  void check() override { inner_->check(); }
  void request_abort() override { inner_->request_abort(); }
  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    return inner_->stop(mode, deadline);
  }

 private:
  std::unique_ptr<Executor> inner_;
  Fault fault_;
  Done last_{};
  bool again_ = false;
};

ContextMaker maker_of(Fault fault) {
  return [fault](const SoakStep& step, const ContextOptions& options) {
    auto inner = make_cpu_executors<SoakConfig, SoakTelemetry>(FaultyStep{step, fault}, options);
    std::vector<std::unique_ptr<Executor<SoakConfig, SoakTelemetry>>> faulty;
    for (auto& one : inner)
      faulty.push_back(std::make_unique<FaultyExecutor>(std::move(one), fault));
    return SoakContext(std::move(faulty), {ExecutorKind::cpu, "test"}, options);
  };
}

constexpr std::uint64_t enough = 2 * faulty_every;

TEST_CASE("soak: errors are found where there are none") {
  for (const auto policy :
       {TelemetryPolicy::block, TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
    for (const Ending ending : {Ending::drain, Ending::abort, Ending::destructor}) {
      SegmentPlan plan = plan_of(enough);
      plan.load.options.telemetry_policy = policy;
      plan.load.options.ports = 2;
      plan.ending = ending;
      const Tally tally = run(plan, maker_of(Fault::none));
      INFO(tally.first);
      CHECK(tally.errors() == 0);
      CHECK(tally.configs == enough);
      CHECK(tally.collected + tally.dropped == enough);
    }
  }
}

struct Expected {
  Fault fault;
  std::uint64_t Tally::*kind;
  const char* words;
};

TEST_CASE("soak: a wrong answer, a torn message or a lost or doubled completion goes unseen") {
  const Expected all[] = {
      {Fault::wrong_word, &Tally::torn, "word 3"},
      {Fault::other_whole, &Tally::wrong, "whole telemetry of ticket"},
      {Fault::no_failure, &Tally::wrong, "expected status failed"},
      {Fault::drops, &Tally::lost, "did not come back"},
      {Fault::doubles, &Tally::doubled, "came back twice"},
      {Fault::mixes, &Tally::torn, "word 6"},
      {Fault::torn_config, &Tally::torn, "word 7 of its config"},
      {Fault::swaps_config, &Tally::wrong, "config of another ticket"},
      {Fault::invents, &Tally::wrong, "had been queued"},
      {Fault::stays, &Tally::other, "park() of an idle context"},
  };
  for (const Expected& expected : all) {
    CAPTURE(static_cast<int>(expected.fault));
    SegmentPlan plan = plan_of(enough);
    plan.load.in_batches = false;
    Tally tally;
    for (; plan.seed < 20 && tally.*expected.kind == 0; ++plan.seed) {
      tally = run(plan, maker_of(expected.fault));
    }
    CAPTURE(tally.first);
    CHECK(tally.*expected.kind >= 1);
  }
}

TEST_CASE("soak: an abort under load leaves tickets out of the account") {
  SegmentPlan plan = plan_of(std::uint64_t{1} << 40);
  plan.load.options.ports = 2;
  plan.load.leaves_in_flight = true;
  plan.ending = Ending::abort;
  plan.ends_under_load = true;
  plan.run_for = 3ms;
  for (plan.seed = 0; plan.seed < 20; ++plan.seed) {
    plan.ends_from_outside = plan.seed % 2 == 1;
    const Tally tally = run(plan, maker_of(Fault::none));
    INFO(tally.first);
    CHECK(tally.errors() == 0);
    CHECK(tally.collected + tally.dropped == tally.configs);
  }
}

TEST_CASE("soak: nobody is told where it is stuck") {
  std::atomic<bool> told = false;
  std::string where;
  {
    Watch watch(20ms, [&](const std::string& report) {
      where = report;
      told = true;
    });
    watch.begin("part", "configs", 10);
    watch.note("the options");
    while (!told) std::this_thread::yield();
  }
  CHECK(where.find("no progress for 20 ms, after 0 of 10 configs") != std::string::npos);
  CHECK(where.find("the options") != std::string::npos);
}

TEST_CASE("soak: memory that grows passes as flat, or noise as growth") {
  MemorySeries leak;
  MemorySeries flat;
  for (std::uint64_t i = 0; i < 400; ++i) {
    leak.add((i < 50 ? i * 100'000 : 5'000'000) + i * 4096);
    flat.add((i < 50 ? i * 100'000 : 5'000'000) + (i % 7) * 4096);
  }
  CHECK(leak.growth().value() == doctest::Approx(4096 * 200).epsilon(0.02));
  CHECK(leak.slope() == doctest::Approx(4096));
  CHECK(std::abs(flat.growth().value()) <= 4096);
  CHECK(std::abs(flat.slope()) < 20);
  CHECK_FALSE(MemorySeries().growth().has_value());
  MemorySeries few;
  for (std::uint64_t i = 0; i < 3; ++i) few.add(i);
  CHECK(few.outline(24) == std::vector<std::uint64_t>{0, 1, 2});
  CHECK(few.outline(2) == std::vector<std::uint64_t>{0, 1});
  CHECK(MemorySeries().outline(2).empty());
}

constexpr std::uint64_t mib = 1U << 20;

/// Piece i is "piece i"; the first sample is from before piece 0.
MemorySeries series_of(const std::vector<std::uint64_t>& samples) {
  MemorySeries series;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    series.add(samples[i], i == 0 ? std::string() : "piece " + std::to_string(i - 1));
  }
  return series;
}

TEST_CASE("soak: a step of memory names another piece, or a return to an old height is a step") {
  const MemorySeries series =
      series_of({10 * mib, 10 * mib, 12 * mib, 12 * mib, 11 * mib, 12 * mib, 20 * mib, 20 * mib});
  REQUIRE(series.steps().size() == 2);
  const MemoryStep& first = series.steps()[0];
  CHECK(first.piece == 1);
  CHECK(first.before == 10 * mib);
  CHECK(first.after == 12 * mib);
  CHECK(first.about == "piece 1");
  const MemoryStep& last = series.steps()[1];
  CHECK(last.piece == 5);
  CHECK(last.bytes() == 8 * mib);
  CHECK(last.about == "piece 5");
  CHECK(series.last_step().value().piece == 5);
}

TEST_CASE("soak: what is in use from the start, or a page more, passes as a step of memory") {
  CHECK(MemorySeries().steps().empty());
  CHECK_FALSE(MemorySeries().last_step().has_value());
  CHECK(series_of({500 * mib, 400 * mib, 500 * mib}).step_count() == 0);
  CHECK(series_of({mib, 2 * mib - 1}).step_count() == 0);
  CHECK(series_of({mib, 2 * mib}).step_count() == 1);
  // The rise is over the greatest sample, not over the last step.
  CHECK(series_of({mib, 2 * mib - 1, 2 * mib + 1}).step_count() == 0);
}

TEST_CASE("soak: the steps of a leak fill the report, or those past the first are forgotten") {
  MemorySeries leak;
  for (std::uint64_t i = 0; i <= 1000; ++i) leak.add(2 * i * mib, std::to_string(i));
  CHECK(leak.steps().size() == 64);
  CHECK(leak.steps().back().piece == 63);
  CHECK(leak.step_count() == 1000);
  CHECK(leak.last_step().value().piece == 999);
  CHECK(leak.last_step().value().about == "1000");
  CHECK(leak.outline(24).size() == 24);
}

TEST_CASE("soak: the report leaves out what took the memory") {
  Report report;
  report.parts.emplace_back();
  report.parts[0].name = "aborts";
  report.parts[0].device = series_of({10 * mib, 10 * mib, 12 * mib, 11 * mib});
  report.parts[0].host = series_of({10 * mib, 10 * mib});
  const auto part = nlohmann::json::parse(to_json(report))["parts"]["aborts"];
  const nlohmann::json step = {
      {"at", 1}, {"bytes", 2 * mib}, {"after_bytes", 12 * mib}, {"about", "piece 1"}};
  CHECK(part["device_memory"]["steps"] == nlohmann::json::array({step}));
  CHECK(part["device_memory"]["step_count"] == 1);
  CHECK(part["host_memory"]["steps"] == nlohmann::json::array());
}

TEST_CASE("soak: the error of memory that grew does not say after what") {
  Watch watch(1min, [](const std::string&) { std::_Exit(3); });
  Settings settings;
  settings.device = 1'000'000;  // other processes may take memory of one that exists
  PartResult part;
  part.goal = 24;
  std::vector<char> leak;
  std::uint64_t piece = 0;
  const auto next = [&](std::uint64_t) {
    if (piece == 14) leak.assign(64 * mib, 1);
    return Piece{{}, "piece " + std::to_string(piece++) + " in words"};
  };
  part = run_part({settings, maker_of(Fault::none), watch}, part, next);
  CAPTURE(part.tally.first);
  CHECK(part.tally.other == 1);
  CHECK(part.tally.first.find("host memory grew by") != std::string::npos);
  CHECK(part.tally.first.find("bytes, came after piece 14: piece 14 in words") !=
        std::string::npos);
}

}  // namespace
}  // namespace aatgs::soak
