// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/stencil/field_layout.hpp>
#include <algorithm>
#include <span>
#include <vector>

namespace aatgs::stencil {

/// Puts n * n values between the zeros of a layout.
inline void upload_field(const FieldLayout& layout, std::span<const float> values,
                         Buffer<float>& to) {
  const auto n = static_cast<std::size_t>(layout.n);
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
