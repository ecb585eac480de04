// SPDX-License-Identifier: Apache-2.0
// Compiles: the files beside it differ from it in the one thing that they are refused for.
#include <aatgs/host/make_cpu_context.hpp>

struct Config {
  unsigned char bytes[4096];
};
struct Step {
  int* data = nullptr;
  static constexpr bool device_only = false;
  template <class Group>
  void operator()(Group&, const Config&, int&) const {}
};

void make() {
  aatgs::make_cpu_context<Config, int>(Step{});
}
