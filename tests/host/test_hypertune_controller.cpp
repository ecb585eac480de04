// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/hypertune_controller.hpp>
#include <limits>
#include <string>
#include <vector>

namespace aatgs {
namespace {

using Event = HypertuneEvent;
using Kind = HypertuneKind;

/// Records of ten iterations; windows of five of them; stalls of 30 iterations.
HypertuneOptions small(std::vector<HypertuneRule> rules) {
  HypertuneOptions options;
  options.window_records = 5;
  options.record_iterations = 10;
  options.stall_iterations = 30;
  options.rules = std::move(rules);
  return options;
}

HypertuneSample record(std::uint64_t conflicts, double efficiency = HypertuneSample::unknown) {
  return {.iterations = 10, .conflicts = conflicts, .efficiency = efficiency};
}

/// How many of these records it takes until it acts; 0: it never does.
int records_until_action(HypertuneController& controller, const std::vector<HypertuneSample>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (controller.observe(all[i])) return static_cast<int>(i) + 1;
  }
  return 0;
}

std::vector<HypertuneSample> same(std::size_t count, HypertuneSample sample) {
  return std::vector<HypertuneSample>(count, sample);
}

void check_refused(const HypertuneOptions& options, const std::string& name) {
  try {
    check_options(options);
    FAIL("taken: " << name);
  } catch (const OptionError& e) {
    CHECK_MESSAGE(std::string(e.what()).find(name) != std::string::npos, e.what());
  }
}

const HypertuneRule on_stall{Event::phase_stalled, Kind::adjust_population};

}  // namespace

TEST_CASE("hypertune: a stall is found too early, too late, or while conflicts drop") {
  HypertuneController stalled(small({on_stall}));
  CHECK(records_until_action(stalled, same(10, record(7))) == 4);  // the first is an improvement
  CHECK(stalled.detected(Event::phase_stalled));

  HypertuneController dropping(small({on_stall}));
  std::vector<HypertuneSample> records;
  for (std::uint64_t i = 0; i < 60; ++i) records.push_back(record(100 - i / 3));
  CHECK(records_until_action(dropping, records) == 0);
  CHECK(records_until_action(dropping, same(1, record(90))) == 1);  // no drop for 30 iterations

  HypertuneController higher(small({on_stall}));
  records.clear();
  for (std::uint64_t i = 0; i < 4; ++i) records.push_back(record(5 + i));
  CHECK(records_until_action(higher, records) == 4);
}

TEST_CASE("hypertune: a stall starts over with records of no iterations, or never does") {
  HypertuneController controller(small({on_stall}));
  CHECK(!controller.observe(record(5)));
  for (int i = 0; i < 100; ++i) CHECK(!controller.observe({.iterations = 0, .conflicts = 5}));
  CHECK(controller.observe({.iterations = 30, .conflicts = 5}));
  for (int i = 0; i < 2; ++i) CHECK(!controller.observe(record(5)));  // after an action, anew
}

TEST_CASE("hypertune: what is legal is improved further") {
  HypertuneController controller(small({on_stall, {Event::no_improvement, Kind::toggle_phase}}));
  CHECK(records_until_action(controller, same(100, record(0))) == 0);
  CHECK(!controller.detected(Event::phase_stalled));
}

TEST_CASE("hypertune: a window without improvement is judged when not full, or by its action") {
  const HypertuneRule rule{Event::no_improvement, Kind::reset_to_baseline};
  HypertuneController controller(small({rule}));
  CHECK(records_until_action(controller, same(10, record(7))) == 6);
  CHECK(records_until_action(controller, same(10, record(7))) == 5);

  // Stalls are answered in between; each answer gets worse, then as good as before.
  HypertuneController both(small({on_stall, rule}));
  std::vector<Kind> kinds;
  for (int i = 0; i < 12; ++i) {
    if (const auto action = both.observe(record(i == 0 ? 7 : 9))) kinds.push_back(action->kind);
  }
  CHECK(kinds == std::vector<Kind>{Kind::adjust_population, Kind::reset_to_baseline,
                                   Kind::adjust_population, Kind::reset_to_baseline});
}

TEST_CASE("hypertune: many conflicts are seen before the window is full, or at the threshold") {
  HypertuneOptions options = small({{Event::high_conflicts, Kind::adjust_iterations, 2}});
  options.high_conflicts = 100;
  HypertuneController above(options);
  CHECK(records_until_action(above, same(20, record(101))) == 5);
  CHECK(records_until_action(above, same(20, record(101))) == 5);  // the next is a window later
  HypertuneController at(options);
  CHECK(records_until_action(at, same(20, record(100))) == 0);
  HypertuneController once_below(options);
  std::vector<HypertuneSample> records = same(4, record(101));
  records.push_back(record(3));
  const auto more = same(4, record(101));
  records.insert(records.end(), more.begin(), more.end());
  CHECK(records_until_action(once_below, records) == 0);  // 3 is in every window so far
  CHECK(records_until_action(once_below, same(1, record(101))) == 1);
}

TEST_CASE("hypertune: efficiency that nobody knows is low, or a low one is not seen") {
  const auto options = small({{Event::low_efficiency, Kind::adjust_temperatures, 0.5F}});
  HypertuneController low(options);
  CHECK(records_until_action(low, same(20, record(9, 0.49))) == 5);
  HypertuneController enough(options);
  CHECK(records_until_action(enough, same(20, record(9, 0.5))) == 0);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double odd : {HypertuneSample::unknown, infinity, -infinity}) {
    HypertuneController unknown(options);
    CHECK(records_until_action(unknown, same(20, record(9, odd))) == 0);
    std::vector<HypertuneSample> some = same(4, record(9, odd));
    some.push_back(record(9, 0.1));
    CHECK(records_until_action(unknown, some) == 5);  // by the one that is known
  }
}

TEST_CASE("hypertune: durations of a run that are no time stop it or count") {
  HypertuneController controller(small({{Event::low_efficiency, Kind::adjust_iterations, 2}}));
  RunMetric metric;
  const auto next = [&](double duration) {
    metric.step += 10;
    metric.duration_ms = duration;
    return controller.observe(metric).has_value();
  };
  for (const double odd :
       {RunMetric::unknown, 0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    for (int i = 0; i < 10; ++i) CHECK(!next(odd));
  }
  for (int i = 0; i < 10; ++i) CHECK(!next(1.0));
  int slow = 0;
  while (slow < 20 && !next(4.0)) ++slow;
  CHECK(slow == 3);  // three of five at a quarter of the speed: 0.55, four: 0.4
}

TEST_CASE("hypertune: a run that begins anew goes on with the old one's stall") {
  HypertuneController controller(small({on_stall}));
  RunMetric metric;
  metric.conflicts = 5;
  for (const std::uint64_t step : {10, 20, 30, 5, 15, 25}) {
    metric.step = step;
    CHECK(!controller.observe(metric));
  }
  metric.step = 35;
  CHECK(controller.observe(metric).has_value());
  controller.restart();
  CHECK(controller.actions() == 0);
  CHECK(!controller.detected(Event::phase_stalled));
}

TEST_CASE("hypertune: the same answer is given again though it did not pay, or not though it did") {
  const HypertuneRule warmer{Event::phase_stalled, Kind::adjust_temperatures, 2};
  const HypertuneRule baseline{Event::phase_stalled, Kind::reset_to_baseline};
  HypertuneController controller(small({warmer, on_stall, baseline}));
  std::vector<Kind> kinds;
  const auto stall_at = [&](std::uint64_t conflicts) {
    for (int i = 0; i < 100; ++i) {
      if (const auto action = controller.observe(record(conflicts))) {
        kinds.push_back(action->kind);
        return;
      }
    }
  };
  for (const std::uint64_t conflicts : {9, 8, 8, 8, 8, 7}) stall_at(conflicts);
  CHECK(kinds == std::vector<Kind>{Kind::adjust_temperatures, Kind::adjust_temperatures,
                                   Kind::adjust_population, Kind::reset_to_baseline,
                                   Kind::adjust_temperatures, Kind::adjust_temperatures});
}

TEST_CASE("hypertune: what came of an action is not told, told twice, or told wrong") {
  HypertuneController controller(small({on_stall}));
  for (int i = 0; i < 3; ++i) CHECK(!controller.observe(record(9)));
  const auto first = controller.observe(record(9));
  REQUIRE(first);
  CHECK(first->number == 1);
  CHECK(first->conflicts_before == 9);
  CHECK(first->at_iteration == 40);
  CHECK(!controller.take_outcome());
  CHECK(!controller.observe(record(12)));
  CHECK(!controller.take_outcome());
  CHECK(!controller.observe(record(8)));
  const auto paid = controller.take_outcome();
  REQUIRE(paid);
  CHECK(paid->paid);
  CHECK(paid->action.number == 1);
  CHECK(paid->conflicts_after == 8);
  CHECK(paid->iterations == 20);
  CHECK(!controller.take_outcome());

  for (int i = 0; i < 2; ++i) CHECK(!controller.observe(record(8)));
  CHECK(controller.observe(record(8))->number == 2);
  for (int i = 0; i < 4; ++i) (void)controller.observe(record(8));
  const auto in_vain = controller.take_outcome();
  REQUIRE(in_vain);
  CHECK(!in_vain->paid);
  CHECK(in_vain->action.number == 2);
  CHECK(in_vain->conflicts_after == 8);
  CHECK(controller.actions() == 3);
  CHECK(controller.paid() == 1);
}

TEST_CASE("hypertune: patience does not grow with failures, or stays when an action has paid") {
  HypertuneOptions options = small({on_stall});
  options.window_records = 12;
  options.patience = 4;
  HypertuneController controller(options);
  CHECK(records_until_action(controller, same(50, record(9))) == 13);  // 4 times 30 iterations
  CHECK(records_until_action(controller, same(50, record(8))) == 4);   // paid
  CHECK(records_until_action(controller, same(50, record(8))) == 4);   // this one will not
  CHECK(records_until_action(controller, same(50, record(8))) == 7);
  CHECK(records_until_action(controller, same(50, record(8))) == 13);
  CHECK(records_until_action(controller, same(50, record(8))) == 13);
}

TEST_CASE(
    "hypertune: the gravest event is not answered first, or an event without a rule stops it") {
  HypertuneOptions options = small({{Event::high_conflicts, Kind::adjust_weights, 2},
                                    {Event::low_efficiency, Kind::adjust_temperatures, 0.5F}});
  options.high_conflicts = 10;
  HypertuneController controller(options);
  for (int i = 0; i < 4; ++i) CHECK(!controller.observe(record(11, 0.1)));
  CHECK(controller.observe(record(11, 0.1))->event == Event::low_efficiency);
  HypertuneController no_stall_rule(options);
  CHECK(records_until_action(no_stall_rule, same(50, record(9))) == 0);
  CHECK(no_stall_rule.detected(Event::phase_stalled));
}

TEST_CASE("hypertune: options that cannot work are taken, or refused without the value") {
  CHECK_NOTHROW(check_options({}));
  CHECK(HypertuneController({}).actions() == 0);
  HypertuneOptions options;
  options.record_iterations = 2;
  CHECK_NOTHROW(check_options(options));  // 50 records of 2 iterations hold a stall of 100
  options.window_records = 49;
  check_refused(options, "window_records = 49");
  options = {};
  options.patience = 51;
  check_refused(options, "patience = 51");
  const auto refuse = [](auto change, const std::string& name) {
    HypertuneOptions bad;
    change(bad);
    check_refused(bad, name);
  };
  refuse([](auto& o) { o.window_records = 0; }, "window_records = 0");
  refuse([](auto& o) { o.window_records = 1U << 21; }, "window_records = 2097152");
  refuse([](auto& o) { o.record_iterations = 0; }, "record_iterations = 0");
  refuse([](auto& o) { o.stall_iterations = 0; }, "stall_iterations = 0");
  refuse([](auto& o) { o.stall_iterations = ~std::uint64_t{0}; }, "18446744073709551615");
  refuse([](auto& o) { o.patience = 0; }, "patience = 0");
  refuse([](auto& o) { o.efficiency = HypertuneSample::unknown; }, "efficiency = nan");
  refuse([](auto& o) { o.efficiency = 1.5; }, "efficiency = 1.5");
  for (const float factor : {0.0F, -1.0F, std::numeric_limits<float>::infinity()}) {
    refuse([&](auto& o) { o.rules.front().factor = factor; }, "PhaseStalled: factor");
  }
  refuse([](auto& o) { o.rules.front().kind = static_cast<Kind>(6); }, "kind 6");
  refuse([](auto& o) { o.rules.front().event = static_cast<Event>(4); }, "event 4");
}

TEST_CASE("hypertune: records of actions are cut, not JSON, or lose what they tell") {
  constexpr std::uint64_t most = ~std::uint64_t{0};
  const HypertuneAction action{
      most, Event::low_efficiency, Kind::adjust_temperatures, 1.23457e-38F, most, most};
  const RunMetric begun = to_metric(action, 0xFFFFFFFF);
  CHECK(begun.phase.view() == "hypertune");
  CHECK(begun.step == most);
  CHECK(begun.conflicts == most);
  const std::string beginning =
      R"({"member":4294967295,"event":"LowEfficiency","action":"adjust_temperatures",)"
      R"("factor":1.23457e-38,"at_iteration":18446744073709551615)";
  CHECK(begun.parameters.view() == beginning + "}");
  const RunMetric ended = to_metric(HypertuneOutcome{action, 3, most, false}, 0xFFFFFFFF);
  CHECK(ended.conflicts == 3);
  CHECK(ended.parameters.view() == beginning +
                                       R"(,"conflicts_before":18446744073709551615,)"
                                       R"("iterations":18446744073709551615,"paid":false})");
  CHECK(ended.notes.view() == R"("outcome")");
}

}  // namespace aatgs
