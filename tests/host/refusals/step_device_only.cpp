// SPDX-License-Identifier: Apache-2.0
// REFUSED: this step is device-only
#include <aatgs/host/make_cpu_context.hpp>

struct Step {
  static constexpr bool device_only = true;
  template <class Group>
  void operator()(Group&, const int&, int&) const {}
};

void make() {
  aatgs::make_cpu_context<int, int>(Step{});
}
