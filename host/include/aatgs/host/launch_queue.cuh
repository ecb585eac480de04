// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/queued_launch.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/launch_orders.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/resident_memory.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace aatgs {

/// Executor `launch_queue`: each config is a launch, with the config among its parameters, and the
/// kernel writes the completion into a ring that the host polls; nothing is copied and the host
/// never waits for CUDA. Grid scope: one stream. Block scope: up to `most_streams`, each made when
/// all others are busy, and no more than `workers` if that is given.
///
/// An abort reaches steps that ask `stop_requested`; launches that CUDA already holds are run.
template <class Config, class Telemetry, class Step>
class LaunchQueue final : public Executor<Config, Telemetry> {
 public:
  using Record = CompletionRecord<Telemetry>;
  using Kernel = void (*)(device::QueuedArgs, Step, Config, device::QueuedTicket);

  LaunchQueue(const Step& step, const ContextOptions& options, std::shared_ptr<LaunchOrders> orders)
      : step_(step),
        options_(options),
        kernel_(options.scope == Scope::grid
                    ? &device::queued_grid_kernel<Step, Config, Telemetry>
                    : &device::queued_block_kernel<Step, Config, Telemetry>),
        shape_(make_shape()),
        stream_limit_(count_streams()),
        orders_(std::move(orders)),
        memory_(MemoryKind::device, without_configs(options),
                MessageSizes{1, MessageBuffer<Record>::granules}, stream_limit_),
        ring_(memory_.port().telemetry),
        // A long step may have any number behind it in its stream that finish later than others.
        reader_(ring_, options.first_ticket, options.telemetry_slots),
        control_(MemoryKind::mapped, 1, options.device),
        state_(MemoryKind::device, 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{shape_.blocks}, options.device),
        most_open_(std::min(options.config_slots, most_launches)),
        next_(options.first_ticket) {
    args_ = {
        ring_,         control_.data(), orders_->words.data(),
        state_.data(), cells_.data(),   static_cast<std::uint64_t>(options.step_deadline.count())};
    add_stream();
  }

  ~LaunchQueue() override {
    if (stop(StopMode::abort, std::chrono::seconds(is_stuck_ ? 0 : 10))) {
      for (const Lane& lane : lanes_) cudaStreamDestroy(lane.stream);
      return;
    }
    memory_.abandon();
    control_.abandon();
    state_.abandon();
    cells_.abandon();
    orders_->words.abandon();
  }

  QueueStatus try_submit(const Config& config) override {
    if (orders_->has_ended.load(std::memory_order_relaxed)) return QueueStatus::closed;
    if (options_.telemetry_policy == TelemetryPolicy::block && !reader_.slot_is_free(next_)) {
      return QueueStatus::telemetry_full;
    }
    if (!has_room()) return QueueStatus::config_full;
    launch(config, pick_lane());
    ++next_;
    return QueueStatus::queued;
  }

  bool try_collect(Completion<Telemetry>& out) override { return reader_.try_read(next_, out); }

  [[nodiscard]] std::uint64_t lost() const override {
    return options_.telemetry_policy == TelemetryPolicy::drop_newest
               ? memory_.sum_counters().dropped
               : reader_.overwritten();
  }
  [[nodiscard]] bool idle() const override { return finished() == submitted(); }
  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    const std::uint64_t open = submitted() - finished();
    return {static_cast<std::uint32_t>(std::min<std::uint64_t>(open, options_.config_slots)),
            reader_.unread(next_, exact)};
  }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override {
    return "launches polled on " + gpu_name(options_.device) + ", " +
           std::to_string(shape_.blocks) + (shape_.blocks == 1 ? " block of " : " blocks of ") +
           std::to_string(shape_.threads) + " threads, " + std::to_string(lanes_.size()) +
           (lanes_.size() == 1 ? " stream" : " streams");
  }

  void check() override {
    if (orders_->has_ended) {
      throw UseError(
          "waiting for configs of a context that was ended through another port or by another "
          "thread: flush before that");
    }
    detail::try_select_device(options_.device);
    for (const Lane& lane : lanes_) {
      const cudaError_t error = cudaStreamQuery(lane.stream);
      if (error == cudaSuccess || error == cudaErrorNotReady) continue;
      const std::string open = hang_report();
      detail::throw_cuda_error(error,
                               "running a step as a launch" + (open.empty() ? open : "; " + open));
    }
  }

  void request_abort() override { orders_->request_abort(); }
  [[nodiscard]] std::string hang_report() const override {
    if (idle()) return describe(control_.data()->hang);
    const std::uint64_t in_sight = std::min<std::uint64_t>(submitted(), options_.telemetry_slots);
    std::vector<std::uint64_t> open;
    for (std::uint64_t ticket = next_ - in_sight; ticket != next_; ++ticket) {
      if (reader_.is_open(ticket)) open.push_back(ticket);
    }
    return describe_open(open, {}) + describe(control_.data()->hang);
  }

  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    orders_->has_ended = true;
    if (mode == StopMode::abort) request_abort();
    const auto begin = std::chrono::steady_clock::now();
    detail::try_select_device(options_.device);
    for (const Lane& lane : lanes_) {
      while (cudaStreamQuery(lane.stream) == cudaErrorNotReady) {
        is_stuck_ = std::chrono::steady_clock::now() - begin > deadline;
        if (is_stuck_) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    }
    return true;
  }

 private:
  /// A stream, and what it was given last.
  struct Lane {
    cudaStream_t stream = nullptr;
    std::uint64_t launches = 0;
    std::uint64_t last_ticket = 0;
  };

  /// As many as there are hardware queues.
  static constexpr std::uint32_t most_streams = 32;
  /// Beyond about a thousand launches CUDA makes the caller wait.
  static constexpr std::uint32_t most_launches = 512;

  static ContextOptions without_configs(ContextOptions options) {
    options.config_slots = 1;
    return options;
  }

  [[nodiscard]] KernelShape make_shape() const {
    const bool grid = options_.scope == Scope::grid;
    return size_kernel(kernel_, options_.device, step_block_threads<Step>(),
                       step_scratch_bytes(step_), grid ? options_.workers : 1, grid, 0);
  }
  [[nodiscard]] std::uint32_t count_streams() const {
    if (options_.scope == Scope::grid) return 1;
    return options_.workers == 0 ? most_streams : std::min(options_.workers, most_streams);
  }

  [[nodiscard]] std::uint64_t submitted() const { return next_ - options_.first_ticket; }
  [[nodiscard]] std::uint64_t finished() const {
    if (options_.telemetry_policy != TelemetryPolicy::block) return memory_.sum_counters().finished;
    return reader_.collected_count() + reader_.unread(next_, true);
  }

  /// Looks at the ring only when the queue looks full.
  [[nodiscard]] bool has_room() {
    if (submitted() - finished_before_ < most_open_) return true;
    finished_before_ = finished();
    return submitted() - finished_before_ < most_open_;
  }

  void add_stream() {
    Lane lane;
    detail::select_device(options_.device);
    AATGS_CUDA(cudaStreamCreateWithFlags(&lane.stream, cudaStreamNonBlocking),
               "making a stream for launches");
    lanes_.push_back(lane);
  }

  /// The one that has been free for longest, a new one if none is, else the next in turn.
  std::uint32_t pick_lane() {
    if (stream_limit_ == 1) return 0;
    const auto count = static_cast<std::uint32_t>(lanes_.size());
    for (std::uint32_t k = 0; k < count; ++k) {
      const std::uint32_t i = (turn_ + k) % count;
      if (!is_free(i)) continue;
      turn_ = i + 1;
      return i;
    }
    if (count == stream_limit_) return turn_++ % count;
    add_stream();
    turn_ = 0;
    return count;
  }

  [[nodiscard]] bool is_free(std::uint32_t i) const {
    const Lane& lane = lanes_[i];
    if (lane.launches == 0) return true;
    if (options_.telemetry_policy != TelemetryPolicy::block) {
      return load_shared(&ring_.counters[i].finished) == lane.launches;
    }
    const RingShape& shape = ring_.shape;
    const Granule first = load_granule(ring_.granules + shape.offset_of(lane.last_ticket));
    return static_cast<std::int32_t>(first.lap() - shape.lap_of(lane.last_ticket)) >= 0;
  }

  void launch(const Config& config, std::uint32_t worker) {
    detail::select_device(options_.device);
    Lane& lane = lanes_[worker];
    device::QueuedTicket of{next_, next_, worker};
    void* arguments[] = {&args_, &step_, const_cast<Config*>(&config), &of};
    const auto* function = reinterpret_cast<const void*>(kernel_);
    const cudaError_t error =
        options_.scope == Scope::grid
            ? cudaLaunchCooperativeKernel(function, dim3(shape_.blocks), dim3(shape_.threads),
                                          arguments, shape_.scratch_bytes, lane.stream)
            : cudaLaunchKernel(function, dim3(1), dim3(shape_.threads), arguments,
                               shape_.scratch_bytes, lane.stream);
    if (error != cudaSuccess) {
      detail::throw_cuda_error(error, "launching a step" + describe(control_.data()->hang));
    }
    ++lane.launches;
    lane.last_ticket = next_;
  }

  Step step_;
  ContextOptions options_;
  Kernel kernel_;
  KernelShape shape_;
  std::uint32_t stream_limit_;
  std::shared_ptr<LaunchOrders> orders_;
  PortMemory memory_;
  TelemetryRing ring_;
  CompletionReader<Telemetry> reader_;
  Buffer<ControlBlock> control_;
  Buffer<ResidentState> state_;
  Buffer<device::GridCell> cells_;
  device::QueuedArgs args_{};
  std::vector<Lane> lanes_;
  std::uint32_t turn_ = 0;  // where to look for a free stream first
  std::uint64_t most_open_;
  std::uint64_t finished_before_ = 0;
  std::uint64_t next_;
  bool is_stuck_ = false;  ///< a launch did not end in time
};

/// The launch queues of all ports.
template <class Config, class Telemetry, class Step>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_launch_queues(
    const Step& step, const ContextOptions& options) {
  const auto orders = std::make_shared<LaunchOrders>(options.device);
  std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors;
  for (std::uint32_t port = 0; port < options.ports; ++port) {
    executors.push_back(
        std::make_unique<LaunchQueue<Config, Telemetry, Step>>(step, options, orders));
  }
  return executors;
}

}  // namespace aatgs
