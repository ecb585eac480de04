// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/batch_choice.hpp>
#include <aatgs/host/detail/polled_launches.cuh>
#include <aatgs/host/detail/step_graphs.cuh>
#include <aatgs/host/detail/waiter.hpp>
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>

namespace aatgs {

/// What the batch roads share. Their ring has tickets of its own ("places"), since other executors
/// run configs between two batches.
template <class Config, class Telemetry>
class PolledBatchRoad : public BatchRoad<Config, Telemetry> {
 public:
  void run(std::uint64_t first_ticket, std::span<const Config> configs,
           std::span<Completion<Telemetry>> results) override {
    const std::uint64_t first_place = end_;
    const std::uint64_t shift = first_ticket - first_place;
    detail::Waiter waiter(std::chrono::nanoseconds::max());
    std::size_t queued = 0;
    std::size_t collected = 0;
    while (collected < configs.size()) {
      std::size_t started = 0;
      const bool has_ended = has_ended_;
      if (has_ended && collected == queued) {
        throw UseError("running a batch of " + std::to_string(configs.size()) +
                       " configs, of which another thread aborted those from number " +
                       std::to_string(queued) + " on: make a new context");
      }
      if (queued < configs.size() && !has_ended) {
        started = launch_some(first_ticket + queued, configs.subspan(queued));
        queued += started;
      }
      const std::size_t found = launches_.reader().read_into(first_place, end_, results, shift);
      collected += found;
      if (started == 0 && found == 0) {
        waiter.again([this] { launches_.check("running a batch"); });
      }
    }
  }
  void request_abort() override {
    has_ended_ = true;
    launches_.request_abort();
  }

 protected:
  PolledBatchRoad(const ContextOptions& options, std::uint32_t slots)
      : slots_(slots), launches_(options, slots, 0, slots) {}

  /// Starts some of these configs at the place `end_`; how many, 0 if there is no room yet.
  virtual std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) = 0;

  /// Configs started and not collected.
  [[nodiscard]] std::uint64_t open() const { return end_ - launches_.reader().collected_count(); }

  std::uint32_t slots_;
  detail::PolledLaunches<Telemetry> launches_;
  std::uint64_t end_ = 0;  ///< place of the next config

 private:
  std::atomic<bool> has_ended_ = false;
};

/// Block scope: launches with a block for each config, which it reads from mapped memory. A large
/// batch goes in two, so that the GPU begins with the first half while the host copies the second;
/// by programmatic dependent launch, so that the second need not wait for the first half's end. One
/// that is larger than the ring does so again each time that the ring is empty.
template <class Config, class Telemetry, class Step>
class BatchLaunch final : public PolledBatchRoad<Config, Telemetry> {
 public:
  BatchLaunch(const Step& step, const ContextOptions& options)
      : PolledBatchRoad<Config, Telemetry>(options, options.telemetry_slots),
        step_(step),
        shape_(size_kernel(kernel(), options.device, step_block_threads<Step>(),
                           step_scratch_bytes(step), 1, false, 0)),
        splits_(this->launches_.has_dependent_launch(reinterpret_cast<const void*>(kernel()))),
        configs_(MemoryKind::mapped, options.telemetry_slots, options.device) {}

  ~BatchLaunch() override {
    if (!this->launches_.has_ended(std::chrono::seconds(10))) configs_.abandon();
  }

  [[nodiscard]] std::string name() const override {
    return splits_ ? "one launch or two" : "one launch";
  }

 private:
  /// From so many configs on a second launch (2.2 us) costs less than the wait that it saves: the
  /// first answer comes 6 us after a launch, in which the host collects 200.
  static constexpr std::size_t worth_two = 256;

  static auto kernel() { return &device::batch_block_kernel<Step, Config, Telemetry>; }

  /// In one piece where that can be: 1024 configs of 256 bytes took 8.8 us, one by one 10.7 (the
  /// host of an H200).
  static void copy_configs(device::ConfigWords<Config>* to, std::span<const Config> from) {
    if constexpr (sizeof(*to) == sizeof(Config)) {
      std::memcpy(to, from.data(), from.size_bytes());
    } else {
      for (std::size_t i = 0; i < from.size(); ++i) to[i].value() = from[i];
    }
  }

  /// Of so many that no cache line has configs of both: the GPU may hold those of the first.
  static std::size_t half_of(std::size_t count) { return (count / 2 + 7) / 8 * 8; }

  std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) override {
    if (this->open() == 0) used_ = 0;
    const bool is_first = used_ == 0;
    std::size_t count = std::min<std::size_t>(configs.size(), this->slots_ - used_);
    if (count == 0) return 0;
    if (is_first && splits_ && count >= worth_two) count = half_of(count);
    device::ConfigWords<Config>* from = configs_.data() + used_;
    copy_configs(from, configs.first(count));
    device::QueuedTicket first{ticket, this->end_, 0};
    void* arguments[] = {&this->launches_.args(), &step_, &from, &first};
    AATGS_CUDA(
        this->launches_.launch(reinterpret_cast<const void*>(kernel()),
                               static_cast<std::uint32_t>(count), shape_, !is_first, arguments),
        "launching a batch of " + std::to_string(count) + " configs");
    used_ += count;
    this->end_ += count;
    return count;
  }

  Step step_;
  KernelShape shape_;
  bool splits_;
  Buffer<device::ConfigWords<Config>> configs_;
  std::size_t used_ = 0;  ///< of `configs_`, since the ring was last empty
};

/// Grid scope, for steps that say `grid_sync = false`: CUDA graphs of up to `graph_steps` steps,
/// several of them on their way.
template <class Config, class Telemetry, class Step>
class BatchGraph final : public PolledBatchRoad<Config, Telemetry> {
 public:
  BatchGraph(const Step& step, const ContextOptions& options)
      : PolledBatchRoad<Config, Telemetry>(options, ring_slots),
        graphs_(step, options, buffers, this->launches_) {}

  [[nodiscard]] std::string name() const override {
    return graphs_.is_programmatic() ? "a graph with dependent launch" : "a graph";
  }

 private:
  static constexpr std::uint32_t buffers = 4;  ///< graphs on their way
  static constexpr std::uint32_t ring_slots = 512;
  static_assert(ring_slots >= buffers * device::graph_steps);

  /// Steps run one after the other, so that completions come in order.
  std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) override {
    const auto buffer = static_cast<std::uint32_t>(turn_ % buffers);
    const std::uint64_t collected = this->end_ - this->open();
    if (collected < ends_[buffer]) return 0;
    const auto count =
        static_cast<std::uint32_t>(std::min<std::size_t>(configs.size(), device::graph_steps));
    auto& to = graphs_.buffer(buffer);
    to.first = {ticket, this->end_, 0};
    for (std::uint32_t i = 0; i < count; ++i) to.configs[i].value() = configs[i];
    graphs_.launch(buffer, count);
    this->end_ += count;
    ends_[buffer] = this->end_;
    ++turn_;
    return count;
  }

  detail::StepGraphs<Config, Telemetry, Step> graphs_;
  std::uint64_t ends_[buffers] = {};  ///< place behind the last config of each
  std::uint64_t turn_ = 0;
};

/// The batch road of a step under these options; null if there is none.
template <class Config, class Telemetry, class Step>
std::unique_ptr<BatchRoad<Config, Telemetry>> make_batch_road(const Step& step,
                                                              const ContextOptions& options) {
  if (options.scope == Scope::block) {
    return std::make_unique<BatchLaunch<Config, Telemetry, Step>>(step, options);
  }
  if constexpr (!step_grid_sync<Step>()) {
    return std::make_unique<BatchGraph<Config, Telemetry, Step>>(step, options);
  } else {
    return nullptr;
  }
}

}  // namespace aatgs
