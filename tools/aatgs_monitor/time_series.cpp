// SPDX-License-Identifier: Apache-2.0
#include "time_series.hpp"

namespace aatgs::monitor {

void TimeSeries::add(const Record& record) {
  if (records_++ == 0) start_ = last_ = record.unix_ns;
  // Threads may be a little out of order.
  const std::int64_t since = std::max<std::int64_t>(record.unix_ns - start_, 0);
  last_ = std::max(last_, record.unix_ns);
  while (static_cast<std::size_t>(since / width_) >= most_bins) double_width();
  const auto at = static_cast<std::size_t>(since / width_);
  if (at >= bins_.size()) bins_.resize(at + 1);
  include(bins_[at].conflicts, record.conflicts);
  if (record.chromatic_number == 0) return;
  include(bins_[at].colors, record.chromatic_number);
  const bool better = !best_ || record.chromatic_number < best_->colors;
  if (record.conflicts == 0 && better) best_ = {record.chromatic_number, record.unix_ns};
}

void TimeSeries::double_width() {
  const auto merge = [](std::optional<Span>& into, const std::optional<Span>& other) {
    into ? into->include(other) : static_cast<void>(into = other);
  };
  std::vector<Bin> wider((bins_.size() + 1) / 2);
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    merge(wider[i / 2].conflicts, bins_[i].conflicts);
    merge(wider[i / 2].colors, bins_[i].colors);
  }
  bins_ = std::move(wider);
  width_ *= 2;
}

}  // namespace aatgs::monitor
