// SPDX-License-Identifier: Apache-2.0
// REFUSED: the step of a task cannot be grid_only
#include <aatgs/host/make_cpu_scheduler.hpp>

struct Step {
  static constexpr bool grid_only = true;
  struct Config {
    int depth;
  };
  template <class Group>
  void operator()(Group&, const Config&) const {}
};

void make() {
  aatgs::make_cpu_scheduler(aatgs::Steps<Step>(Step{}));
}
