// SPDX-License-Identifier: Apache-2.0
// REFUSED: a step with a Result cannot be spawned
#include <aatgs/host/make_cpu_scheduler.hpp>

struct Step {
  struct Config {
    int depth;
  };
  struct Result {
    int depth;
  };
  template <class Group>
  void operator()(Group& group, const Config& config, Result&) const {
    group.template spawn<Step>(config);
  }
};

void make() {
  aatgs::make_cpu_scheduler(aatgs::Steps<Step>(Step{}));
}
