// SPDX-License-Identifier: Apache-2.0
// REFUSED: a config or telemetry must be trivially copyable
#include <aatgs/host/make_cpu_context.hpp>
#include <vector>

struct Config {
  std::vector<int> values;
};
struct Step {
  template <class Group>
  void operator()(Group&, const Config&, int&) const {}
};

void make() {
  aatgs::make_cpu_context<Config, int>(Step{});
}
