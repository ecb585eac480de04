// SPDX-License-Identifier: Apache-2.0
// Roads that take turns.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
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
    seats_.push_back({road, what, std::move(runner), {}});
  }

  /// `count`: configs of the shortest sample.
  void run(unsigned count) {
    const double seconds = scene_.seconds(us_);
    const int turns = std::clamp(static_cast<int>(seconds / least_seconds(count)), 1, 8);
    for (int turn = 0; turn < turns; ++turn) {
      for (Seat& seat : seats_) {
        const auto more = seat.runner->samples(seconds / turns);
        seat.samples.insert(seat.samples.end(), more.begin(), more.end());
        seat.runner->leave();
      }
      std::reverse(seats_.begin(), seats_.end());
    }
    for (Seat& seat : seats_) {
      const std::string reason = seat.runner->reason();
      scene_.add(group_, us_, seat.road, seat.what + (reason.empty() ? "" : ": " + reason),
                 std::move(seat.samples));
    }
  }

 private:
  struct Seat {
    std::string road;
    std::string what;
    std::unique_ptr<Runner> runner;
    std::vector<double> samples;
  };

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
