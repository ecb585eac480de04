// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/waiter.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/nvtx_range.hpp>

namespace aatgs {

template <class C, class T>
GpuExecutionContext<C, T>::GpuExecutionContext(
    std::vector<std::unique_ptr<Executor<C, T>>> executors, const ExecutorChoice& choice,
    const ContextOptions& options, std::uint32_t port)
    : executor_(std::move(executors.front())),
      road_(executor_.get()),
      choice_(choice),
      options_(options),
      accounting_(options.config_slots, options.telemetry_slots),
      next_ticket_(options.first_ticket),
      synchronous_(executor_->is_synchronous()),
      page_(
          std::make_unique<StatisticsPage>(options, port, choice.kind, executor_->description())) {
  accounting_.dense_until = next_ticket_ + Accounting::dense_tickets;
  for (std::size_t i = 1; i < executors.size(); ++i) {
    std::vector<std::unique_ptr<Executor<C, T>>> one;
    one.push_back(std::move(executors[i]));
    other_ports_.push_back(std::make_unique<GpuExecutionContext>(
        std::move(one), choice, options, port + static_cast<std::uint32_t>(i)));
  }
}

template <class C, class T>
GpuExecutionContext<C, T>::~GpuExecutionContext() {
  if (executor_ == nullptr) return;  // moved from
  leave_last_report();
  if (!closed_) executor_->stop(StopMode::abort, std::chrono::seconds(10));
  for (const auto& port : other_ports_) {
    port->leave_last_report();
    port->closed_ = true;  // each would wait for the same end
  }
}

/// In a page that is kept.
template <class C, class T>
void GpuExecutionContext<C, T>::leave_last_report() const {
  if (closed_ || !page_->is_kept()) return;
  page_->publish(PublishedState::closed, choice().kind, read_statistics());
}

template <class C, class T>
auto GpuExecutionContext<C, T>::port(std::uint32_t i) -> GpuExecutionContext& {
  if (i == 0) return *this;
  if (i <= other_ports_.size()) return *other_ports_[i - 1];
  throw UseError("port " + std::to_string(i) + " of a context with " +
                 std::to_string(other_ports_.size() + 1) +
                 ": make the context with as many ports as host threads use it");
}

template <class C, class T>
std::uint64_t GpuExecutionContext<C, T>::lost() const {
  if (!closed_) lost_known_ = executor_->lost() - lost_before_;
  return lost_known_;
}

template <class C, class T>
std::uint64_t GpuExecutionContext<C, T>::in_flight() const {
  const Accounting& a = accounting_;
  return a.submitted - a.completed - a.failed - a.given_up - lost();
}

template <class C, class T>
bool GpuExecutionContext<C, T>::seems_idle() const {
  const Accounting& a = accounting_;
  return a.submitted == a.completed + a.failed + a.given_up + lost_known_;
}

template <class C, class T>
QueueStatus GpuExecutionContext<C, T>::submit(const C& config, Attempt attempt) {
  Accounting& a = accounting_;
  if (closed_) {
    throw_failure();
    return QueueStatus::closed;
  }
  const bool found_idle = seems_idle();
  const std::uint64_t begin = synchronous_ ? TickClock::now() : 0;
  QueueStatus status{};
  try {
    status = road_->try_submit(config);
  } catch (const DeviceError&) {
    learn_failure();
    throw;
  }
  if (status != QueueStatus::queued) {
    if (attempt == Attempt::first) count_overflow(status);
    count_miss();
    return status;
  }
  if (a.measures(next_ticket_)) {
    a.note_queued(next_ticket_, synchronous_ ? begin : TickClock::now());
  }
  ++next_ticket_;
  if (found_idle) ++a.found_idle;
  if (a.count_submitted(1)) sample_rings();
  return status;
}

template <class C, class T>
void GpuExecutionContext<C, T>::count_overflow(QueueStatus status) {
  if (status == QueueStatus::closed || executor_->is_changing()) return;
  ++accounting_.config_overflows;
  if (status == QueueStatus::config_full) accounting_.config_ring.sample(options_.config_slots);
  if (status == QueueStatus::telemetry_full) {
    accounting_.telemetry_ring.sample(options_.telemetry_slots);
  }
}

template <class C, class T>
QueueResult GpuExecutionContext<C, T>::try_queue(const C& config) {
  const std::uint64_t ticket = next_ticket_;
  return {submit(config, Attempt::first), ticket};
}

template <class C, class T>
std::size_t GpuExecutionContext<C, T>::submit_many(std::span<const C> configs, Attempt attempt,
                                                   QueueStatus& refused) {
  std::size_t count = 0;
  refused = QueueStatus::queued;
  if (synchronous_ || closed_) {  // each is run, and its time taken, on its own
    while (count < configs.size() &&
           (refused = submit(configs[count], attempt)) == QueueStatus::queued) {
      ++count;
      attempt = Attempt::first;
    }
    return count;
  }
  Accounting& a = accounting_;
  const bool found_idle = seems_idle();
  try {
    count = road_->try_submit_many(configs, refused);
  } catch (const DeviceError&) {
    learn_failure();
    throw;
  }
  for (const std::uint64_t end = next_ticket_ + count; next_ticket_ != end; ++next_ticket_) {
    if (a.measures(next_ticket_)) a.note_queued(next_ticket_, TickClock::now());
  }
  if (found_idle && count != 0) ++a.found_idle;
  if (a.count_submitted(count)) sample_rings();
  const bool is_new = count != 0 || attempt == Attempt::first;
  if (refused != QueueStatus::queued && is_new) count_overflow(refused);
  if (count == 0) count_miss();
  return count;
}

template <class C, class T>
QueueManyResult GpuExecutionContext<C, T>::try_queue_many(std::span<const C> configs) {
  QueueManyResult result{0, next_ticket_, QueueStatus::queued};
  result.count = submit_many(configs, Attempt::first, result.status);
  return result;
}

template <class C, class T>
QueueResult GpuExecutionContext<C, T>::queue(const C& config) {
  if (options_.config_policy == ConfigPolicy::reject) return try_queue(config);
  return queue(config, options_.queue_deadline);
}

template <class C, class T>
QueueResult GpuExecutionContext<C, T>::queue(const C& config, Deadline deadline) {
  QueueResult result = try_queue(config);
  if (result || result.status == QueueStatus::closed) return result;
  const NvtxRange range("queue: no room");
  detail::Waiter waiter(deadline);
  while (!result && result.status != QueueStatus::closed && waiter.again([this] { check(); })) {
    result.status = submit(config, Attempt::again);
  }
  return result;
}

template <class C, class T>
bool GpuExecutionContext<C, T>::collect(Done& done) {
  if (closed_ || !road_->try_collect(done)) return false;
  accounting_.count(done);
  return true;
}

template <class C, class T>
bool GpuExecutionContext<C, T>::collect_aside() {
  aside_.emplace_back();  // before it is counted: there may be no memory
  if (collect(aside_.back())) return true;
  aside_.pop_back();
  return false;
}

template <class C, class T>
auto GpuExecutionContext<C, T>::poll() -> std::optional<Done> {
  std::optional<Done> done;
  if (!aside_.empty()) {
    done = aside_.front();
    aside_.pop_front();
  } else if (!collect(done.emplace())) {
    done.reset();
    count_miss();
  }
  return done;
}

template <class C, class T>
std::size_t GpuExecutionContext<C, T>::collect_many(std::span<Done> out) {
  if (closed_) return 0;
  const std::size_t count = road_->try_collect_many(out);
  for (const Done& done : out.first(count)) accounting_.count(done);
  return count;
}

template <class C, class T>
std::size_t GpuExecutionContext<C, T>::poll_many(std::span<Done> out) {
  std::size_t count = 0;
  for (; count < out.size() && !aside_.empty(); ++count, aside_.pop_front()) {
    out[count] = aside_.front();
  }
  count += collect_many(out.subspan(count));
  if (count == 0) count_miss();
  return count;
}

template <class C, class T>
auto GpuExecutionContext<C, T>::wait(Deadline deadline) -> std::optional<Done> {
  std::optional<Done> done = poll();
  detail::Waiter waiter(deadline);
  while (!done && in_flight() > 0 && waiter.again([this] { check(); })) done = poll();
  return done;
}

template <class C, class T>
auto GpuExecutionContext<C, T>::execute(const C& config) -> std::optional<Done> {
  QueueStatus status = submit(config, Attempt::first);
  detail::Waiter waiter(options_.queue_deadline);
  while (status != QueueStatus::queued) {
    if (status == QueueStatus::closed) {
      throw UseError("execute on a context that has been shut down: make a new context");
    }
    if (!collect_aside() && !waiter.again([this] { check(); })) {
      throw TimeoutError("execute: no room for a config within " +
                         std::to_string(options_.queue_deadline.count()) + " ns with " +
                         std::to_string(in_flight()) +
                         " in flight: raise queue_deadline or shorten the step");
    }
    status = submit(config, Attempt::again);
  }
  return poll();
}

/// Beside the rings, if the executor has such a way.
template <class C, class T>
bool GpuExecutionContext<C, T>::run_batch_aside(std::span<const C> configs,
                                                std::span<Done> results) {
  if (configs.empty() || in_flight() > 0) return false;
  const std::uint64_t begin = TickClock::now();
  try {
    if (!executor_->try_batch(next_ticket_, configs, results)) {
      // It may have a new road for having tried another.
      if (executor_->settled() != road_) road_ = executor_.get();
      return false;
    }
  } catch (const std::exception& error) {  // nobody knows what became of each
    road_ = executor_.get();
    next_ticket_ += configs.size();
    accounting_.submitted += configs.size();
    const auto* of_device = dynamic_cast<const DeviceError*>(&error);
    if (of_device != nullptr) failure_ = *of_device;
    close();
    throw;
  }
  road_ = executor_.get();
  next_ticket_ += configs.size();
  accounting_.submitted += configs.size();
  ++accounting_.found_idle;
  if (accounting_.first_queued == 0) accounting_.first_queued = begin;
  for (const Done& done : results) accounting_.count(done);
  return true;
}

/// Until they are collected.
template <class C, class T>
void GpuExecutionContext<C, T>::mark_lost(std::span<Done> results, std::uint64_t first) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    results[i] = Done{};
    results[i].ticket = first + i;
    results[i].status = CompletionStatus::lost;
  }
}

template <class C, class T>
auto GpuExecutionContext<C, T>::execute_batch(std::span<const C> configs) -> std::vector<Done> {
  std::vector<Done> results(configs.size());
  execute_batch(configs, results);
  return results;
}

template <class C, class T>
void GpuExecutionContext<C, T>::execute_batch(std::span<const C> configs, std::span<Done> results) {
  const NvtxRange range("execute_batch");
  throw_failure();
  if (closed_) {
    throw UseError("execute_batch on a context that has been shut down: make a new context");
  }
  if (configs.size() != results.size()) {
    throw UseError("execute_batch of " + std::to_string(configs.size()) + " configs into " +
                   std::to_string(results.size()) +
                   " results: each config needs one, so give it as many");
  }
  if (run_batch_aside(configs, results)) return;
  const std::uint64_t first = next_ticket_;
  // Under `block` every result is written by its completion, or this throws.
  if (options_.telemetry_policy != TelemetryPolicy::block) mark_lost(results, first);
  std::size_t queued = 0;
  Attempt attempt = Attempt::first;
  std::vector<Done> found(16);  // enough for full speed
  detail::Waiter waiter(Deadline::max());
  while (queued < configs.size() || in_flight() > 0) {
    bool moved = false;
    if (queued < configs.size()) {
      const auto next = configs.subspan(queued, std::min(found.size(), configs.size() - queued));
      QueueStatus refused = QueueStatus::queued;
      const std::size_t count = submit_many(next, attempt, refused);
      attempt = refused == QueueStatus::queued ? Attempt::first : Attempt::again;
      queued += count;
      moved = count != 0;
    }
    const std::size_t collected = collect_many(found);
    for (const Done& done : std::span(found).first(collected)) {
      if (done.ticket >= first) {
        results[done.ticket - first] = done;
      } else {
        aside_.push_back(done);
      }
    }
    if (!moved && collected == 0) waiter.again([this] { check(); });
  }
}

template <class C, class T>
bool GpuExecutionContext<C, T>::flush(Deadline deadline) {
  const NvtxRange range("flush");
  throw_failure();
  detail::Waiter waiter(deadline);
  while (!closed_ && (in_flight() > 0 || !executor_->idle())) {
    if (!collect_aside() && !waiter.again([this] { check(); })) return false;
  }
  return true;
}

template <class C, class T>
bool GpuExecutionContext<C, T>::park(Deadline deadline) {
  const NvtxRange range("park");
  throw_failure();
  const auto begin = std::chrono::steady_clock::now();
  if (!flush(deadline)) return false;
  try {
    return executor_->park(deadline - (std::chrono::steady_clock::now() - begin));
  } catch (const DeviceError&) {
    learn_failure();
    throw;
  }
}

/// Takes what can still be had; all else is given up, and a late telemetry no longer counts.
template <class C, class T>
void GpuExecutionContext<C, T>::close() {
  while (collect_aside()) {
  }
  accounting_.given_up += in_flight();
  closed_ = true;
  publish(read_statistics());
}

/// The first failure of the GPU closes the context. `in_a_wait`: there is time, also for what asks
/// for memory.
template <class C, class T>
void GpuExecutionContext<C, T>::check(bool in_a_wait) {
  if (page_->is_due()) {
    if (in_a_wait || page_->is_stuck()) describe();
    publish(read_statistics());
  }
  try {
    executor_->check();
  } catch (const DeviceError& error) {
    close();
    failure_ = error;
    publish(read_statistics());
    throw;
  }
}

/// After a call that failed: if it was the GPU that failed, all later calls shall know.
template <class C, class T>
void GpuExecutionContext<C, T>::learn_failure() {
  try {
    check();
  } catch (const UseError&) {
  }
}

/// For calls that never wait: that somebody else has ended the executor only matters to them if
/// configs will never come back.
template <class C, class T>
void GpuExecutionContext<C, T>::look_in_passing() {
  try {
    check(false);
  } catch (const UseError&) {
    if (in_flight() > 0) throw;
  }
}

template <class C, class T>
void GpuExecutionContext<C, T>::throw_failure() const {
  if (failure_) throw DeviceError(*failure_);
}

template <class C, class T>
void GpuExecutionContext<C, T>::sample_rings() {
  if (Executor<C, T>* settled = executor_->settled(); settled != nullptr && settled != road_) {
    road_ = settled;
    describe();
  }
  const RingCounters now = executor_->ring_counters(false);
  accounting_.config_ring.sample(now.config_occupied);
  accounting_.telemetry_ring.sample(now.telemetry_unread);
  if (page_->is_due()) publish(read_statistics());
}

template <class C, class T>
void GpuExecutionContext<C, T>::publish(const ExecutionStatistics& statistics) const {
  if (failure_) page_->set_hang(failure_->what());
  const PublishedState open_or_closed = closed_ ? PublishedState::closed : PublishedState::open;
  page_->publish(failure_ ? PublishedState::failed : open_or_closed, choice().kind, statistics);
}

/// For those who read the page. A GPU that has failed may not even tell its name: that is for
/// `check` to find.
template <class C, class T>
void GpuExecutionContext<C, T>::describe() {
  try {
    page_->set_description(executor_->description());
    if (page_->is_stuck()) page_->set_hang(executor_->hang_report());
  } catch (const std::exception&) {  // the texts stay as they are
  }
}

template <class C, class T>
ExecutionStatistics GpuExecutionContext<C, T>::stats() const {
  const ExecutionStatistics statistics = read_statistics();
  publish(statistics);
  return statistics;
}

template <class C, class T>
ExecutionStatistics GpuExecutionContext<C, T>::read_statistics() const {
  const Accounting& a = accounting_;
  ExecutionStatistics s;
  s.submitted = a.submitted;
  s.completed = a.completed;
  s.failed = a.failed;
  s.dropped = a.given_up + lost();
  s.in_flight = s.submitted - s.completed - s.failed - s.dropped;
  (executor_->is_synchronous() ? s.sync_iterations : s.async_iterations) = s.completed + s.failed;
  s.config_overflows = a.config_overflows;
  s.telemetry_overflows = lost();
  s.gpu_found_idle = a.found_idle;
  s.parks = executor_->parks() - parks_before_;
  s.first_queued_ns = a.moment(a.first_queued);
  s.last_collected_ns = a.moment(a.last_collected);
  s.published = page_->is_published();
  const RingCounters now = executor_->ring_counters(true);
  s.config_ring = a.config_ring.read(now.config_occupied);
  s.telemetry_ring = a.telemetry_ring.read(now.telemetry_unread);
  s.queue_to_visible = Accounting::summary(a.queue_to_visible, a.clock.ns_per_tick());
  s.taken_to_finished = Accounting::summary(a.taken_to_finished, 1);
  return s;
}

template <class C, class T>
void GpuExecutionContext<C, T>::reset_stats() {
  const std::uint64_t open = in_flight();
  lost_before_ += lost();
  lost_known_ = 0;
  parks_before_ = executor_->parks();
  Accounting& a = accounting_;
  a.submitted = open;
  a.first_queued = a.last_collected = 0;
  a.completed = a.failed = a.given_up = a.config_overflows = a.found_idle = 0;
  a.config_ring.clear();
  a.telemetry_ring.clear();
  a.queue_to_visible.clear();
  a.taken_to_finished.clear();
  a.dense_until = next_ticket_ + Accounting::dense_tickets;
}

/// False, too, if there is nothing to wait for: somebody has ended the executor, or it never
/// starts.
template <class C, class T>
bool GpuExecutionContext<C, T>::drain(Deadline deadline) {
  try {
    return flush(deadline);
  } catch (const UseError&) {
    return false;
  } catch (const TimeoutError&) {
    return false;
  }
}

template <class C, class T>
bool GpuExecutionContext<C, T>::shutdown(StopMode mode, Deadline deadline) {
  const NvtxRange range("shutdown");
  if (closed_) {
    stopped_ = stopped_ || executor_->stop(StopMode::abort, deadline);
    return stopped_ && (!failure_ || mode == StopMode::abort);
  }
  const auto begin = std::chrono::steady_clock::now();
  const bool drained = mode == StopMode::abort || drain(deadline);
  const auto left = std::max<Deadline>(deadline - (std::chrono::steady_clock::now() - begin),
                                       std::chrono::milliseconds(100));
  stopped_ = executor_->stop(drained ? mode : StopMode::abort, left);
  close();
  return drained && stopped_;
}

}  // namespace aatgs
