// SPDX-License-Identifier: Apache-2.0
#include "phased_search.hpp"

#include <aatgs/host/host_clock.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

namespace pipeline_phases {
namespace {

using namespace std::chrono_literals;
using aatgs::Buffer;

constexpr auto patience = 60s;
constexpr std::array<std::pair<const char*, double>, Choice::phases> temperatures{
    {{"cold", 0.1}, {"cool", 0.2}, {"warm", 0.3}, {"hot", 0.4}}};

aatgs::PipelineGpuOptions with_own_phases(aatgs::PipelineGpuOptions options) {
  for (const auto& [name, temperature] : temperatures) options.phases.emplace_back(name);
  return options;
}

int ordinal_of(const aatgs::StreamDevice& device) {
  return device.is_gpu() ? device.ordinal() : 0;
}

/// Of a GPU a quarter.
std::uint32_t few(const aatgs::StreamDevice& device) {
  if (!device.is_gpu()) return 1;
  return std::max(1U, aatgs::gpu_multiprocessors(device.ordinal()) / Choice::phases);
}

}  // namespace

double Pass::at_once() const {
  return std::accumulate(phases.begin(), phases.end(), 0.0,
                         [](double sum, const PhaseReport& phase) { return sum + phase.us; }) /
         us;
}

PhasedSearch::PhasedSearch(const aatgs::coloring::Graph& graph,
                           std::shared_ptr<aatgs::StreamDevice> device,
                           const aatgs::PipelineGpuOptions& gpu, const SearchOptions& options)
    : device_(std::move(device)),
      where_(device_->is_gpu() ? aatgs::MemoryKind::device : aatgs::MemoryKind::host),
      vertices_(graph.vertex_count()),
      offsets_(where_, graph.offsets(), ordinal_of(*device_)),
      neighbors_(where_, graph.neighbors(), ordinal_of(*device_)),
      best_(where_, vertices_, ordinal_of(*device_)),
      best_conflicts_(where_, 1, ordinal_of(*device_)),
      arrived_(device_->is_gpu() ? aatgs::MemoryKind::mapped : aatgs::MemoryKind::host, vertices_,
               ordinal_of(*device_)),
      state_(device_, with_own_phases(gpu)) {
  const std::uint32_t replicas = options.replicas != 0 ? options.replicas : few(*device_);
  for (const auto& [name, temperature] : temperatures) {
    add_phase(name, temperature, options, replicas);
  }
}

void PhasedSearch::add_phase(const char* name, double temperature, const SearchOptions& options,
                             std::uint32_t replicas) {
  const int gpu = ordinal_of(*device_);
  Phase phase{name,
              temperature,
              {},
              Buffer<Color>(where_, std::size_t{2} * replicas * vertices_, gpu),
              Buffer<std::uint32_t>(where_, replicas, gpu),
              aatgs::Event(device_, true),
              aatgs::Event(device_, true)};
  Replicas& work = phase.work;
  work.offsets = offsets_.data();
  work.neighbors = neighbors_.data();
  work.coloring = phase.coloring.data();
  work.conflicts = phase.conflicts.data();
  work.vertices = vertices_;
  work.count = replicas;
  work.colors = options.colors;
  work.sweeps = options.sweeps;
  work.seed = counter_hash(options.seed, phases_.size());
  for (std::uint32_t more = 0; more < Replicas::steepest; ++more) {
    const double chance = std::exp(-static_cast<double>(more) / temperature);
    work.accept[more] = static_cast<std::uint32_t>(chance * 0xFFFFFFFFU);
  }
  phases_.push_back(std::move(phase));
}

/// This is all that a solver does about streams: it names phases, and who waits for whom. Whether
/// they share one stream or have several is the user's choice.
void PhasedSearch::queue() {
  Choice choice{};
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    Phase& phase = phases_[i];
    choice.of[i] = phase.work;
    aatgs::Stream& stream = state_.stream(phase.name);
    stream.record(phase.begin);
    stream.run(search_work(phase.work));
    stream.record(phase.end);
  }
  for (const Phase& phase : phases_) state_.wait(aatgs::phase::ensemble, phase.name);
  choice.best = best_.data();
  choice.conflicts = best_conflicts_.data();
  state_.stream(aatgs::phase::ensemble).run(choice_work(choice));
  state_.wait(aatgs::phase::validation, aatgs::phase::ensemble);
  state_.stream(aatgs::phase::validation)
      .copy(arrived_.data(), best_.data(), arrived_.size() * sizeof(Color));
}

Pass PhasedSearch::run() {
  Pass pass;
  const std::uint64_t begin = aatgs::host_now_ns();
  try {
    queue();
    state_.synchronize(patience);
  } catch (...) {
    abandon();
    throw;
  }
  pass.us = static_cast<double>(aatgs::host_now_ns() - begin) / 1e3;
  for (const Phase& phase : phases_) pass.phases.push_back(report(phase));
  pass.best = arrived_.download();
  pass.conflicts = best_conflicts_.download().front();
  return pass;
}

/// What was queued may still run.
void PhasedSearch::abandon() {
  for (Phase& phase : phases_) {
    phase.coloring.abandon();
    phase.conflicts.abandon();
  }
  offsets_.abandon();
  neighbors_.abandon();
  best_.abandon();
  best_conflicts_.abandon();
  arrived_.abandon();
}

PhaseReport PhasedSearch::report(const Phase& phase) const {
  const std::vector<std::uint32_t> ends = phase.conflicts.download();
  const std::chrono::duration<double, std::micro> length = phase.end.elapsed_since(phase.begin);
  return {phase.name, phase.temperature, state_.stream_number(phase.name),
          *std::min_element(ends.begin(), ends.end()) / 2, length.count()};
}

std::size_t PhasedSearch::streams_used() {
  std::set<std::uint64_t> ids;
  for (const std::string& name : state_.phases()) {
    const aatgs::Stream& stream = state_.stream(name);
    if (stream.metrics().launches > 0) ids.insert(stream.id());
  }
  return ids.size();
}

}  // namespace pipeline_phases
