// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "classes.cuh"
#include "roads.hpp"
#include "runners.cuh"
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
                       [&](const Setup<Step>& setup, double at, double seconds) {
                         const auto road = entry.make(setup);
                         return try_road(*road, Step::work(at, scene.scope()), depth, seconds);
                       });
}

/// That of the road that tunes, but for those of ours among the others.
template <class Step>
Setup<Step> setup_of_other(Scene<Step>& scene, const std::string& group, unsigned depth,
                           const std::vector<Entry<Step>>& others, const Entry<Step>& entry,
                           double us) {
  return fastest_setup(scene, group, depth, entry.is_own ? entry : tuner_of(scene, others), us);
}

template <class Step>
std::string describe(const Entry<Step>& entry, const Setup<Step>& setup) {
  return entry.what + describe_width(setup.blocks, setup.threads, setup.scope);
}

/// One road at several lengths; made anew only where another width is faster.
template <class Step>
void measure_road(Scene<Step>& scene, const std::string& group, unsigned depth,
                  const std::vector<Entry<Step>>& others, const Entry<Step>& entry,
                  const std::vector<double>& lengths) {
  std::optional<Setup<Step>> last;
  std::unique_ptr<BenchRoad> road;
  std::optional<Driver> driver;
  for (const double us : lengths) {
    const Setup<Step> setup = setup_of_other(scene, group, depth, others, entry, us);
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

/// Our own roads and one length, by turns with the best of the others.
template <class Step>
void measure_ours(Scene<Step>& scene, const std::string& group, unsigned depth,
                  const std::vector<Entry<Step>>& others, double us) {
  Turntable<Step> table(scene, group, us);
  const Feed feed{depth == 1 ? 1U : 0U, depth};
  for (const Entry<Step>& entry : own_roads<Step>(scene.ours(), scene.scope())) {
    if (scene.wanted(group, entry.road, {us}).empty()) continue;
    const auto setup = fastest_setup(scene, group, depth, entry, us);
    table.add(entry.road, describe(entry, setup),
              std::make_unique<RoadRunner>(entry.make(table.place(setup)),
                                           Step::work(us, scene.scope()), feed));
  }
  if (table.is_empty()) return;
  const std::string best = scene.best_other(group, us);
  for (const Entry<Step>& entry : others) {
    if (entry.road != best) continue;
    const auto setup = setup_of_other(scene, group, depth, others, entry, us);
    table.add_guest(std::make_unique<RoadRunner>(entry.make(table.place(setup)),
                                                 Step::work(us, scene.scope()), feed));
  }
  table.run(depth);
}

template <class Step>
void measure_class(Scene<Step>& scene, const std::string& group, unsigned depth,
                   const std::vector<Entry<Step>>& others, const std::vector<double>& lengths) {
  for (const Entry<Step>& entry : others) {
    const auto todo = scene.wanted(group, entry.road, lengths);
    if (todo.empty()) continue;
    measure_road(scene, group, depth, others, entry, todo);
  }
  for (const double us : lengths) measure_ours(scene, group, depth, others, us);
}

/// Configs of one known batch: about 20 ms of them in grid scope, whole graphs of 100 if it can be.
unsigned known_count(double us, Scope scope) {
  if (scope == Scope::block) return 1024;
  const double count = std::clamp(us > 0 ? 20'000 / us : 1e9, 8.0, 1000.0);
  const auto whole = static_cast<unsigned>(count);
  return whole < 100 ? whole : whole / 100 * 100;
}

/// The others take their turns in a known batch.
template <class Step>
void add_others(Turntable<Step>& table, Scene<Step>& scene, unsigned count, double us) {
  const unsigned slots = scene.scope() == Scope::grid ? std::min(count, 400U) : count;
  const auto others = known_roads<Step>(scene.scope(), count);
  for (const Entry<Step>& entry : others) {
    if (scene.wanted("known", entry.road, {us}).empty()) continue;
    const auto setup = setup_of_other(scene, "known", slots, others, entry, us);
    table.add(entry.road, describe(entry, setup),
              std::make_unique<RoadRunner>(entry.make(table.place(setup)),
                                           Step::work(us, scene.scope()), Feed{count, slots}));
  }
}

/// And `execute_batch` of one of our executors.
template <class Step>
void add_batch(Turntable<Step>& table, Scene<Step>& scene, const char* name, ExecutorKind executor,
               double us) {
  if (scene.wanted("known", name, {us}).empty()) return;
  ContextOptions options = scene.ours();
  options.executor = executor;
  options.scope = scene.scope();
  const auto make = [&](const Setup<Step>& setup, double length) {
    return std::make_unique<BatchRunner>(setup, options, Step::work(length, scene.scope()),
                                         known_count(length, scene.scope()));
  };
  const auto setup =
      scene.fastest(true, "known" + std::string(name), us,
                    [&](const Setup<Step>& some, double at, double seconds) {
                      return figure({}, "us", "", make(some, at)->samples(seconds)).p50;
                    });
  table.add(name, "execute_batch" + describe_width(setup.blocks, setup.threads, setup.scope),
            make(table.place(setup), us));
}

template <class Step>
void measure_known(Scene<Step>& scene, const std::vector<double>& lengths) {
  for (const double us : lengths) {
    const unsigned count = known_count(us, scene.scope());
    Turntable<Step> table(scene, "known", us);
    add_others(table, scene, count, us);
    add_batch(table, scene, our_road, ExecutorKind::resident, us);
    add_batch(table, scene, automatic_road, ExecutorKind::automatic, us);
    table.run(count);
  }
}

template <class Step>
void measure_step(Scene<Step>& scene, const std::vector<double>& lengths) {
  const Scope scope = scene.scope();
  measure_class(scene, "closed", 1, closed_roads<Step>(scope, scene.ours()), lengths);
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

void measure_roads(const Plan& plan, Report& report, Widths& widths) {
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  for (const Scope scope : {Scope::block, Scope::grid}) {
    Scene<SpinStep> scene(plan, report, widths, "spin", scope, [] { return SpinStep{}; });
    measure_step(scene, plan.spin_us);
  }
  measure_writing(plan, report);
  std::optional<Buffer<uint4>> data;  // made when it is first wanted
  const auto make_stream_step = [&] {
    if (!data) data = make_stream_data(plan.context.device);
    return StreamStep{data->data(), static_cast<std::uint32_t>(data->size() - 1)};
  };
  for (const Scope scope : {Scope::block, Scope::grid}) {
    Scene<StreamStep> scene(plan, report, widths, "stream", scope, make_stream_step);
    measure_step(scene, plan.stream_us);
  }
}

void measure_sweeps(const Plan& plan, Report& report) {
  run_sweeps(plan, report);
}

}  // namespace aatgs::bench
