// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <bit>
#include <random>
#include <sstream>
#include <vector>

#include "tune.hpp"

namespace aatgs {
namespace {

Measurement run_of(double config_peak, double telemetry_peak, std::uint64_t refused = 0,
                   double per_second = 1000) {
  Measurement m;
  m.per_second = per_second;
  m.config_ring = {m.setting.config_slots, 0, config_peak / 2, config_peak};
  m.telemetry_ring = {m.setting.telemetry_slots, 0, telemetry_peak / 2, telemetry_peak};
  m.config_overflows = refused;
  return m;
}
Measurement run_of_size(std::uint32_t config_slots, std::uint32_t telemetry_slots,
                        double per_second, bool clean) {
  Measurement m = run_of(0.5, 0.5, 0, per_second);
  m.setting.config_slots = m.config_ring.slots = config_slots;
  m.setting.telemetry_slots = m.telemetry_ring.slots = telemetry_slots;
  if (!clean) m.config_ring.peak = 1;
  return m;
}

/// A host and one worker by the clock of a simulation, loaded as the built-in load does it.
struct Model {
  double step_us = 5, own_us = 0, reader_us = 0;
  std::uint32_t burst = 1, configs = 4000;
  double trip_us = 0;  ///< when the worker has run dry, until it sees the next config

  [[nodiscard]] Measurement run(const Setting& setting) const;
};

/// One run of a model.
class Simulation {
 public:
  Simulation(const Model& model, const Setting& setting)
      : model_(model), setting_(setting), starts_(model.configs), ends_(model.configs) {}

  Measurement run() {
    std::uint32_t queued = 0;
    while (queued < model_.configs) {
      for (std::uint32_t i = 0; i < model_.burst && queued < model_.configs; ++i) queue(queued++);
      now_ += model_.own_us;
      while (collected_ < queued && ends_[collected_] <= now_) collect();
    }
    while (collected_ < queued) collect();
    Measurement m;
    m.setting = setting_;
    m.per_second = 1e6 * model_.configs / now_;
    m.collected = model_.configs;
    m.config_overflows = refusals_;
    m.config_ring = {setting_.config_slots, 0, 0, config_peak_ / setting_.config_slots};
    m.telemetry_ring = {setting_.telemetry_slots, 0, 0, telemetry_peak_ / setting_.telemetry_slots};
    return m;
  }

 private:
  void queue(std::uint32_t i) {
    for (;;) {
      const bool has_slot = i < setting_.config_slots || starts_[i - setting_.config_slots] <= now_;
      const bool has_answer = i < collected_ + setting_.telemetry_slots;
      if (has_slot && has_answer) break;
      ++refusals_;
      if (!has_answer) telemetry_peak_ = setting_.telemetry_slots;
      if (has_answer && !has_slot) config_peak_ = setting_.config_slots;
      collect();
    }
    now_ += 0.05;
    const double free = i == 0 ? 0 : ends_[i - 1];
    starts_[i] = free >= now_ ? free : now_ + model_.trip_us;
    ends_[i] = starts_[i] + model_.step_us;
    if ((i + 1) % 16 == 0) look(i + 1);
  }

  void collect() {
    now_ = std::max(now_, ends_[collected_]) + model_.reader_us;
    ++collected_;
  }

  void look(std::uint32_t queued) {
    const auto passed = [&](const std::vector<double>& moments) {
      return static_cast<double>(std::upper_bound(moments.begin(), moments.begin() + queued, now_) -
                                 moments.begin());
    };
    config_peak_ = std::max(config_peak_, queued - passed(starts_));
    telemetry_peak_ = std::max(telemetry_peak_, passed(ends_) - collected_);
  }

  Model model_;
  Setting setting_;
  std::vector<double> starts_, ends_;
  std::uint32_t collected_ = 0;
  std::uint64_t refusals_ = 0;
  double now_ = 0, config_peak_ = 0, telemetry_peak_ = 0;
};

Measurement Model::run(const Setting& setting) const {
  return Simulation(*this, setting).run();
}

/// Runs the tuner to its end.
template <class Run>
std::vector<Measurement> settle(const SlotLimits& limits, const Run& run) {
  Tuner tuner(limits, {});
  while (tuner.next() && tuner.runs().size() < 50) tuner.add(run(*tuner.next()));
  return tuner.runs();
}

double best_of_sweep(const SlotLimits& limits, const Model& model) {
  double best = 0;
  for (const Setting& s : all_sizes(limits, {})) best = std::max(best, model.run(s).per_second);
  return best;
}

TEST_CASE("tuner: the rule judges a ring by something else than its peak") {
  const auto verdict = [](double peak) { return judge_config_ring(run_of(peak, 0.5)); };
  CHECK(verdict(0) == RingVerdict::shrink);
  CHECK(verdict(0.199) == RingVerdict::shrink);
  CHECK(verdict(0.2) == RingVerdict::fine);
  CHECK(verdict(0.4) == RingVerdict::ideal);
  CHECK(verdict(0.8) == RingVerdict::ideal);
  CHECK(verdict(0.81) == RingVerdict::nearly_full);
  CHECK(verdict(0.9) == RingVerdict::nearly_full);
  CHECK(verdict(0.91) == RingVerdict::enlarge);
  CHECK(judge_telemetry_ring(run_of(0.95, 0.1)) == RingVerdict::shrink);
}

TEST_CASE(
    "tuner: a ring that overflowed is content with its utilisation, or the wrong one is not") {
  CHECK(judge_config_ring(run_of(1, 0.5, 1)) == RingVerdict::enlarge);
  CHECK(judge_telemetry_ring(run_of(1, 0.5, 1)) == RingVerdict::ideal);
  CHECK(judge_telemetry_ring(run_of(0.5, 1, 1)) == RingVerdict::enlarge);
  CHECK(judge_config_ring(run_of(0.5, 1, 1)) == RingVerdict::ideal);
  // Neither was seen full, but a config was refused.
  CHECK(judge_config_ring(run_of(0.5, 0.1, 1)) == RingVerdict::enlarge);
  CHECK(judge_telemetry_ring(run_of(0.5, 0.1, 1)) == RingVerdict::enlarge);
  Measurement lossy = run_of(0.5, 0.1);
  lossy.telemetry_overflows = 1;
  CHECK(judge_telemetry_ring(lossy) == RingVerdict::enlarge);
  CHECK(judge_config_ring(lossy) == RingVerdict::ideal);
}

TEST_CASE("tuner: a size is recommended that is slower, overflows, or is larger than it must be") {
  const auto recommended = [](const std::vector<Measurement>& runs) {
    return recommend(runs).setting.config_slots;
  };
  CHECK(recommended({run_of_size(1024, 1024, 1000, true), run_of_size(64, 64, 990, true),
                     run_of_size(16, 16, 970, true)}) == 64);
  CHECK(recommended({run_of_size(64, 64, 1000, false), run_of_size(256, 256, 990, true)}) == 256);
  CHECK(recommended({run_of_size(64, 64, 1000, false), run_of_size(256, 256, 900, true)}) == 64);
  CHECK(recommended({run_of_size(256, 256, 1000, false), run_of_size(64, 64, 985, false)}) == 64);
  CHECK(recommended({run_of_size(256, 256, 0, true)}) == 256);
}

TEST_CASE("tuner: it goes on with a size that is ideal") {
  const auto runs = settle({}, [](const Setting& setting) {
    Measurement m = run_of(0.6, 0.5);
    m.setting = setting;
    return m;
  });
  CHECK(runs.size() == 1);
}

TEST_CASE("tuner: rings that are hardly used stay large, or lose the bursts they were made for") {
  const Model bursts{.step_us = 20, .own_us = 2400, .burst = 96};
  const auto runs = settle({}, [&](const Setting& s) { return bursts.run(s); });
  const Measurement& found = recommend(runs);
  CHECK(found.setting.config_slots == 128);
  CHECK(found.setting.telemetry_slots == 128);
  CHECK(is_clean(found));
  CHECK(runs.size() <= 3);
}

TEST_CASE("tuner: rings that overflow are not enlarged") {
  const Model bursts{.step_us = 5, .own_us = 8000, .burst = 1500, .configs = 9000};
  const auto runs = settle({}, [&](const Setting& s) { return bursts.run(s); });
  const Measurement& found = recommend(runs);
  CHECK(found.setting.config_slots >= 2048);
  CHECK(found.setting.telemetry_slots >= 2048);
  CHECK(is_clean(found));
}

TEST_CASE("tuner: a host that is always ahead makes it enlarge without end, or gain nothing") {
  const Model ahead{.step_us = 5, .configs = 20'000, .trip_us = 20};
  const SlotLimits limits{4, 1U << 20};
  const auto runs = settle(limits, [&](const Setting& s) { return ahead.run(s); });
  CHECK(runs.size() <= 8);
  CHECK(recommend(runs).setting.config_slots <= 64);
  CHECK(recommend(runs).per_second >= 0.98 * ahead.run({}).per_second);
}

TEST_CASE("tuner: it looks for ever smaller rings though they are slower") {
  const Model ahead{.step_us = 20, .own_us = 300, .burst = 64, .configs = 20'000};
  const auto runs = settle({1, 4096}, [&](const Setting& s) { return ahead.run(s); });
  double fastest = 0;
  for (const Measurement& m : runs) fastest = std::max(fastest, m.per_second);
  CHECK(std::count_if(runs.begin(), runs.end(),
                      [&](const Measurement& m) { return m.per_second < 0.98 * fastest; }) == 1);
}

TEST_CASE("tuner: bursts that no ring within the limits holds end in the smallest ring") {
  const Model bursts{.step_us = 5, .own_us = 3000, .burst = 600};
  const auto runs = settle({4, 256}, [&](const Setting& s) { return bursts.run(s); });
  CHECK(recommend(runs).setting.config_slots == 256);
}

TEST_CASE("tuner: what it recommends is slower than 95 % of the best of all sizes") {
  const Model models[] = {
      {.step_us = 2, .trip_us = 10},                                     // steady
      {.step_us = 20, .own_us = 2400, .burst = 96},                      // bursts
      {.step_us = 5, .reader_us = 10, .burst = 32},                      // a slow reader
      {.step_us = 5, .own_us = 2000, .reader_us = 3, .burst = 300},      // both
      {.step_us = 3, .own_us = 50, .burst = 1},                          // hardly any load
      {.step_us = 1, .own_us = 1500, .burst = 1000, .configs = 20'000},  // large bursts
      {.step_us = 0.1, .reader_us = 0.3, .burst = 7, .trip_us = 3},      // tiny steps
  };
  const SlotLimits limits;
  for (const Model& model : models) {
    CAPTURE(model.step_us);
    CAPTURE(model.burst);
    const auto runs = settle(limits, [&](const Setting& s) { return model.run(s); });
    CHECK(recommend(runs).per_second >= 0.95 * best_of_sweep(limits, model));
    CHECK(runs.size() <= 12);
  }
}

TEST_CASE("tuner: it never settles, repeats itself, or leaves the limits or the powers of two") {
  std::mt19937 random(7);
  const auto draw = [&](double least, double most) {
    return std::uniform_real_distribution<double>(least, most)(random);
  };
  for (int i = 0; i < 300; ++i) {
    const SlotLimits limits{1U << static_cast<int>(draw(0, 6)),
                            1U << static_cast<int>(draw(6, 14))};
    const Model model{.step_us = draw(0, 30),
                      .own_us = draw(0, 3000),
                      .reader_us = draw(0, 20),
                      .burst = static_cast<std::uint32_t>(draw(1, 400)),
                      .configs = 1000,
                      .trip_us = draw(0, 20)};
    const auto runs = settle(limits, [&](const Setting& s) {
      Measurement m = model.run(s);
      m.per_second *= draw(0.9, 1);  // as on a machine with other load
      m.config_overflows += draw(0, 1) < 0.1;
      return m;
    });
    CAPTURE(i);
    CHECK(runs.size() <= 20);
    for (std::size_t a = 0; a < runs.size(); ++a) {
      const Setting& s = runs[a].setting;
      for (const std::uint32_t slots : {s.config_slots, s.telemetry_slots}) {
        CHECK(std::has_single_bit(slots));
        CHECK(slots >= limits.least);
        CHECK(slots <= limits.most);
      }
      for (std::size_t b = 0; b < a; ++b) {
        CHECK_FALSE((runs[b].setting.config_slots == s.config_slots &&
                     runs[b].setting.telemetry_slots == s.telemetry_slots));
      }
    }
  }
}

TEST_CASE("tuner: limits that are no ring sizes, or crossed, are taken") {
  for (const SlotLimits& wrong : {SlotLimits{0, 64}, SlotLimits{4, 100}, SlotLimits{3, 64},
                                  SlotLimits{4, 1U << 21}, SlotLimits{128, 64}}) {
    CHECK_THROWS_AS(Tuner(wrong, {}), OptionError);
    CHECK_THROWS_AS(all_sizes(wrong, {}), OptionError);
  }
  CHECK(all_sizes({1, 1}, {}).size() == 1);
  CHECK(all_sizes({4, 64}, {}).size() == 25);
}

TEST_CASE("tuning: several runs of a setting count the slowest, or other policies are not run") {
  TunePlan plan;
  plan.exhaustive = true;
  plan.limits = {64, 128};
  plan.repeat = 3;
  plan.policies.resize(2);
  plan.policies[1].telemetry_policy = TelemetryPolicy::drop_newest;
  int calls = 0;
  std::ostringstream progress;
  const TuneResult result = tune(
      plan,
      [&](const Setting& setting) {
        Measurement m = run_of(0.5, 0.5, 0, ++calls % 3 == 1 ? 2000 : 1000);
        m.setting = setting;
        if (setting.telemetry_policy != TelemetryPolicy::block) m.per_second *= 1.01;
        return m;
      },
      progress);
  CHECK(calls == 24);
  CHECK(progress.str().find("run 8 of 8: ") != std::string::npos);
  REQUIRE(result.runs.size() == 8);
  for (const Measurement& m : result.runs) CHECK(m.per_second >= 2000);
  CHECK(result.fastest_per_second == 2020);
  CHECK(result.recommended.setting.telemetry_policy == TelemetryPolicy::block);
}

TEST_CASE(
    "measurement: contexts of one run are not added up, or the time between them is left out") {
  ExecutionStatistics first;
  first.completed = 90;
  first.failed = 10;
  first.config_overflows = 3;
  first.first_queued_ns = 1'000'000'000;
  first.last_collected_ns = 1'500'000'000;
  first.config_ring = {64, 0, 0.5, 0.75};
  first.queue_to_visible = {100, 10, 500, 600};
  ExecutionStatistics second = first;
  second.first_queued_ns = 2'500'000'000;
  second.last_collected_ns = 3'000'000'000;
  second.telemetry_overflows = 4;
  second.config_ring.peak = 0.25;
  second.queue_to_visible.p99_ns = 700;
  const ExecutionStatistics both[] = {second, first};
  const Measurement m = measurement_of({}, both);
  CHECK(m.collected == 200);
  CHECK(m.seconds == doctest::Approx(2));
  CHECK(m.per_second == doctest::Approx(100));
  CHECK(m.config_overflows == 6);
  CHECK(m.telemetry_overflows == 4);
  CHECK(m.config_ring.peak == 0.75);
  CHECK(m.p99_ns == 700);
  CHECK(measurement_of({}, {}).per_second == 0);
}

}  // namespace
}  // namespace aatgs
