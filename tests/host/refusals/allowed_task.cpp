// SPDX-License-Identifier: Apache-2.0
// Compiles: the tasks that are refused in the files beside it differ from these in one thing.
#include <aatgs/device/any_step.hpp>
#include <aatgs/host/make_cpu_scheduler.hpp>

struct Config {
  int depth;
};
struct Leaf {
  using Config = ::Config;
  template <class Group>
  void operator()(Group&, const Config&) const {}
};
struct Step {
  using Config = ::Config;
  struct Result {
    alignas(16) int depth;
  };
  template <class Group>
  void operator()(Group&, const Config&, Result&) const {}
};
struct Root {
  using Config = ::Config;
  template <class Group>
  void operator()(Group& group, const Config& config) const {
    group.template spawn<Leaf>(config);
  }
};

using S = aatgs::Steps<Leaf, Step>;

void make() {
  aatgs::make_cpu_scheduler(aatgs::Steps<Leaf, Step, Root>(Leaf{}, Step{}, Root{}));
  aatgs::make_cpu_context<aatgs::AnyConfig<S>, aatgs::AnyResult<S>>(
      aatgs::AnyStep<S>{S(Leaf{}, Step{})});
}
