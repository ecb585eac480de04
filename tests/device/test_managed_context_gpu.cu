// SPDX-License-Identifier: Apache-2.0
// Managed contexts on a GPU.
#include <aatgs/host/make_managed_context.cuh>

#include "../host/context_test_support.hpp"

namespace aatgs::test {

struct ManagedVariant {
  std::string name;
  ManagedOptions options;
};

struct ManagedBackend {
  static std::vector<ManagedVariant> variants() {
    std::vector<ManagedVariant> all;
    for (const StepMode mode : {StepMode::sync, StepMode::triple_buffered, StepMode::resident}) {
      for (const Scope scope : {Scope::block, Scope::grid}) {
        ManagedOptions options;
        options.step_mode = mode;
        options.context.scope = scope;
        all.push_back(
            {std::string(to_string(mode)) + ", " + std::string(to_string(scope)), options});
      }
    }
    return all;
  }
  template <class Config, class Telemetry, class Step>
  static ManagedGpuContext<Config, Telemetry> make(const Step& step,
                                                   const ManagedOptions& options) {
    return make_managed_context<Config, Telemetry>(step, options);
  }
};

}  // namespace aatgs::test

#include "../host/managed_suite.hpp"

namespace aatgs::test {

TEST_CASE("managed: on a GPU the phases' streams are those of another device, or not told") {
  ManagedOptions options;
  options.step_mode = StepMode::triple_buffered;
  StepMemory memory(context_options(options));
  Managed managed = make_managed(memory, options);
  CHECK(managed.phases().execution(phase::whcr).mode == PhaseExecution::Mode::gpu_stream);
  CHECK(managed.phases().stream(phase::whcr).device()->ordinal() == options.context.device);
  CHECK(managed.context().description().find("triple buffer of 3 slots on ") == 0);
}

}  // namespace aatgs::test
