// SPDX-License-Identifier: Apache-2.0
#include "parking.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "context_feeder.cuh"
#include "lean_road.cuh"
#include "second_process.hpp"

namespace aatgs::bench {

namespace {

/// A name of its own, so that no other file makes the same kernels.
struct EmptyStep : SpinStep {};

using Feeder = PortFeeder<sizeof(BenchConfig)>;
using Context = Feeder::Context;

constexpr unsigned waits = 25;               // at most 100: then the 99th percentile is the longest
constexpr std::uint64_t leave_after = 1000;  // configs
constexpr std::chrono::seconds patience(10);

Context make_empty(const ContextOptions& options) {
  return make_context<BenchConfig, BenchTelemetry>(EmptyStep{}, options);
}

/// A launch by value for each config, and a wait for its end.
class LaunchSync final : public LeanRoad<EmptyStep> {
 public:
  explicit LaunchSync(const Setup<EmptyStep>& setup) : LeanRoad(setup, 1) {}

  void submit(const BenchConfig& config) override {
    bundle_.configs[0] = config;
    launch(grid() ? &value_kernel<EmptyStep, true, 1, false>
                  : &value_kernel<EmptyStep, false, 1, false>,
           setup_.blocks, setup_.threads, stream_.get(), false, bundle_, setup_.step, answer_of(0),
           at_kernel_end, failed_.data());
    AATGS_CUDA(cudaStreamSynchronize(stream_.get()), "running a step");
  }

 private:
  ConfigBundle<1> bundle_{};
  Stream stream_;
};

std::vector<double> launch_sync_us(Scope scope, int device, double seconds) {
  int sms = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs");
  const unsigned blocks = scope == Scope::grid ? static_cast<unsigned>(sms) : 1;
  LaunchSync road({EmptyStep{}, scope, blocks, EmptyStep::block_threads, device});
  Driver driver(road);
  return driver.closed_loop(seconds);
}

std::vector<double> first_config_us(const ContextOptions& options, double seconds) {
  constexpr std::size_t warm_ups = 5;
  Context context = make_empty(options);
  Feeder feeder(context);
  std::vector<double> us;
  for (const std::uint64_t begin = host_now_ns();
       us_since(begin) < seconds * 1e6 || us.size() < 4 * warm_ups;) {
    if (!context.park()) throw TimeoutError("an idle context did not park within 1 s");
    const std::uint64_t queued = host_now_ns();
    feeder.run(1, 1);
    us.push_back(us_since(queued));
  }
  us.erase(us.begin(), us.begin() + warm_ups);
  return us;
}

/// Aborts a context that keeps a CUDA call waiting for too long, so that it goes on.
class Rescue {
 public:
  explicit Rescue(Context& context)
      : thread_([&](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          over_.wait_for(lock, stop, patience, [] { return false; });
          if (stop.stop_requested()) return;
          was_needed_ = true;
          context.request_abort();
        }) {}
  [[nodiscard]] bool was_needed() const { return was_needed_; }

 private:
  std::atomic<bool> was_needed_ = false;
  std::mutex mutex_;
  std::condition_variable_any over_;
  std::jthread thread_;
};

/// Milliseconds of `call` right after a completion, when the kernel has yet to park. `prepare` is
/// called before that.
template <class Prepare, class Call>
std::vector<double> wait_ms(ContextOptions options, const Prepare& prepare, const Call& call) {
  options.park_after = std::chrono::microseconds(static_cast<int>(idle_before_park_ms * 1e3));
  Context context = make_empty(options);
  Feeder feeder(context);
  const Rescue rescue(context);
  std::vector<double> ms;
  while (ms.size() < waits) {
    prepare();
    feeder.run(1, 1);
    const std::uint64_t begin = host_now_ns();
    call();
    ms.push_back(us_since(begin) / 1e3);
    if (rescue.was_needed()) throw TimeoutError("an idle context did not park: a CUDA call waited");
  }
  return ms;
}

std::vector<double> device_synchronize_ms(const ContextOptions& options) {
  return wait_ms(
      options, [] {},
      [] { AATGS_CUDA(cudaDeviceSynchronize(), "waiting beside an idle context"); });
}

std::vector<double> free_ms(const ContextOptions& options) {
  constexpr std::size_t bytes = std::size_t{4} << 20;
  void* memory = nullptr;
  return wait_ms(
      options, [&] { AATGS_CUDA(cudaMalloc(&memory, bytes), "allocating 4 MiB"); },
      [&] { AATGS_CUDA(cudaFree(memory), "freeing memory beside an idle context"); });
}

ContextOptions resident_options(const Plan& plan, Scope scope) {
  ContextOptions options = plan.context;
  options.executor = ExecutorKind::resident;
  options.scope = scope;
  return options;
}

void measure_parks(const Plan& plan, Report& report, Scope scope) {
  const ContextOptions options = resident_options(plan, scope);
  const auto add = [&](const char* name, const char* unit, const std::string& what, auto measure) {
    const Case of{.group = "park", .scope = std::string(to_string(scope)), .road = name};
    if (plan.wants(of.name())) report.add(figure(of, unit, what, measure()));
  };
  add("first_config", "us", "queue to telemetry of the first config after a park by hand",
      [&] { return first_config_us(options, 4 * plan.seconds); });
  add("launch_sync", "us", "a launch by value of the same step, then cudaStreamSynchronize",
      [&] { return launch_sync_us(scope, options.device, plan.seconds); });
  const std::string after = " right after a completion; the kernel parks after 5 ms";
  add("device_synchronize", "ms", "cudaDeviceSynchronize" + after,
      [&] { return device_synchronize_ms(options); });
  add("free", "ms", "cudaFree" + after, [&] { return free_ms(options); });
}

std::vector<double> beside_busy_ms(const ContextOptions& options) {
  Context context = make_empty(options);
  std::exception_ptr failure;
  std::jthread busy([&](const std::stop_token& stop) {
    try {
      for (Feeder feeder(context); !stop.stop_requested();) feeder.run(1000, 64);
    } catch (...) {
      failure = std::current_exception();
    }
  });
  std::vector<double> ms = run_second_process(options.device);
  busy.request_stop();
  busy.join();
  if (failure) std::rethrow_exception(failure);
  return ms;
}

void measure_yield(const Plan& plan, Report& report) {
  const auto add = [&](const std::string& name, const std::string& beside, auto measure) {
    const Case of{.group = "yield", .road = "second_process_" + name};
    if (!plan.wants(of.name())) return;
    std::vector<double> ms = measure();
    if (ms.empty()) return;  // which has been told
    report.add(
        figure(of, "ms", "100 kernels of 90 us in another process, " + beside, std::move(ms)));
  };
  ContextOptions options = resident_options(plan, Scope::block);
  add("alone", "alone", [&] { return run_second_process(options.device); });
  add("beside_busy", "beside a busy context", [&] { return beside_busy_ms(options); });
  options.leave_after = leave_after;
  add("beside_yield", "beside one with leave_after = " + std::to_string(leave_after),
      [&] { return beside_busy_ms(options); });
}

}  // namespace

void measure_parking(const Plan& plan, Report& report) {
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  for (const Scope scope : {Scope::block, Scope::grid}) measure_parks(plan, report, scope);
  measure_yield(plan, report);
}

}  // namespace aatgs::bench
