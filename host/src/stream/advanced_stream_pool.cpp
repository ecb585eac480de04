// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/advanced_stream_pool.hpp>
#include <algorithm>
#include <string>
#include <utility>

#include "advanced_pool_state.hpp"
#include "deadline.hpp"
#include "poll_until.hpp"

namespace aatgs {

namespace {

using std::chrono::nanoseconds;

void require_valid(const AdvancedStreamPoolOptions& options) {
  const bool has_all = options.least >= 1 && options.grow_at >= 1 && options.trial_jobs >= 1;
  if (has_all && options.most >= options.least) return;
  throw OptionError("an AdvancedStreamPool of " + std::to_string(options.least) + " to " +
                    std::to_string(options.most) + " streams that grows at " +
                    std::to_string(options.grow_at) + " jobs and tries a strategy for " +
                    std::to_string(options.trial_jobs) +
                    ": have at least 1 of each, and most no less than least");
}

}  // namespace

AdvancedStreamPool::AdvancedStreamPool(std::shared_ptr<StreamDevice> device,
                                       AdvancedStreamPoolOptions options) {
  require_valid(options);
  state_ = std::make_shared<State>(std::move(device), options);
}
AdvancedStreamPool::~AdvancedStreamPool() = default;

AdvancedStreamPool::Lease::Lease(Lease&& other) noexcept
    : state_(std::move(other.state_)), stream_(other.stream_), job_(other.job_) {}

AdvancedStreamPool::Lease& AdvancedStreamPool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  end();
  state_ = std::move(other.state_);
  stream_ = other.stream_;
  job_ = other.job_;
  return *this;
}

void AdvancedStreamPool::Lease::end() noexcept {
  const auto state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  {
    const std::lock_guard lock(state->mutex);
    state->end(*static_cast<detail::PoolJob*>(job_));
  }
  state->freed.notify_all();
}

AdvancedStreamPool::Lease AdvancedStreamPool::take(const Workload& job, bool alone,
                                                   nanoseconds deadline) {
  std::unique_lock lock(state_->mutex);
  detail::PoolSlot* slot = nullptr;
  const auto is_there = [&] { return (slot = state_->pick(job, alone)) != nullptr; };
  if (!state_->freed.wait_until(lock, detail::Deadline(deadline).at(), is_there)) {
    throw TimeoutError("no stream of the pool was free within " + detail::in_ms(deadline) +
                       ", all " + std::to_string(state_->options.most) +
                       " are leased: " + state_->holders());
  }
  Lease lease;
  lease.job_ = &state_->place(*slot, job, alone);
  lease.stream_ = slot->stream.get();
  lease.state_ = state_;
  state_->shrink();
  return lease;
}

AdvancedStreamPool::Lease AdvancedStreamPool::shared(const Workload& job, nanoseconds deadline) {
  return take(job, false, deadline);
}

AdvancedStreamPool::Lease AdvancedStreamPool::lease(const Workload& job, nanoseconds deadline) {
  return take(job, true, deadline);
}

bool AdvancedStreamPool::has_ready_streams() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  return std::any_of(state_->slots.begin(), state_->slots.end(),
                     [](const auto& slot) { return slot->is_ready(); });
}

bool AdvancedStreamPool::wait_for_any_ready(nanoseconds timeout) {
  return detail::poll_until(timeout, [&] { return has_ready_streams(); });
}

void AdvancedStreamPool::record_workload_completion(WorkloadKind kind, nanoseconds time) {
  const std::lock_guard lock(state_->mutex);
  state_->times[static_cast<std::size_t>(kind)].add(time);
}

nanoseconds AdvancedStreamPool::average_workload_time(WorkloadKind kind) {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  return state_->times[static_cast<std::size_t>(kind)].value();
}

StreamStrategy AdvancedStreamPool::strategy() const {
  const std::lock_guard lock(state_->mutex);
  return state_->strategy;
}

void AdvancedStreamPool::set_strategy(StreamStrategy strategy) {
  const std::lock_guard lock(state_->mutex);
  state_->strategy = strategy;
}

StrategyMeasures AdvancedStreamPool::measures() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  StrategyMeasures measures;
  for (std::size_t i = 0; i < stream_strategies; ++i) {
    measures[i] = {state_->completions[i].count, state_->completions[i].value()};
  }
  return measures;
}

StreamOptimization AdvancedStreamPool::optimize_configuration() {
  const auto result =
      detail::compare_strategies(strategy(), measures(), state_->options.trial_jobs);
  set_strategy(result.now);
  return result;
}

void AdvancedStreamPool::forget_measures() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  state_->times = {};
  state_->completions = {};
}

std::vector<StreamLoad> AdvancedStreamPool::loads() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  std::vector<StreamLoad> loads;
  for (const auto& slot : state_->slots) {
    const auto now = state_->look_at(*slot, false);
    loads.push_back(
        {slot->stream->name(), now.priority, static_cast<unsigned>(now.jobs), now.pending});
  }
  return loads;
}

std::size_t AdvancedStreamPool::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->slots.size();
}

std::size_t AdvancedStreamPool::shrink() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  return state_->shrink();
}

}  // namespace aatgs
