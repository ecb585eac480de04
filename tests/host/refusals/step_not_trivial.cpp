// SPDX-License-Identifier: Apache-2.0
// REFUSED: a step must be trivially copyable
#include <aatgs/host/make_cpu_context.hpp>
#include <vector>

struct Step {
  std::vector<int> data;
  template <class Group>
  void operator()(Group&, const int&, int&) const {}
};

void make() {
  aatgs::make_cpu_context<int, int>(Step{});
}
