// SPDX-License-Identifier: Apache-2.0
// REFUSED: the result of a task must be trivially copyable
#include <aatgs/host/make_cpu_scheduler.hpp>
#include <string>

struct Step {
  struct Config {
    int depth;
  };
  struct Result {
    std::string text;
  };
  template <class Group>
  void operator()(Group&, const Config&, Result&) const {}
};

void make() {
  aatgs::make_cpu_scheduler(aatgs::Steps<Step>(Step{}));
}
