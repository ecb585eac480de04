// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/managed_options.hpp>
#include <aatgs/host/stream/gpu_triple_buffer.hpp>
#include <aatgs/host/stream/managed_streams.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace aatgs {

/// Steps and streams of a solver from one hand. The step is the one that a `GpuExecutionContext`
/// runs; `ManagedOptions::step_mode` alone says whether it runs in sync, triple-buffered or in a
/// resident kernel: the results are the same, in the same order. Make one with
/// `make_managed_context` (in a .cu file) or `make_cpu_managed_context`. One thread at a time.
template <class Config, class Telemetry>
class ManagedGpuContext {
 public:
  using Context = GpuExecutionContext<Config, Telemetry>;
  using Done = Completion<Telemetry>;

  ManagedGpuContext(Context context, const ManagedOptions& options)
      : options_(options),
        context_(std::move(context)),
        depth_(depth_of(context_.executor(), context_options(options))),
        streams_(std::make_unique<ManagedStreams>(options, is_on_host(context_.executor()))) {}

  /// Runs one step and waits for its result; those of others on their way stay for the two calls
  /// below. Throws `TimeoutError` that names what is not back, whose result is then never told,
  /// `UseError` after a shutdown.
  Done step(const Config& config) {
    Done done = take(queue(config));
    forget_late();
    return done;
  }

  /// Queues a step and gives the result of an earlier one: up to `depth()` steps are on their way,
  /// so that the first `depth()` - 1 calls give nothing, and each later call the oldest result that
  /// is still to come, for which it waits. Every result comes once, in order; the last ones with
  /// `finish`. In sync mode `depth()` is 1, and each call gives its own result.
  std::optional<Done> triple_buffered_step(const Config& config) {
    expected_.push_back(queue(config));
    if (expected_.size() < depth_) return std::nullopt;
    return take_expected();
  }
  /// The results of all triple-buffered steps that are still to come, in order; waits for them.
  std::vector<Done> finish() {
    std::vector<Done> rest;
    while (!expected_.empty()) rest.push_back(take_expected());
    return rest;
  }
  [[nodiscard]] unsigned depth() const noexcept { return depth_; }

  /// The context beneath, to queue and poll on by itself: it and the calls above would take each
  /// other's completions.
  [[nodiscard]] Context& context() noexcept { return context_; }
  [[nodiscard]] const Context& context() const noexcept { return context_; }

  // Streams, on the device of the steps. `UseError` that names the option if `async` is off.

  [[nodiscard]] bool has_stream_management() const noexcept { return streams_->are_on(); }
  /// One of the purpose's streams; others may use it, too.
  [[nodiscard]] Stream& stream(StreamPurpose purpose) { return streams_->pool().shared(purpose); }
  [[nodiscard]] StreamPool& pool() { return streams_->pool(); }
  [[nodiscard]] AsyncCoordinator& coordinator() { return streams_->coordinator(); }
  /// A fixed stream for each of the solver's phases.
  [[nodiscard]] PipelineGpuState& phases() { return streams_->phases(); }
  /// For transfers of the solver's own; with streams of its own.
  template <class In, class Out = In>
  [[nodiscard]] GpuTripleBuffer<In, Out> create_triple_buffer(std::size_t inputs,
                                                              std::size_t outputs,
                                                              TripleBufferOptions options = {}) {
    return GpuTripleBuffer<In, Out>(streams_->device("a triple buffer"), inputs, outputs,
                                    std::move(options));
  }
  [[nodiscard]] PipelineStageManager create_pipeline_manager(PipelineOptions options = {}) {
    return PipelineStageManager(streams_->device("a pipeline"), std::move(options));
  }

 private:
  static unsigned depth_of(ExecutorKind kind, const ContextOptions& options) {
    const bool is_sync = kind == ExecutorKind::launch || kind == ExecutorKind::graph;
    return is_sync ? 1 : options.buffer_slots;
  }

  /// Returns its ticket.
  std::uint64_t queue(const Config& config) {
    if (options_.context.telemetry_policy != TelemetryPolicy::block) {
      throw UseError(
          "a step whose telemetry may be lost: leave telemetry_policy at 'block', or "
          "queue and poll on context()");
    }
    for (;;) {
      const QueueResult queued = context_.try_queue(config);
      if (queued) return queued.ticket;
      collect("no room for a step");
    }
  }

  /// One completion, which is kept until its turn.
  void collect(const char* what) {
    auto done = context_.wait(options_.deadline);
    if (done) {
      early_.emplace(done->ticket, std::move(*done));
      return;
    }
    if (context_.stats().in_flight > 0) {
      throw TimeoutError(std::string(what) + " within the deadline of " +
                         std::to_string(options_.deadline.count()) + " ns (" +
                         context_.hang_report() + "): give it more time, or shorten the step");
    }
    throw UseError(std::string(what) +
                   ": the context was shut down, or its completions were polled from context()");
  }

  Done take(std::uint64_t ticket) {
    for (;;) {
      if (auto found = early_.extract(ticket)) return std::move(found.mapped());
      collect("no result of a step");
    }
  }
  Done take_expected() {
    Done done = take(expected_.front());
    expected_.pop_front();
    return done;
  }

  /// Results of steps that were given up by a `TimeoutError`.
  void forget_late() {
    std::erase_if(early_, [&](const auto& done) {
      return !std::binary_search(expected_.begin(), expected_.end(), done.first);
    });
  }

  ManagedOptions options_;
  Context context_;
  unsigned depth_;
  std::unique_ptr<ManagedStreams> streams_;
  std::deque<std::uint64_t> expected_;   ///< tickets of triple-buffered steps, the oldest first
  std::map<std::uint64_t, Done> early_;  ///< done, and not told yet
};

}  // namespace aatgs
