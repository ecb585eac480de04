// SPDX-License-Identifier: Apache-2.0
// The context suite on host threads.
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
      for (const std::uint32_t threads : {1U, 2U, 4U}) {
        all.push_back(variant(ExecutorKind::cpu, scope, threads));
      }
    }
    all.push_back(variant(ExecutorKind::cpu_triple_buffer, Scope::block, 1));
    all.push_back(variant(ExecutorKind::cpu_triple_buffer, Scope::grid, 2));
    return all;
  }
  static Variant variant(ExecutorKind executor, Scope scope, std::uint32_t threads) {
    ContextOptions options;
    options.executor = executor;
    options.scope = scope;
    options.cpu_threads = threads;
    options.queue_deadline = 10s;
    return {std::string(to_string(executor)) + ", " + std::string(to_string(scope)) +
                ", threads: " + std::to_string(threads),
            options};
  }
  template <class Config, class Telemetry, class Step>
  static GpuExecutionContext<Config, Telemetry> make(const Step& step,
                                                     const ContextOptions& options) {
    return make_cpu_context<Config, Telemetry>(step, options);
  }
  static std::uint32_t half_of_the_workers(const ContextOptions&) {
    return 0;
  }
};

}  // namespace aatgs::test

#include "context_suite.hpp"
