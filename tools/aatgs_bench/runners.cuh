// SPDX-License-Identifier: Apache-2.0
// Roads that take turns.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "driver.cuh"
#include "resident_roads.cuh"
#include "scene.cuh"

namespace aatgs::bench {

/// One road in its width, and how it is run.
class Runner {
 public:
  Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  virtual ~Runner() = default;

  /// Microseconds per config, for about `seconds`; warmed up.
  virtual std::vector<double> samples(double seconds) = 0;
  /// Leaves the GPU to the others.
  virtual void leave() = 0;
  /// Why the road goes as it does, where it has a choice.
  [[nodiscard]] virtual std::string reason() const = 0;
};

/// Which configs there are at once.
struct Feed {
  unsigned known;  ///< of one batch; 1: a closed loop; 0: without an end
  unsigned depth;  ///< in flight
};

/// Configs one at a time.
class RoadRunner final : public Runner {
 public:
  RoadRunner(std::unique_ptr<BenchRoad> road, std::uint32_t work, const Feed& feed)
      : road_(std::move(road)), driver_(*road_), feed_(feed) {
    driver_.set_work(work);
    driver_.settle(feed.depth);
  }

  std::vector<double> samples(double seconds) override {
    return feed_.known == 0 ? driver_.fed(feed_.depth, seconds)
                            : driver_.known(feed_.known, feed_.depth, seconds);
  }
  void leave() override { driver_.finish(); }
  [[nodiscard]] std::string reason() const override { return road_->reason(); }

 private:
  std::unique_ptr<BenchRoad> road_;
  Driver driver_;
  Feed feed_;
};

/// Known configs by `execute_batch` on one of our executors.
class BatchRunner final : public Runner {
 public:
  template <class Step>
  BatchRunner(const Setup<Step>& setup, const ContextOptions& options, std::uint32_t work,
              unsigned count)
      : road_(setup, options), configs_(count) {
    for (BenchConfig& config : configs_) config.work = work;
    for (const std::uint64_t begin = host_now_ns(); !road_.is_settled();) {
      road_.label_batch(configs_);
      road_.run_batch(configs_);
      if (host_now_ns() - begin > host_patience_ns) {
        throw TimeoutError("execute_batch has not settled after 20 s: report this");
      }
    }
  }

  std::vector<double> samples(double seconds) override {
    return sample_batches(
        configs_.size(), seconds, [this] { road_.label_batch(configs_); },
        [this] { road_.run_batch(configs_); });
  }
  void leave() override { road_.finish(); }
  [[nodiscard]] std::string reason() const override { return road_.reason(); }

 private:
  ContextRoad road_;
  std::vector<BenchConfig> configs_;
};

/// Roads that take turns over steps of one length: each for a while, then again the other way
/// round, and so on. One that waits has left the GPU.
template <class Step>
class Turntable {
 public:
  Turntable(Scene<Step>& scene, std::string group, double us)
      : scene_(scene), group_(std::move(group)), us_(us) {}

  /// `setup` as this road is to run it: each reads other data, or one would find in the L2 cache
  /// what another has just read.
  [[nodiscard]] Setup<Step> place(Setup<Step> setup) const {
    setup.step = setup.step.elsewhere(static_cast<std::uint32_t>(seats_.size()));
    return setup;
  }
  void add(const std::string& road, const std::string& what, std::unique_ptr<Runner> runner) {
    runner->leave();
    seats_.push_back({road, what, std::move(runner), {}, {}});
  }
  /// One that has its figure already and is here only to be compared with.
  void add_guest(std::unique_ptr<Runner> runner) { add({}, {}, std::move(runner)); }

  [[nodiscard]] bool is_empty() const { return seats_.empty(); }

  /// `count`: configs of the shortest sample. Twice the time of a figure, since ratios of turns
  /// take more of them.
  void run(unsigned count) {
    const double seconds = 2 * scene_.seconds(us_);
    const int turns = std::clamp(static_cast<int>(seconds / least_seconds(count)), 1, 8);
    std::vector<Seat*> order;
    for (Seat& seat : seats_) order.push_back(&seat);
    for (int turn = 0; turn < turns; ++turn) {
      for (Seat* seat : order) take_turn(*seat, seconds / turns);
      std::reverse(order.begin(), order.end());
    }
    for (const Seat& seat : seats_) {
      if (seat.road.empty()) continue;
      const std::string reason = seat.runner->reason();
      scene_.add(group_, us_, seat.road, seat.what + (reason.empty() ? "" : ": " + reason),
                 seat.samples, against_best(seat));
    }
  }

 private:
  struct Seat {
    std::string road;
    std::string what;
    std::unique_ptr<Runner> runner;
    std::vector<double> samples;
    std::vector<double> turns;  ///< what each came to
  };

  static void take_turn(Seat& seat, double seconds) {
    const std::vector<double> more = seat.runner->samples(seconds);
    seat.runner->leave();
    seat.samples.insert(seat.samples.end(), more.begin(), more.end());
    seat.turns.push_back(middle_mean(more));
  }

  /// The least of the other seats' times over this one's, each the median of all turns: what
  /// changes from one turn to the next, such as the host's pace, bears on both alike.
  [[nodiscard]] std::optional<double> against_best(const Seat& seat) const {
    std::optional<double> least;
    for (const Seat& other : seats_) {
      if (&other == &seat) continue;
      std::vector<double> ratios;
      for (std::size_t i = 0; i < seat.turns.size(); ++i) {
        ratios.push_back(other.turns[i] / seat.turns[i]);
      }
      const double ratio = figure({}, "ratio", "", std::move(ratios)).p50;
      least = std::min(least.value_or(ratio), ratio);
    }
    return least;
  }

  /// Of five samples; in block scope some hundred steps run at a time.
  [[nodiscard]] double least_seconds(unsigned count) const {
    const double rows = scene_.scope() == Scope::grid ? count : std::ceil(count / 100.0);
    return 5e-6 * std::max(50.0, rows * (us_ + 1));
  }

  Scene<Step>& scene_;
  std::string group_;
  double us_;
  std::vector<Seat> seats_;
};

}  // namespace aatgs::bench
