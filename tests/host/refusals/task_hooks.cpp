// SPDX-License-Identifier: Apache-2.0
// REFUSED: the step of a task has no enter or leave
#include <aatgs/host/make_cpu_scheduler.hpp>

struct Step {
  struct Config {
    int depth;
  };
  template <class Group>
  void enter(Group&) const {}
  template <class Group>
  void operator()(Group&, const Config&) const {}
};

void make() {
  aatgs::make_cpu_scheduler(aatgs::Steps<Step>(Step{}));
}
