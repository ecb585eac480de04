// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "classes.cuh"
#include "roads.hpp"
#include "scene.cuh"
#include "sweeps.cuh"

namespace aatgs::bench {

namespace {

/// The last of those that tune, which is the fastest of them, where the GPU has it.
template <class Step>
const Entry<Step>& tuner_of(const Scene<Step>& scene, const std::vector<Entry<Step>>& others) {
  const Entry<Step>* last = nullptr;
  for (const Entry<Step>& entry : others) {
    if (entry.tunes && scene.has(entry.road)) last = &entry;
  }
  return *last;
}

/// Where `entry` is fastest; `closed` with a depth of 1, `fed` with more.
template <class Step>
Setup<Step> fastest_setup(Scene<Step>& scene, const std::string& group, unsigned depth,
                          const Entry<Step>& entry, double us) {
  return scene.fastest(entry.is_own, group + entry.road, us,
                       [&](const Setup<Step>& setup, double at) {
                         const auto road = entry.make(setup);
                         return try_road(*road, Step::work(at, scene.scope()), depth);
                       });
}

template <class Step>
std::string describe(const Entry<Step>& entry, const Setup<Step>& setup) {
  return entry.what + describe_width(setup.blocks, setup.threads, setup.scope);
}

/// One road at several lengths; made anew only where another width is faster.
template <class Step>
void measure_road(Scene<Step>& scene, const std::string& group, unsigned depth,
                  const Entry<Step>& entry, const Entry<Step>& tuner,
                  const std::vector<double>& lengths) {
  std::optional<Setup<Step>> last;
  std::unique_ptr<BenchRoad> road;
  std::optional<Driver> driver;
  for (const double us : lengths) {
    const Setup<Step> setup = fastest_setup(scene, group, depth, entry.is_own ? entry : tuner, us);
    if (!last || last->blocks != setup.blocks || last->threads != setup.threads) {
      driver.reset();
      road = entry.make(setup);
      driver.emplace(*road);
      last = setup;
    }
    driver->set_work(Step::work(us, scene.scope()));
    const double seconds = scene.seconds(us);
    scene.add(group, us, entry.road, describe(entry, setup),
              depth == 1 ? driver->closed_loop(seconds) : driver->fed(depth, seconds));
    driver->finish();
  }
}

/// Several roads and one length: each for a while, then again the other way round, and so on. One
/// that waits has left the GPU.
template <class Step>
void measure_by_turns(Scene<Step>& scene, const std::string& group, unsigned depth,
                      const std::vector<Entry<Step>>& entries, double us) {
  struct Runner {
    std::string road;
    std::string what;
    std::unique_ptr<BenchRoad> lane;
    std::unique_ptr<Driver> driver;
    std::vector<double> samples;
  };
  std::vector<Runner> runners;
  for (const Entry<Step>& entry : entries) {
    if (scene.wanted(group, entry.road, {us}).empty()) continue;
    const Setup<Step> setup = fastest_setup(scene, group, depth, entry, us);
    auto lane = entry.make(setup);
    auto driver = std::make_unique<Driver>(*lane);
    driver->set_work(Step::work(us, scene.scope()));
    driver->settle(depth);
    driver->finish();
    runners.push_back({entry.road, describe(entry, setup), std::move(lane), std::move(driver), {}});
  }
  const double seconds = scene.seconds(us);
  const double least_seconds = 5e-6 * std::max(50.0, depth * (us + 1));  // of five samples
  const int turns = std::clamp(static_cast<int>(seconds / least_seconds), 1, 8);
  for (int turn = 0; turn < turns; ++turn) {
    for (Runner& runner : runners) {
      const auto more = depth == 1 ? runner.driver->closed_loop(seconds / turns)
                                   : runner.driver->fed(depth, seconds / turns);
      runner.samples.insert(runner.samples.end(), more.begin(), more.end());
      runner.driver->finish();
    }
    std::reverse(runners.begin(), runners.end());
  }
  for (Runner& runner : runners) {
    const std::string what = runner.what + ": " + runner.lane->reason();
    scene.add(group, us, runner.road, what, std::move(runner.samples));
  }
}

template <class Step>
void measure_class(Scene<Step>& scene, const std::string& group, unsigned depth,
                   const std::vector<Entry<Step>>& others, const std::vector<double>& lengths) {
  for (const Entry<Step>& entry : others) {
    const auto todo = scene.wanted(group, entry.road, lengths);
    if (todo.empty()) continue;
    measure_road(scene, group, depth, entry, tuner_of(scene, others), todo);
  }
  const auto ours = entries_by_turns<Step>(scene.ours(), scene.scope());
  for (const double us : lengths) measure_by_turns(scene, group, depth, ours, us);
}

/// Configs of one known batch: about 20 ms of them in grid scope, whole graphs of 100 if it can be.
unsigned known_count(double us, Scope scope) {
  if (scope == Scope::block) return 1024;
  const double count = std::clamp(us > 0 ? 20'000 / us : 1e9, 8.0, 1000.0);
  const auto whole = static_cast<unsigned>(count);
  return whole < 100 ? whole : whole / 100 * 100;
}

/// Known configs by `execute_batch` on one of our executors.
class OwnBatch {
 public:
  template <class Step>
  OwnBatch(const Setup<Step>& setup, ContextOptions options, double us)
      : road_(setup, options), configs_(known_count(us, setup.scope)) {
    for (BenchConfig& config : configs_) config.work = Step::work(us, setup.scope);
    for (const std::uint64_t begin = host_now_ns(); !road_.is_settled();) {
      road_.label_batch(configs_);
      road_.run_batch(configs_);
      if (host_now_ns() - begin > host_patience_ns) {
        throw TimeoutError("execute_batch has not settled after 20 s: report this");
      }
    }
  }

  std::vector<double> samples(double seconds) {
    return sample_batches(
        configs_.size(), seconds, [this] { road_.label_batch(configs_); },
        [this] { road_.run_batch(configs_); });
  }
  [[nodiscard]] std::string reason() const { return road_.reason(); }

 private:
  ContextRoad road_;
  std::vector<BenchConfig> configs_;
};

template <class Step>
void measure_known_ours(Scene<Step>& scene, const char* name, ExecutorKind executor,
                        const std::vector<double>& lengths) {
  ContextOptions options = scene.ours();
  options.executor = executor;
  options.scope = scene.scope();
  const auto of = [&](const Setup<Step>& setup, double us) {
    ContextOptions wide = options;
    if (setup.workers != 0) wide.workers = setup.workers;
    return std::make_unique<OwnBatch>(setup, wide, us);
  };
  for (const double us : scene.wanted("known", name, lengths)) {
    const auto setup = scene.fastest(true, "known" + std::string(name), us,
                                     [&](const Setup<Step>& some, double at) {
                                       return figure({}, "us", "", of(some, at)->samples(0.01)).p50;
                                     });
    const auto batch = of(setup, us);
    scene.add("known", us, name,
              "execute_batch" + describe_width(setup.blocks, setup.threads, setup.scope) + ": " +
                  batch->reason(),
              batch->samples(scene.seconds(us)));
  }
}

template <class Step>
void measure_known(Scene<Step>& scene, const std::vector<double>& lengths) {
  for (const double us : lengths) {
    const unsigned count = known_count(us, scene.scope());
    const unsigned slots = scene.scope() == Scope::grid ? std::min(count, 400U) : count;
    const auto others = known_roads<Step>(scene.scope(), count);
    for (const Entry<Step>& entry : others) {
      if (scene.wanted("known", entry.road, {us}).empty()) continue;
      const auto setup = fastest_setup(scene, "known", slots, tuner_of(scene, others), us);
      const auto road = entry.make(setup);
      Driver driver(*road);
      driver.set_work(Step::work(us, scene.scope()));
      scene.add("known", us, entry.road, describe(entry, setup),
                driver.known(count, slots, scene.seconds(us)));
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
    measure_class(scene, "fed" + std::to_string(depth), depth, fed_roads<Step>(scope, depth),
                  short_enough);
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
  ContextRoad road(own_setups(WritingSpinStep{}, Scope::block, options).front(), options);
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
