// SPDX-License-Identifier: Apache-2.0
#include "pipeline_clock.hpp"

#include <algorithm>

namespace aatgs::detail {

PipelineClock::PipelineClock(const std::shared_ptr<StreamDevice>& device, std::size_t parts,
                             unsigned in_flight)
    : origin_(device, true), ring_(in_flight + 1), parts_ns_(parts, 0) {
  for (auto& slot : ring_) {
    for (std::size_t i = 0; i < parts; ++i) slot.emplace_back(device);
  }
}

std::uint64_t PipelineClock::last_before_next() const {
  const std::uint64_t in_flight = ring_.size() - 1;
  return started_ + 1 > in_flight ? started_ + 1 - in_flight : 0;
}

std::size_t PipelineClock::unfinished_part(std::uint64_t iteration) const {
  const auto& parts = parts_of(iteration);
  const auto found =
      std::ranges::find_if(parts, [](const Part& part) { return !part.end.is_done(); });
  return static_cast<std::size_t>(found - parts.begin());
}

void PipelineClock::refresh() {
  while (measured_ < started_ && unfinished_part(measured_ + 1) == parts_ns_.size()) {
    measure(measured_ + 1);
  }
}

void PipelineClock::wait(std::uint64_t iteration, const Deadline& deadline) {
  while (measured_ < iteration) {
    for (const Part& part : parts_of(measured_ + 1)) wait_for(part.end, deadline);
    measure(measured_ + 1);
  }
}

std::int64_t PipelineClock::time_of(const Event& event) const {
  return base_ns_ + event.elapsed_since(*base_).count();
}

void PipelineClock::measure(std::uint64_t iteration) {
  const auto& parts = parts_of(iteration);
  const bool is_counted = iteration >= first_counted_;
  std::int64_t first = 0, last = 0, horizon = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::int64_t begin = time_of(parts[i].begin);
    const std::int64_t end = time_of(parts[i].end);
    first = i == 0 ? begin : std::min(first, begin);
    last = i == 0 ? end : std::max(last, end);
    horizon = i == 0 ? end : std::min(horizon, end);  // each part's next begin comes after its end
    if (!is_counted) continue;
    busy_.add(begin, end);
    parts_ns_[i] += end - begin;
  }
  if (is_counted) {
    busy_.settle(horizon);
    iterations_ns_ += last - first;
    ++counted_;
  }
  base_ns_ = time_of(parts.front().end);
  base_ = &parts.front().end;
  measured_ = iteration;
}

void PipelineClock::reset() {
  refresh();
  busy_ = BusyTime();
  first_counted_ = started_ + 1;
  counted_ = 0;
  iterations_ns_ = 0;
  std::ranges::fill(parts_ns_, 0);
}

double PipelineClock::mean_ms(std::size_t part) const {
  return counted_ == 0 ? 0
                       : static_cast<double>(parts_ns_[part]) / static_cast<double>(counted_) / 1e6;
}

void PipelineClock::fill(PipelineStats& stats) const {
  stats.iterations = counted_;
  if (counted_ == 0) return;
  BusyTime all = busy_;
  all.settle();
  const auto count = static_cast<double>(counted_);
  const auto span = static_cast<double>(std::max<std::int64_t>(all.span(), 1));
  const auto busy = static_cast<double>(all.busy());
  stats.mean_ms = static_cast<double>(iterations_ns_) / count / 1e6;
  stats.iterations_per_second = count / span * 1e9;
  stats.utilisation = busy / span;
  stats.overlap = busy > 0 ? static_cast<double>(all.shared()) / busy : 0;
}

}  // namespace aatgs::detail
