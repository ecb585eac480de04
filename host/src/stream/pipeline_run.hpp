// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <aatgs/host/stream/stream_graph.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "deadline.hpp"
#include "first_failure.hpp"
#include "pipeline_clock.hpp"
#include "pipeline_plan.hpp"

namespace aatgs::detail {

/// A plan with memory and streams. One thread at a time.
class PipelineRun {
 public:
  PipelineRun(std::shared_ptr<StreamDevice> device, const PipelineOptions& options,
              const PipelinePlan& plan);
  ~PipelineRun();
  PipelineRun(const PipelineRun&) = delete;
  PipelineRun& operator=(const PipelineRun&) = delete;

  /// Queues one iteration.
  std::uint64_t execute();
  /// The plan's stage has changed.
  void update(std::size_t stage);
  /// For all streams; what works threw is told by `throw_failure`.
  void synchronize(const Deadline& deadline);
  void wait(std::uint64_t iteration, const Deadline& deadline);
  void throw_failure();
  /// The buffer as the last iteration left it.
  [[nodiscard]] void* data(std::size_t buffer) const;
  void copy(void* to, const void* from, std::size_t bytes, const Deadline& deadline);
  /// Nothing works on the memory any more.
  void release(const Deadline& deadline);

  [[nodiscard]] PipelineStats stats();
  void reset_stats() { clock_.reset(); }
  [[nodiscard]] std::uint64_t started() const { return clock_.started(); }

 private:
  /// A stage's place in its lane.
  struct Place {
    std::size_t lane = 0;
    const Event* event = nullptr;  // null: none
  };
  /// What the next one to use a copy of a buffer has to wait for.
  struct Use {
    Place written;
    std::vector<Place> readers;  // since; at most one for each lane
  };
  using Uses = std::vector<std::vector<Use>>;  // by buffer and copy

  void allocate();
  void free_memory();
  [[nodiscard]] Uses unused() const;
  [[nodiscard]] std::size_t copies_of(std::size_t buffer) const;
  [[nodiscard]] std::size_t copy_of(std::size_t buffer, std::uint64_t iteration) const;
  [[nodiscard]] StreamWork make_work(std::size_t stage, std::size_t copy) const;
  void make_works(std::size_t stage);

  void enqueue(std::size_t position, std::uint64_t iteration, Uses& uses, Event* begin, Event& end);
  void wait_for(std::size_t lane, const Place& place);
  void give(std::size_t stage, std::uint64_t iteration, Stream& stream);
  void run_stages(std::deque<PipelineClock::Part>& parts);
  void run_graph(PipelineClock::Part& part);
  void capture();
  void capture_stages();
  void abort_iteration() noexcept;
  [[nodiscard]] std::string who(std::size_t stage) const;

  std::shared_ptr<StreamDevice> device_;
  PipelineOptions options_;
  const PipelinePlan& plan_;
  std::vector<std::size_t> order_;
  std::vector<Stream> lanes_;
  std::vector<std::vector<void*>> memory_;      // by buffer and copy
  std::vector<std::vector<StreamWork>> works_;  // by stage and copy
  Uses uses_;
  PipelineClock clock_;
  std::shared_ptr<FirstFailure> failures_ = std::make_shared<FirstFailure>();

  StreamGraph graph_;
  std::vector<Event> captured_;  // of each stage, and one for the beginning
  bool is_stale_ = true;         // the graph
  std::uint64_t captures_ = 0;
};

}  // namespace aatgs::detail
