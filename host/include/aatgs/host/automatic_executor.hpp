// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/batch_choice.hpp>
#include <aatgs/host/detail/waiter.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/trial.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace aatgs {

/// An executor that `automatic` may come to.
template <class Config, class Telemetry>
struct Candidate {
  ExecutorKind kind;
  /// Makes one whose next ticket is this; throws `Error` if it cannot be had.
  std::function<std::unique_ptr<Executor<Config, Telemetry>>(std::uint64_t first_ticket)> make;
  /// It is measured for users only who have been seen to keep so many in flight.
  std::uint64_t least_depth = 0;
};

/// Whether `automatic` can measure under these options: several ports share one kernel and would
/// have to change over together; a lossy ring would lose other telemetry at a change.
inline bool can_measure(const ContextOptions& options) {
  return options.ports == 1 && options.telemetry_policy == TelemetryPolicy::block;
}

/// Executor `automatic`: runs the first configs on each candidate in turn, in the user's own
/// pattern, and stays with the fastest. For options that it `can_measure`.
///
/// It changes over when nothing is in flight: it refuses configs meanwhile and puts the last
/// completions aside, so that a user who never collects everything does not hold it up. A candidate
/// that was fed quite another way than the others (twice as deep) is measured again.
///
/// Known batches may then go another road, if that is faster for batches of their size. The chosen
/// executor leaves the GPU for it, and is made anew for the next config that comes alone: a user
/// who mixes the two keeps to it after `most_returns` of those.
template <class Config, class Telemetry>
class AutomaticExecutor final : public Executor<Config, Telemetry> {
 public:
  using Road = Executor<Config, Telemetry>;
  using MakeBatchRoad = std::function<std::unique_ptr<BatchRoad<Config, Telemetry>>()>;

  /// `candidates`: the preferred first; tried in this order, so that who has few configs sees no
  /// other. `why`: begins the reason. `make_batch_road`: may be empty. `clock`:
  /// nanoseconds. Throws what the last candidate throws if none can be had.
  AutomaticExecutor(std::vector<Candidate<Config, Telemetry>> candidates, std::string why,
                    const ContextOptions& options, MakeBatchRoad make_batch_road = {},
                    std::function<std::uint64_t()> clock = host_now_ns)
      : why_(std::move(why)),
        make_batch_road_(std::move(make_batch_road)),
        clock_(std::move(clock)),
        telemetry_slots_(options.telemetry_slots),
        next_ticket_(options.first_ticket) {
    for (auto& candidate : candidates) entries_.push_back({std::move(candidate), {}, {}});
    go_to(0);
  }

  QueueStatus try_submit(const Config& config) override {
    if (has_ended_) return QueueStatus::closed;
    if (stage_ == Stage::leaving && !change_over()) return QueueStatus::config_full;
    if (way_ == BatchWay::together) {
      come_back();
      ++returns_;
    }
    // Those put aside still have their slots.
    if (!aside_.empty() && aside_.size() + in_flight() >= telemetry_slots_) {
      return QueueStatus::telemetry_full;
    }
    const QueueStatus status = road_->try_submit(config);
    if (status != QueueStatus::queued) return status;
    ++next_ticket_;
    ++submitted_;
    if (stage_ == Stage::measuring) trial_.submitted(in_flight());
    return status;
  }

  bool try_collect(Completion<Telemetry>& out) override {
    if (!aside_.empty()) {
      out = aside_.front();
      aside_.pop_front();
      return true;
    }
    if (!road_->try_collect(out)) return false;
    ++collected_;
    if (stage_ == Stage::measuring) {
      trial_.collected(clock_());
      if (trial_.done()) end_trial();
    }
    return true;
  }

  std::size_t try_submit_many(std::span<const Config> configs, QueueStatus& refused) override {
    if (has_ended_ || stage_ == Stage::leaving || way_ == BatchWay::together || !aside_.empty()) {
      return Road::try_submit_many(configs, refused);
    }
    const std::size_t count = road_->try_submit_many(configs, refused);
    next_ticket_ += count;
    submitted_ += count;
    if (stage_ == Stage::measuring) trial_.submitted(in_flight());
    return count;
  }

  std::size_t try_collect_many(std::span<Completion<Telemetry>> out) override {
    if (!aside_.empty()) return Road::try_collect_many(out);
    const std::size_t count = road_->try_collect_many(out);
    collected_ += count;
    if (count > 0 && stage_ == Stage::measuring) {
      const std::uint64_t now = clock_();
      for (std::size_t i = 0; i < count && !trial_.done(); ++i) trial_.collected(now);
      if (trial_.done()) end_trial();
    }
    return count;
  }

  [[nodiscard]] std::uint64_t lost() const override { return lost_before_ + road_->lost(); }
  [[nodiscard]] bool idle() const override { return road_->idle(); }
  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    RingCounters counters = road_->ring_counters(exact);
    counters.telemetry_unread += static_cast<std::uint32_t>(aside_.size());
    return counters;
  }
  [[nodiscard]] std::uint64_t parks() const override { return parks_before_ + road_->parks(); }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::uint32_t workers() const override { return road_->workers(); }
  [[nodiscard]] std::string description() const override { return road_->description(); }
  [[nodiscard]] const ExecutorChoice* choice() const override { return &choice_; }
  [[nodiscard]] Road* settled() override {
    const bool for_good =
        stage_ == Stage::settled && aside_.empty() && way_ == BatchWay::one_by_one;
    return for_good ? road_.get() : nullptr;
  }
  [[nodiscard]] bool is_measuring() const override {
    return stage_ != Stage::settled || measures_batches_;
  }
  [[nodiscard]] bool is_changing() const override { return stage_ == Stage::leaving; }

  bool try_batch(std::uint64_t first_ticket, std::span<const Config> configs,
                 std::span<Completion<Telemetry>> results) override {
    const std::size_t count = configs.size();
    measures_batches_ = may_batch(count) && !choice_of_ways_.is_decided(count);
    if (!may_batch(count) || stage_ != Stage::settled || !aside_.empty()) return false;
    const BatchWay way = choice_of_ways_.next(count, way_);
    const bool alone = way == BatchWay::one_by_one;
    if (alone && way_ == way && !measures_batches_) return false;
    next_ticket_ = first_ticket;  // what was queued past this object
    submitted_ = collected_ = 0;
    if (way != way_ && !(alone ? come_back() : leave_road())) return false;
    if (alone && !measures_batches_) ++returns_;  // from batches of another size
    const std::uint64_t begin = clock_();
    if (alone) {
      run_one_by_one(first_ticket, configs, results);
    } else {
      batch_road_->run(first_ticket, configs, results);
    }
    next_ticket_ = first_ticket + count;
    if (measures_batches_) record(count, clock_() - begin);
    return true;
  }

  bool park(std::chrono::nanoseconds deadline) override {
    return way_ == BatchWay::together || road_->park(deadline);
  }
  void request_abort() override {
    const std::lock_guard lock(installing_);
    has_ended_ = true;
    road_->request_abort();
    if (batch_road_ != nullptr) batch_road_->request_abort();
  }
  [[nodiscard]] std::string hang_report() const override { return road_->hang_report(); }

  void read_events(WorkerEvents& into) override {
    for (const auto& road : retired_) road->read_events(into);
    road_->read_events(into);
  }

  void check() override {
    if (has_ended_ || way_ == BatchWay::one_by_one) road_->check();
  }
  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    has_ended_ = true;
    return road_->stop(mode, deadline);
  }

 private:
  enum class Stage { measuring, leaving, settled };

  struct Entry {
    Candidate<Config, Telemetry> candidate;
    std::optional<Trial> trial;  ///< empty: to be measured
    std::string obstacle;        ///< why it cannot be had
  };

  static constexpr double tie = 1.01;    ///< so near to the fastest, the preferred one is taken
  static constexpr int most_trials = 6;  ///< for a user who never feeds two alike
  static constexpr std::uint64_t deep = 256;  ///< deeper ones need not be told apart
  static constexpr std::size_t least_batch = 8;
  static constexpr int most_returns = 3;
  static constexpr std::chrono::seconds leave_deadline{10};

  [[nodiscard]] std::uint64_t in_flight() const { return submitted_ - collected_; }

  void end_trial() {
    configs_ += trial_.configs();
    ++trials_;
    for (Entry& entry : entries_) {
      const bool again = trials_ < most_trials && entry.trial && !are_alike(*entry.trial, trial_);
      if (again) entry.trial.reset();
    }
    entries_[current_].trial = trial_;
    target_ = next_target();
    stage_ = Stage::leaving;
    if (target_ == current_) settle();
  }

  static bool are_alike(const Trial& a, const Trial& b) {
    const std::uint64_t depth_a = std::min(a.depth(), deep);
    const std::uint64_t depth_b = std::min(b.depth(), deep);
    return depth_a <= 2 * depth_b && depth_b <= 2 * depth_a;
  }

  /// The next to measure, or the winner.
  [[nodiscard]] std::size_t next_target() const {
    for (std::size_t i = 0; i < entries_.size() && trials_ < most_trials; ++i) {
      const Entry& entry = entries_[i];
      const bool is_deep_enough = entry.candidate.least_depth <= trial_.depth();
      if (!entry.trial && entry.obstacle.empty() && is_deep_enough) return i;
    }
    double least = entries_[current_].trial->ns_per_config();
    for (const Entry& entry : entries_) {
      if (entry.trial) least = std::min(least, entry.trial->ns_per_config());
    }
    std::size_t i = 0;
    while (!entries_[i].trial || entries_[i].trial->ns_per_config() > tie * least) ++i;
    return i;
  }

  /// False: something is still in flight.
  bool change_over() {
    Completion<Telemetry> done;
    while (road_->try_collect(done)) {
      ++collected_;
      aside_.push_back(done);
    }
    if (in_flight() > 0) return false;
    stop_road();
    replace_road();
    return true;
  }

  void stop_road() {
    if (road_->stop(StopMode::drain, leave_deadline)) return;
    throw TimeoutError("'" + std::string(to_string(choice_.kind)) + "' did not leave within " +
                       std::to_string(leave_deadline.count()) +
                       " s although nothing was in flight: name an executor, not 'automatic'");
  }

  /// By the target; it has been stopped, and takes no more configs if that cannot be had.
  void replace_road() {
    try {
      go_to(target_);
    } catch (...) {
      request_abort();
      throw;
    }
  }

  /// The road before is kept. An abort finds one or the other.
  void install(std::unique_ptr<Road> road) {
    const std::lock_guard lock(installing_);
    if (road_ != nullptr) {
      const std::uint64_t lost = road_->lost();
      const std::uint64_t parks = road_->parks();
      retired_.push_back(std::move(road_));
      lost_before_ += lost;
      parks_before_ += parks;
    }
    road_ = std::move(road);
    if (has_ended_) road_->request_abort();
  }
  void install(std::unique_ptr<BatchRoad<Config, Telemetry>> road) {
    const std::lock_guard lock(installing_);
    batch_road_ = std::move(road);
    if (has_ended_) batch_road_->request_abort();
  }

  [[nodiscard]] bool may_batch(std::size_t count) const {
    return make_batch_road_ && count >= least_batch && returns_ < most_returns && !has_ended_;
  }

  /// Changes to the batch road. False: it cannot be had.
  bool leave_road() {
    stop_road();
    try {  // only now: loading its kernels might wait for one that stays on the GPU
      if (batch_road_ == nullptr) install(make_batch_road_());
      way_ = BatchWay::together;
      return true;
    } catch (const std::exception& error) {  // also where there is no memory
      make_batch_road_ = nullptr;
      measures_batches_ = false;
      come_back();
      choice_.reason += std::string("; batches one by one (") + error.what() + ")";
      return false;
    }
  }

  bool come_back() {
    target_ = current_;
    way_ = BatchWay::one_by_one;
    replace_road();
    return true;
  }

  void run_one_by_one(std::uint64_t first_ticket, std::span<const Config> configs,
                      std::span<Completion<Telemetry>> results) {
    detail::Waiter waiter(std::chrono::nanoseconds::max());
    std::vector<Completion<Telemetry>> found(16);  // as `execute_batch` of a context does
    std::size_t queued = 0;
    for (std::size_t collected = 0; collected < configs.size();) {
      const auto next = configs.subspan(queued, std::min(found.size(), configs.size() - queued));
      QueueStatus refused = QueueStatus::queued;
      const std::size_t count = road_->try_submit_many(next, refused);
      const std::size_t done = road_->try_collect_many(found);
      for (const auto& one : std::span(found).first(done)) {
        results[one.ticket - first_ticket] = one;
      }
      queued += count;
      collected += done;
      if (count == 0 && done == 0) waiter.again([this] { check(); });
    }
  }

  void record(std::size_t count, std::uint64_t ns) {
    choice_of_ways_.record(count, way_, ns);
    measures_batches_ = !choice_of_ways_.is_decided(count);
    if (!measures_batches_) settle();  // for the reason
  }

  /// Makes this candidate, or the first of the others if it cannot be had.
  void go_to(std::size_t i) {
    for (;;) {
      try {
        install(entries_[i].candidate.make(next_ticket_));
        break;
      } catch (const Error& error) {
        entries_[i].obstacle = error.what();
        entries_[i].trial.reset();
        if (!another_than_obstructed(i)) throw;
      }
    }
    current_ = i;
    submitted_ = collected_ = 0;
    choice_.kind = entries_[i].candidate.kind;
    if (entries_[i].trial || is_last_left(i)) return settle();
    trial_ = Trial();
    stage_ = Stage::measuring;
    choice_.reason = why_ + "; still measuring " + std::string(to_string(choice_.kind));
  }

  /// Sets `i` to one that may be had.
  [[nodiscard]] bool another_than_obstructed(std::size_t& i) const {
    for (std::size_t other = 0; other < entries_.size(); ++other) {
      if (!entries_[other].obstacle.empty()) continue;
      i = other;
      return true;
    }
    return false;
  }
  [[nodiscard]] bool is_last_left(std::size_t i) const {
    for (std::size_t other = 0; other < entries_.size(); ++other) {
      if (other != i && entries_[other].obstacle.empty()) return false;
    }
    return true;
  }

  void settle() {
    stage_ = Stage::settled;
    choice_.reason = why_ + "; " + account(entries_[current_]);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (i != current_) choice_.reason += ", " + account(entries_[i]);
    }
    if (configs_ > 0) {
      choice_.reason += ", measured over the first " + std::to_string(configs_) + " configs";
    }
    if (batch_road_) choice_.reason += choice_of_ways_.account(batch_road_->name());
  }

  /// "resident: 2.61 us per config".
  static std::string account(const Entry& entry) {
    std::string text(to_string(entry.candidate.kind));
    if (!entry.obstacle.empty()) return text + ": not to be had (" + entry.obstacle + ")";
    if (!entry.trial) return text + ": not measured";
    char figure[32];
    std::snprintf(figure, sizeof figure, "%.3g", entry.trial->ns_per_config() / 1e3);
    return text + ": " + figure + " us per config";
  }

  std::string why_;
  MakeBatchRoad make_batch_road_;
  std::function<std::uint64_t()> clock_;
  std::vector<Entry> entries_;
  std::uint64_t telemetry_slots_;
  std::uint64_t next_ticket_;
  /// To the end: `cudaFreeHost` might wait for the kernel of the next one.
  std::vector<std::unique_ptr<Road>> retired_;
  std::unique_ptr<Road> road_;
  std::unique_ptr<BatchRoad<Config, Telemetry>> batch_road_;
  /// Held to set a road, which the user's thread alone does, and by an abort from another thread.
  std::mutex installing_;
  std::size_t current_ = 0;
  std::size_t target_ = 0;
  Stage stage_ = Stage::measuring;
  std::atomic<bool> has_ended_ = false;
  Trial trial_;
  int trials_ = 0;
  std::uint64_t configs_ = 0;    // of all trials
  std::uint64_t submitted_ = 0;  // to this road, as `collected_`; until it settles
  std::uint64_t collected_ = 0;
  std::uint64_t lost_before_ = 0;  // by the roads before, as `parks_before_`
  std::uint64_t parks_before_ = 0;
  std::deque<Completion<Telemetry>> aside_;  // collected at a change, not yet handed out
  BatchChoice choice_of_ways_;
  BatchWay way_ = BatchWay::one_by_one;
  bool measures_batches_ = false;
  int returns_ = 0;
  ExecutorChoice choice_{ExecutorKind::automatic, {}};
};

}  // namespace aatgs
