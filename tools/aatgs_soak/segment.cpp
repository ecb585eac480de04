// SPDX-License-Identifier: Apache-2.0
#include "segment.hpp"

#include <exception>
#include <memory>

namespace aatgs::soak {

using namespace std::chrono_literals;

namespace {

constexpr auto deadline = 20s;

const char* to_string(Ending ending) {
  switch (ending) {
    case Ending::drain:
      return "drain";
    case Ending::abort:
      return "abort";
    case Ending::destructor:
      break;
  }
  return "destructor";
}

const char* to_string(TelemetryPolicy policy) {
  switch (policy) {
    case TelemetryPolicy::block:
      return "block";
    case TelemetryPolicy::drop_newest:
      return "drop_newest";
    case TelemetryPolicy::overwrite_oldest:
      break;
  }
  return "overwrite_oldest";
}

/// The loads of all ports of one context.
class Loads {
 public:
  Loads(SoakContext& context, const SegmentPlan& plan, Watch& watch)
      : context_(context), plan_(plan), plans_(plan.load.options.ports, plan.load) {
    const auto ports = static_cast<std::uint32_t>(plans_.size());
    const auto until = std::chrono::steady_clock::now() + plan.run_for;
    for (std::uint32_t i = 0; i < ports; ++i) {
      plans_[i].port = i;
      plans_[i].configs = plan.load.configs / ports + (i < plan.load.configs % ports ? 1 : 0);
      plans_[i].may_be_ended = plan.ends_from_outside || (plan.ends_under_load && i != 0);
      if (plan.run_for.count() != 0 && !plans_[i].may_be_ended) plans_[i].until = until;
      loads_.push_back(std::make_unique<PortLoad>(context.port(i), plans_[i],
                                                  Random(mix(plan.seed + i)), watch.cell(i)));
    }
  }

  void run() {
    std::vector<std::jthread> threads;
    if (plan_.ends_from_outside) {
      threads.emplace_back([this] {
        std::this_thread::sleep_for(plan_.run_for);
        context_.request_abort();
      });
    }
    for (std::size_t i = 1; i < loads_.size(); ++i) {
      threads.emplace_back([this, i] { loads_[i]->run(); });
    }
    loads_[0]->run();
    std::this_thread::sleep_for(plan_.rest_before_end);
    if (!plan_.ends_under_load) threads.clear();
    const bool is_to_end = plan_.ending != Ending::destructor;
    if (is_to_end) shut_down(0);
    threads.clear();
    for (std::uint32_t i = 0; i < loads_.size(); ++i) {
      if (is_to_end && i != 0) shut_down(i);  // for its account: the kernel has left
      loads_[i]->settle(is_to_end);
    }
  }

  [[nodiscard]] Tally tally() const {
    Tally all;
    for (const auto& load : loads_) all += load->ledger().tally();
    all.parks = loads_[0]->ledger().tally().parks;  // each port counts all of them
    return all;
  }

 private:
  void shut_down(std::uint32_t port) {
    const bool drains = plan_.ending == Ending::drain && !loads_[port]->is_broken();
    const StopMode mode = drains ? StopMode::drain : StopMode::abort;
    if (context_.port(port).shutdown(mode, deadline)) return;
    loads_[port]->ledger().blame("shutdown of port " + std::to_string(port) +
                                 " did not come to an end within 20 s");
  }

  SoakContext& context_;
  const SegmentPlan& plan_;
  std::vector<LoadPlan> plans_;
  std::vector<std::unique_ptr<PortLoad>> loads_;
};

}  // namespace

std::string describe(const SegmentPlan& plan) {
  const ContextOptions& o = plan.load.options;
  return "executor " + std::string(aatgs::to_string(o.executor)) + ", scope " +
         std::string(aatgs::to_string(o.scope)) + ", config_slots " +
         std::to_string(o.config_slots) + ", telemetry_slots " + std::to_string(o.telemetry_slots) +
         ", telemetry_policy " + to_string(o.telemetry_policy) + ", config_policy " +
         (o.config_policy == ConfigPolicy::reject ? "reject" : "block") + ", park_after " +
         std::to_string(o.park_after.count() / 1000) + " us, leave_after " +
         std::to_string(o.leave_after) + (o.bounded ? ", bounded" : "") + ", ports " +
         std::to_string(o.ports) + ", workers " + std::to_string(o.workers) + ", cpu_threads " +
         std::to_string(o.cpu_threads) + ", hot_window " + std::to_string(o.hot_window) +
         ", first_ticket " + std::to_string(o.first_ticket) + ", configs " +
         std::to_string(plan.load.configs) + ", spin " + std::to_string(plan.load.spin_ns) +
         " ns, ends " +
         (plan.run_for.count() == 0
              ? std::string()
              : "after " + std::to_string(plan.run_for.count() / 1000) + " us ") +
         "by " + to_string(plan.ending) +
         (plan.ends_under_load ? " under load from other threads" : "") +
         (plan.ends_from_outside ? " that a thread of its own asks for" : "") + ", seed " +
         std::to_string(plan.seed);
}

Tally run_segment(const SegmentPlan& plan, const ContextMaker& make, Watch& watch) {
  const std::string about = describe(plan);
  watch.note(about);
  Tally tally;
  try {
    SoakContext context = make(SoakStep{plan.load.salt}, plan.load.options);
    Loads loads(context, plan, watch);
    loads.run();
    tally = loads.tally();
  } catch (const std::exception& error) {
    tally.blame(&Tally::other, std::string("exception: ") + error.what());
  }
  tally.contexts = 1;
  if (!tally.first.empty()) tally.first += " (" + about + ")";
  return tally;
}

}  // namespace aatgs::soak
