// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/stencil/field_layout.hpp>
#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace aatgs::stencil {

/// Throws `UseError` if `values` is not n * n.
inline void check_values(std::size_t n, std::size_t values) {
  if (values == n * n) return;
  throw UseError("a field of " + std::to_string(values) + " values for " + std::to_string(n) +
                 " x " + std::to_string(n) + " points: give one for each point");
}

/// Puts n * n values between the zeros of a layout. Throws `UseError` if there are not as many.
inline void upload_field(const FieldLayout& layout, std::span<const float> values,
                         Buffer<float>& to) {
  const auto n = static_cast<std::size_t>(layout.n);
  check_values(n, values.size());
  std::vector<float> padded(layout.size());
  for (std::size_t y = 0; y < n; ++y) {
    const auto row = values.subspan(y * n, n);
    std::copy(row.begin(), row.end(), padded.begin() + layout.at(0, static_cast<std::int32_t>(y)));
  }
  to.upload(padded);
}

/// And gets them from there.
inline std::vector<float> download_field(const FieldLayout& layout, const Buffer<float>& from) {
  const std::vector<float> padded = from.download();
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(layout.n) * static_cast<std::size_t>(layout.n));
  for (std::int32_t y = 0; y < layout.n; ++y) {
    const auto row = padded.begin() + layout.at(0, y);
    values.insert(values.end(), row, row + layout.n);
  }
  return values;
}

}  // namespace aatgs::stencil
