// SPDX-License-Identifier: Apache-2.0
#include "advanced_pool_state.hpp"

#include <algorithm>
#include <utility>

namespace aatgs {

namespace {

using std::chrono::nanoseconds;
using HostClock = std::chrono::steady_clock;

/// What a job is expected to take when nothing is known.
constexpr nanoseconds unknown_time = std::chrono::microseconds(100);

}  // namespace

nanoseconds AdvancedStreamPool::State::expected(const Workload& work) const {
  if (work.expected > nanoseconds(0)) return work.expected;
  const detail::PoolMean& kind = times[static_cast<std::size_t>(work.kind)];
  return kind.count != 0 ? kind.value() : unknown_time;
}

detail::StreamCandidate AdvancedStreamPool::State::look_at(const detail::PoolSlot& slot,
                                                           bool alone) const {
  detail::StreamCandidate candidate;
  candidate.is_available = !slot.is_leased_alone && !(alone && slot.holders != 0);
  candidate.priority = slot.stream->priority();
  for (const detail::PoolJob& job : slot.jobs) {
    ++candidate.jobs;
    ++candidate.kinds[static_cast<std::size_t>(job.work.kind)];
    candidate.pending += expected(job.work);
  }
  return candidate;
}

/// Takes out the jobs that are done, without waiting.
void AdvancedStreamPool::State::collect() {
  for (const auto& slot : slots) {
    std::erase_if(slot->jobs, [&](const detail::PoolJob& job) {
      if (!job.has_ended) return false;
      if (job.end == nullptr) return true;  // could not be recorded
      if (!device->is_done(job.end->native()) || !device->is_done(job.asked->native()))
        return false;
      if (job.begin != nullptr) count(job);
      return true;
    });
  }
}

void AdvancedStreamPool::State::count(const detail::PoolJob& job) {
  const nanoseconds work = device->elapsed(job.begin->native(), job.end->native());
  const nanoseconds all = device->elapsed(job.asked->native(), job.end->native());
  times[static_cast<std::size_t>(job.work.kind)].add(work);
  completions[static_cast<std::size_t>(job.placed_by)].add(std::max(all, work));
}

std::size_t AdvancedStreamPool::State::shrink() {
  const auto now = HostClock::now();
  std::size_t ended = 0;
  for (std::size_t i = slots.size(); i-- > 0 && slots.size() > options.least;) {
    if (!slots[i]->is_ready() || now - slots[i]->used < options.shrink_after) continue;
    slots.erase(slots.begin() + static_cast<std::ptrdiff_t>(i));
    ++ended;
  }
  return ended;
}

/// Null: all are held, and no more may be made.
detail::PoolSlot* AdvancedStreamPool::State::pick(const Workload& work, bool alone) {
  collect();
  std::vector<detail::StreamCandidate> candidates;
  std::size_t fewest = SIZE_MAX;
  for (const auto& slot : slots) {
    candidates.push_back(look_at(*slot, alone));
    if (candidates.back().is_available) fewest = std::min(fewest, candidates.back().jobs);
  }
  const auto choice = detail::choose_stream(strategy, work, candidates, turn);
  const bool is_busy = fewest >= (alone ? 1 : options.grow_at);
  if ((is_busy || !choice.fits) && slots.size() < options.most) {
    return &make(strategy == StreamStrategy::priority ? work.priority : StreamPriority::normal);
  }
  if (!choice.stream) return nullptr;
  turn = *choice.stream + 1;
  return slots[*choice.stream].get();
}

detail::PoolJob& AdvancedStreamPool::State::place(detail::PoolSlot& slot, const Workload& work,
                                                  bool alone) {
  detail::PoolJob job{work, strategy, &slot, alone, events.lease(), nullptr, nullptr, false};
  clock.record(*job.asked);
  if (!slot.stream->is_capturing()) {
    job.begin = events.lease();
    device->record(slot.stream->handle(), job.begin->native());
  }
  detail::PoolJob& placed = slot.jobs.emplace_back(std::move(job));
  ++slot.holders;
  slot.is_leased_alone = alone;
  slot.used = HostClock::now();
  return placed;
}

void AdvancedStreamPool::State::end(detail::PoolJob& job) noexcept {
  try {
    auto event = events.lease();
    const bool is_captured = job.slot->stream->is_capturing();
    if (!is_captured) device->record(job.slot->stream->handle(), event->native());
    if (!is_captured) job.end = std::move(event);
  } catch (...) {
    job.end = nullptr;  // a device that failed tells so in the next call; the job is not counted
  }
  job.has_ended = true;
  job.slot->used = HostClock::now();
  --job.slot->holders;
  if (job.is_alone) job.slot->is_leased_alone = false;
}

std::string AdvancedStreamPool::State::holders() const {
  std::string text;
  for (const auto& slot : slots) {
    text += (text.empty() ? "'" : ", '") + slot->stream->name() + "' with " +
            std::to_string(slot->holders) + (slot->is_leased_alone ? " exclusive" : " shared");
  }
  return text;
}

}  // namespace aatgs
