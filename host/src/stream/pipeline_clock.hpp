// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/busy_time.hpp>
#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "deadline.hpp"

namespace aatgs::detail {

/// The iterations in flight: when their parts began and ended, by timed events that are used again.
/// A part is a stage, or a whole graph. Iterations are measured in order.
class PipelineClock {
 public:
  struct Part {
    explicit Part(const std::shared_ptr<StreamDevice>& device)
        : begin(device, true), end(device, true) {}
    Event begin, end;
  };

  PipelineClock(const std::shared_ptr<StreamDevice>& device, std::size_t parts, unsigned in_flight);

  /// Recorded before the first iteration in the stream of part 0.
  [[nodiscard]] Event& origin() { return origin_; }
  /// The last iteration that has to end before there is room for the next; 0: none.
  [[nodiscard]] std::uint64_t last_before_next() const;
  /// The events of iteration `started() + 1`.
  std::deque<Part>& next() { return parts_of(started_ + 1); }
  /// All of that iteration's events are recorded.
  void start() { ++started_; }
  [[nodiscard]] std::uint64_t started() const { return started_; }

  /// Measures what has finished; does not wait.
  void refresh();
  [[nodiscard]] bool is_finished(std::uint64_t iteration) const { return iteration <= measured_; }
  /// The part that the iteration is still to end; the number of parts: none.
  [[nodiscard]] std::size_t unfinished_part(std::uint64_t iteration) const;
  void wait(std::uint64_t iteration, const Deadline& deadline);

  /// Counts what is started from now on.
  void reset();
  void fill(PipelineStats& stats) const;
  [[nodiscard]] double mean_ms(std::size_t part) const;

 private:
  [[nodiscard]] std::deque<Part>& parts_of(std::uint64_t iteration) {
    return ring_[iteration % ring_.size()];
  }
  [[nodiscard]] const std::deque<Part>& parts_of(std::uint64_t iteration) const {
    return ring_[iteration % ring_.size()];
  }
  void measure(std::uint64_t iteration);
  [[nodiscard]] std::int64_t time_of(const Event& event) const;

  Event origin_;
  std::vector<std::deque<Part>> ring_;  // one more than in flight: see `base_`
  std::uint64_t started_ = 0, measured_ = 0;

  // CUDA gives times between events as floats: they must be close to each other. So each iteration
  // is measured from an event of the one before it, whose events therefore must be there still.
  const Event* base_ = &origin_;
  std::int64_t base_ns_ = 0;

  BusyTime busy_;
  std::uint64_t first_counted_ = 1;
  std::uint64_t counted_ = 0;
  std::int64_t iterations_ns_ = 0;
  std::vector<std::int64_t> parts_ns_;
};

}  // namespace aatgs::detail
