// SPDX-License-Identifier: Apache-2.0
// REFUSED: a config or telemetry may have at most 4096 bytes
#include <aatgs/host/make_cpu_context.hpp>

struct Config {
  unsigned char bytes[4097];
};
struct Step {
  template <class Group>
  void operator()(Group&, const Config&, int&) const {}
};

void make() {
  aatgs::make_cpu_context<Config, int>(Step{});
}
