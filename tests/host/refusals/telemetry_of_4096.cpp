// SPDX-License-Identifier: Apache-2.0
// Compiles: the largest telemetry that is promised.
#include <aatgs/host/make_cpu_context.hpp>

struct Telemetry {
  unsigned char bytes[4096];
};
struct Step {
  template <class Group>
  void operator()(Group&, const int&, Telemetry&) const {}
};

void make() {
  aatgs::make_cpu_context<int, Telemetry>(Step{});
}
