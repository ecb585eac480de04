// SPDX-License-Identifier: Apache-2.0
// A solver of four independent phases, each in its stream of a PipelineGpuState.
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "replicas.hpp"

namespace pipeline_phases {

struct SearchOptions {
  std::uint32_t colors = 16;
  std::uint32_t sweeps = 1000;
  std::uint32_t replicas = 0;  ///< of each phase; 0: a quarter of the SMs, 1 on host threads
  std::uint64_t seed = 1;
};

struct PhaseReport {
  std::string name;
  double temperature = 0;
  std::size_t stream = 0;       ///< its number, from 0
  std::uint32_t conflicts = 0;  ///< of its best replica
  double us = 0;                ///< of one pass, from its first instruction to its last
};

/// One pass: what it found, and how long it took.
struct Pass {
  std::vector<PhaseReport> phases;
  std::vector<Color> best;
  std::uint64_t conflicts = 0;  ///< of `best`, as the device counted them
  double us = 0;                ///< of all, on the host's clock

  /// How many phases ran at a time, on average; at most 1 in sequence.
  [[nodiscard]] double at_once() const;
};

/// Replicas at four temperatures look for a coloring without conflicts; the phase `ensemble` waits
/// for them and takes the best, `validation` waits for that and brings it to the host. A pass
/// always finds the same, in whatever streams the phases run. One thread at a time.
class PhasedSearch {
 public:
  /// `gpu`: where the phases run and what shares their streams. Throws `OptionError`,
  /// `DeviceError`.
  PhasedSearch(const aatgs::coloring::Graph& graph, std::shared_ptr<aatgs::StreamDevice> device,
               const aatgs::PipelineGpuOptions& gpu, const SearchOptions& options);

  /// Throws `TimeoutError`, `DeviceError`; after either it cannot run again.
  Pass run();

  [[nodiscard]] aatgs::StreamMode mode() const { return state_.mode(); }
  [[nodiscard]] std::uint32_t replicas() const { return phases_.front().work.count; }
  /// Streams in which kernels have run so far.
  [[nodiscard]] std::size_t streams_used();

 private:
  struct Phase {
    const char* name;
    double temperature;
    Replicas work;
    aatgs::Buffer<Color> coloring;
    aatgs::Buffer<std::uint32_t> conflicts;
    aatgs::Event begin, end;
  };
  void add_phase(const char* name, double temperature, const SearchOptions& options,
                 std::uint32_t replicas);
  void queue();
  void abandon();
  [[nodiscard]] PhaseReport report(const Phase& phase) const;

  std::shared_ptr<aatgs::StreamDevice> device_;
  aatgs::MemoryKind where_;
  std::uint32_t vertices_;
  aatgs::Buffer<std::uint32_t> offsets_;
  aatgs::Buffer<Vertex> neighbors_;
  aatgs::Buffer<Color> best_;
  aatgs::Buffer<std::uint32_t> best_conflicts_;
  aatgs::Buffer<Color> arrived_;  ///< `best_`, where the host can read it
  std::vector<Phase> phases_;
  aatgs::PipelineGpuState state_;  ///< last: streams end before what they work on
};

}  // namespace pipeline_phases
