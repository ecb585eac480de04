// SPDX-License-Identifier: Apache-2.0
// REFUSED: the step of a task has no enter or leave
#include <aatgs/device/any_step.hpp>
#include <aatgs/host/make_cpu_context.hpp>

struct Step {
  struct Config {
    int depth;
  };
  template <class Group>
  void leave(Group&) const {}
  template <class Group>
  void operator()(Group&, const Config&) const {}
};

using S = aatgs::Steps<Step>;

void make() {
  aatgs::make_cpu_context<aatgs::AnyConfig<S>, aatgs::AnyResult<S>>(aatgs::AnyStep<S>{S(Step{})});
}
