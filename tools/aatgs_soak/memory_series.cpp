// SPDX-License-Identifier: Apache-2.0
#include "memory_series.hpp"

#include <algorithm>
#include <utility>

namespace aatgs::soak {

void MemorySeries::add(std::uint64_t bytes, const std::string& about) {
  const bool is_step = !samples_.empty() && bytes >= most_ + least_step;
  if (is_step) add_step({samples_.size() - 1, most_, bytes, about});
  most_ = std::max(most_, bytes);
  samples_.push_back(bytes);
}

void MemorySeries::add_step(MemoryStep step) {
  ++step_count_;
  if (steps_.size() < most_steps) steps_.push_back(step);
  last_step_ = std::move(step);
}

std::vector<std::uint64_t> MemorySeries::outline(std::size_t count) const {
  std::vector<std::uint64_t> some;
  const std::size_t n = std::min(count, samples_.size());
  for (std::size_t i = 0; i < n; ++i) some.push_back(samples_[i * samples_.size() / n]);
  return some;
}

double MemorySeries::slope() const {
  const std::size_t begin = samples_.size() / 4;
  const auto n = static_cast<double>(samples_.size() - begin);
  if (n < 2) return 0;
  double mean = 0;
  for (std::size_t i = begin; i < samples_.size(); ++i)
    mean += static_cast<double>(samples_[i]) / n;
  const double middle = static_cast<double>(begin) + (n - 1) / 2;
  double product = 0;
  double square = 0;
  for (std::size_t i = begin; i < samples_.size(); ++i) {
    const double x = static_cast<double>(i) - middle;
    product += x * (static_cast<double>(samples_[i]) - mean);
    square += x * x;
  }
  return product / square;
}

std::int64_t MemorySeries::median(std::size_t begin, std::size_t end) const {
  const auto at = [&](std::size_t i) { return samples_.begin() + static_cast<std::ptrdiff_t>(i); };
  std::vector<std::uint64_t> sorted(at(begin), at(end));
  std::sort(sorted.begin(), sorted.end());
  return static_cast<std::int64_t>(sorted[sorted.size() / 2]);
}

std::optional<std::int64_t> MemorySeries::growth() const {
  const std::size_t n = samples_.size();
  if (n < 16) return std::nullopt;
  return median(3 * n / 4, n) - median(n / 4, n / 2);
}

}  // namespace aatgs::soak
