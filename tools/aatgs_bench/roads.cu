// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "classes.cuh"
#include "roads.hpp"
#include "sweeps.cuh"

namespace aatgs::bench {

namespace {

unsigned count_sms(int device) {
  int sms = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs");
  return static_cast<unsigned>(sms);
}

/// Programmatic dependent launch came with compute capability 9.
bool has_dependent_launch(int device) {
  int major = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "asking for the compute capability");
  return major >= 9;
}

/// The width at which plain launches of this step are fastest; in grid scope at least one block on
/// each SM. The resident road keeps the step's own.
template <class Step>
Setup<Step> fastest_setup(const Step& step, Scope scope, int device) {
  const bool grid = scope == Scope::grid;
  const unsigned sms = count_sms(device);
  Setup<Step> best{step, scope, grid ? sms : 1, Step::block_threads, device};
  double best_us = 1e9;
  for (const unsigned threads : {64U, 128U, 256U, 512U, 768U, 1024U}) {
    for (const unsigned per_sm : {1U, 2U, 4U}) {
      if (!grid && per_sm > 1) continue;
      if (per_sm * threads > 2048) continue;
      const Setup<Step> setup{step, scope, grid ? per_sm * sms : 1, threads, device};
      ValueRoad<Step, 1> road(setup, 8, 1, false);
      Driver driver(road);
      driver.set_work(Step::work(Step::tuned_at_us, scope));
      const double us = figure({}, "us", "", driver.fed(8, 0.01)).p50;
      if (us < best_us) {
        best_us = us;
        best = setup;
      }
    }
  }
  return best;
}

/// How many workers the resident road is fastest with: one block on each SM, or two where they fit.
template <class Step>
std::uint32_t fastest_workers(const Setup<Step>& setup, ContextOptions options) {
  if (setup.scope == Scope::block || options.workers != 0) return options.workers;
  options.executor = ExecutorKind::resident;
  options.scope = setup.scope;
  std::uint32_t best = 0;
  double best_us = std::numeric_limits<double>::infinity();
  for (const std::uint32_t workers : {0U, 2 * count_sms(setup.device) - 1}) {
    options.workers = workers;
    try {
      ContextRoad<Step> road(setup.step, options);
      Driver driver(road);
      driver.set_work(Step::work(Step::workers_tuned_at_us, setup.scope));
      const double us = figure({}, "us", "", driver.fed(8, 0.01)).p50;
      if (us < best_us) best = workers;
      best_us = std::min(best_us, us);
    } catch (const OptionError&) {  // two do not fit
    }
  }
  return best;
}

/// One step in one scope: what to measure, and where the figures go.
template <class Step>
class Scene {
 public:
  Scene(const Plan& plan, Report& report, std::string step, Scope scope,
        const std::function<Step()>& make_step)
      : plan_(plan),
        report_(report),
        step_(std::move(step)),
        scope_(scope),
        make_step_(make_step) {}

  [[nodiscard]] Scope scope() const { return scope_; }
  [[nodiscard]] const ContextOptions& ours() const { return plan_.context; }

  /// Made when first asked for: a run of a few figures skips it.
  const Setup<Step>& setup() {
    if (!setup_) {
      setup_ = fastest_setup(make_step_(), scope_, plan_.context.device);
      setup_->workers = fastest_workers(*setup_, plan_.context);
    }
    return *setup_;
  }

  /// The lengths of one road whose figures are wanted, if the GPU has such a road.
  [[nodiscard]] std::vector<double> wanted(const std::string& group, const std::string& road,
                                           const std::vector<double>& lengths) const {
    std::vector<double> result;
    if (road.ends_with("_pdl") && !has_dependent_launch(plan_.context.device)) return result;
    std::copy_if(lengths.begin(), lengths.end(), std::back_inserter(result),
                 [&](double us) { return plan_.wants(of(group, us, road).name()); });
    return result;
  }

  void add(const std::string& group, double us, const std::string& road, const std::string& what,
           std::vector<double> samples) {
    report_.add(figure(of(group, us, road), "us", what, std::move(samples)));
  }

  /// Short steps are where the roads differ most, and where samples are cheap.
  [[nodiscard]] double seconds(double us) const {
    return us == 0 ? 4 * plan_.seconds : plan_.seconds;
  }

 private:
  [[nodiscard]] Case of(const std::string& group, double us, const std::string& road) const {
    return {group, step_, std::string(to_string(scope_)), us, road};
  }

  const Plan& plan_;
  Report& report_;
  std::string step_;
  Scope scope_;
  std::function<Step()> make_step_;
  std::optional<Setup<Step>> setup_;
};

/// `closed` with a depth of 1, `fed` with more.
template <class Step>
void measure_road(Scene<Step>& scene, const std::string& group, unsigned depth,
                  const Entry<Step>& entry, const std::vector<double>& lengths) {
  const auto road = entry.make(scene.setup());
  Driver driver(*road);
  for (const double us : lengths) {
    driver.set_work(Step::work(us, scene.scope()));
    driver.settle(depth);
    const double seconds = scene.seconds(us);
    scene.add(group, us, entry.road, entry.what,
              depth == 1 ? driver.closed_loop(seconds) : driver.fed(depth, seconds));
  }
  driver.finish();
}

template <class Step>
void measure_class(Scene<Step>& scene, const std::string& group, unsigned depth,
                   const std::vector<Entry<Step>>& entries, const std::vector<double>& lengths) {
  for (const Entry<Step>& entry : entries) {
    const auto todo = scene.wanted(group, entry.road, lengths);
    if (todo.empty()) continue;
    if (!entry.for_each_length) {
      measure_road(scene, group, depth, entry, todo);
      continue;
    }
    for (const double us : todo) measure_road(scene, group, depth, entry, {us});
  }
}

/// Configs of one known batch: about 20 ms of them in grid scope, whole graphs of 100 if it can be.
unsigned known_count(double us, Scope scope) {
  if (scope == Scope::block) return 1024;
  const double count = std::clamp(us > 0 ? 20'000 / us : 1e9, 8.0, 1000.0);
  const auto whole = static_cast<unsigned>(count);
  return whole < 100 ? whole : whole / 100 * 100;
}

/// `execute_batch` on one of our executors, in a context of its own for each length.
template <class Step>
void measure_known_ours(Scene<Step>& scene, const char* name, ExecutorKind executor,
                        const std::vector<double>& lengths) {
  ContextOptions options = scene.ours();
  options.executor = executor;
  options.scope = scene.scope();
  for (const double us : scene.wanted("known", name, lengths)) {
    options.workers = scene.setup().workers;
    ContextRoad<Step> road(scene.setup().step, options);
    BenchConfig config{};
    config.work = Step::work(us, scene.scope());
    std::vector<BenchConfig> configs(known_count(us, scene.scope()), config);
    for (const std::uint64_t begin = host_now_ns(); !road.is_settled();) {
      road.label_batch(configs);
      road.run_batch(configs);
      if (host_now_ns() - begin > host_patience_ns) {
        throw TimeoutError("execute_batch has not settled after 20 s: report this");
      }
    }
    scene.add("known", us, name, "execute_batch: " + road.reason(),
              sample_batches(
                  configs.size(), scene.seconds(us), [&] { road.label_batch(configs); },
                  [&] { road.run_batch(configs); }));
  }
}

template <class Step>
void measure_known(Scene<Step>& scene, const std::vector<double>& lengths) {
  for (const double us : lengths) {
    const unsigned count = known_count(us, scene.scope());
    for (const Entry<Step>& entry : known_roads<Step>(scene.scope(), count)) {
      if (scene.wanted("known", entry.road, {us}).empty()) continue;
      const auto road = entry.make(scene.setup());
      Driver driver(*road);
      driver.set_work(Step::work(us, scene.scope()));
      const unsigned slots = scene.scope() == Scope::grid ? std::min(count, 400U) : count;
      scene.add("known", us, entry.road, entry.what, driver.known(count, slots, scene.seconds(us)));
      driver.finish();
    }
  }
  measure_known_ours(scene, our_road, ExecutorKind::resident, lengths);
  measure_known_ours(scene, automatic_road, ExecutorKind::automatic, lengths);
}

template <class Step>
void measure_step(const Plan& plan, Report& report, const std::string& name, Scope scope,
                  const std::function<Step()>& make_step, const std::vector<double>& lengths) {
  Scene<Step> scene(plan, report, name, scope, make_step);
  measure_class(scene, "closed", 1, closed_roads<Step>(scope, plan.context), lengths);
  for (const unsigned depth : {4U, 16U, 64U}) {
    std::vector<double> short_enough;  // a window of 64 steps of 10 ms says no more than one of 4
    std::copy_if(lengths.begin(), lengths.end(), std::back_inserter(short_enough),
                 [&](double us) { return us * depth <= 40'000; });
    measure_class(scene, "fed" + std::to_string(depth), depth,
                  fed_roads<Step>(scope, depth, plan.context), short_enough);
  }
  measure_known(scene, lengths);
}

/// A closed loop of the resident road whose step is one that may write memory.
void measure_writing(const Plan& plan, Report& report) {
  const Case of{writing_group, "spin", "block", 0, our_road};
  if (!plan.wants(of.name())) return;
  ContextOptions options = plan.context;
  options.executor = ExecutorKind::resident;
  options.scope = Scope::block;
  ContextRoad<WritingSpinStep> road(WritingSpinStep{}, options);
  Driver driver(road);
  report.add(figure(of, "us", "the resident executor, a step that may write memory",
                    driver.closed_loop(4 * plan.seconds)));
}

/// The memory that a `StreamStep` reads: more than a step of 1 ms does. Of 256 MiB some stayed in
/// the L2 cache of an H200 from one round to the next, as the blocks happened to go: launches of
/// 768 threads then read 5.1 TB/s, more than the memory can, and the others 4.2 to 4.7.
Buffer<uint4> make_stream_data(int device) {
  constexpr std::size_t bytes = std::size_t{1} << 32;
  Buffer<uint4> data(MemoryKind::device, bytes / sizeof(uint4), device);
  AATGS_CUDA(cudaMemset(data.data(), static_cast<int>(stream_pattern & 0xFF), bytes),
             "filling the buffer to stream");
  AATGS_CUDA(cudaDeviceSynchronize(), "filling the buffer to stream");
  return data;
}

}  // namespace

void measure_roads(const Plan& plan, Report& report) {
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  for (const Scope scope : {Scope::block, Scope::grid}) {
    measure_step<SpinStep>(
        plan, report, "spin", scope, [] { return SpinStep{}; }, plan.spin_us);
  }
  measure_writing(plan, report);
  std::optional<Buffer<uint4>> data;  // made when it is first wanted
  const auto make_stream_step = [&] {
    if (!data) data = make_stream_data(plan.context.device);
    return StreamStep{data->data(), static_cast<std::uint32_t>(data->size() - 1)};
  };
  for (const Scope scope : {Scope::block, Scope::grid}) {
    measure_step<StreamStep>(plan, report, "stream", scope, make_stream_step, plan.stream_us);
  }
}

void measure_sweeps(const Plan& plan, Report& report) {
  run_sweeps(plan, report);
}

}  // namespace aatgs::bench
