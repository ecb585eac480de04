// SPDX-License-Identifier: Apache-2.0
// The context suite on `automatic` that measures host threads of two kinds, as a GPU's executors
// cannot be had everywhere.
#include <aatgs/host/automatic_executor.hpp>
#include <aatgs/host/make_cpu_context.hpp>

#include "context_test_support.hpp"

namespace aatgs::test {

struct Backend {
#if defined(__SANITIZE_THREAD__)
  static constexpr std::uint64_t default_configs = 4'000;
#else
  static constexpr std::uint64_t default_configs = 20'000;
#endif

  static std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Scope scope : {Scope::block, Scope::grid}) {
      ContextOptions options;
      options.executor = ExecutorKind::cpu;
      options.scope = scope;
      options.cpu_threads = 2;
      options.queue_deadline = 10s;
      all.push_back({std::string(to_string(scope)), options});
    }
    return all;
  }
  template <class Config, class Telemetry, class Step>
  static GpuExecutionContext<Config, Telemetry> make(const Step& step,
                                                     const ContextOptions& options) {
    if (!can_measure(options)) return make_cpu_context<Config, Telemetry>(step, options);
    std::vector<Candidate<Config, Telemetry>> candidates;
    for (const auto kind : {ExecutorKind::resident, ExecutorKind::launch_queue}) {
      candidates.push_back({kind, [=](std::uint64_t first_ticket) {
                              ContextOptions here = options;
                              here.first_ticket = first_ticket;
                              return std::move(
                                  make_cpu_executors<Config, Telemetry>(step, here).front());
                            }});
    }
    std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors;
    executors.push_back(std::make_unique<AutomaticExecutor<Config, Telemetry>>(
        std::move(candidates), "tested", options));
    return {std::move(executors), {ExecutorKind::automatic, {}}, options};
  }
  static std::uint32_t half_of_the_workers(const ContextOptions&) {
    return 0;
  }
};

}  // namespace aatgs::test

#include "context_suite.hpp"
