// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/field_layout.hpp>
#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs::stencil {

/// Jacobi iterations from memory to memory with a barrier of the whole group after each: the form
/// for CPU threads, and for fields too small to be cut into tiles.
template <class T>
struct JacobiPlainStep {
  FieldLayout layout;
  T* field;  ///< begins and ends a slice in here
  T* spare;
  const T* source;  ///< h^2 f / 4

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const JacobiSlice& slice,
                                    JacobiProgress& out) const {
    T change = 0;
    for (std::uint32_t i = 0; i < slice.iterations; ++i) {
      const bool back = i % 2 != 0;
      change = sweep(group, back ? spare : field, back ? field : spare);
      group.sync();
    }
    if (slice.iterations % 2 != 0) {
      each_point(group, [&](std::ptrdiff_t at) { field[at] = spare[at]; });
    }
    change = group.max(change);
    if (group.rank() == 0) out.largest_change = static_cast<double>(change);
  }

 private:
  template <class Group, class Body>
  AATGS_HOST_DEVICE void each_point(const Group& group, Body body) const {
    const auto n = static_cast<std::uint32_t>(layout.n);
    for (std::uint32_t i = group.rank(); i < n * n; i += group.size()) {
      body(layout.at(static_cast<std::int32_t>(i % n), static_cast<std::int32_t>(i / n)));
    }
  }

  template <class Group>
  AATGS_HOST_DEVICE T sweep(const Group& group, const T* from, T* to) const {
    T change = 0;
    each_point(group, [&](std::ptrdiff_t at) {
      const T* u = from + at;
      const T next = jacobi_point(u[-1] + u[-layout.pitch], u[1] + u[layout.pitch], source[at]);
      const T by = next > *u ? next - *u : *u - next;
      change = by > change ? by : change;
      to[at] = next;
    });
    return change;
  }
};

}  // namespace aatgs::stencil
