// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/batch_graph.cuh>
#include <aatgs/host/batch_choice.hpp>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/capture_graph.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/detail/waiter.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/resident_memory.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace aatgs {

/// What the batch roads share: a stream, and a ring of completions that the host polls. The ring
/// has tickets of its own ("places"), since other executors run configs between two batches.
template <class Config, class Telemetry>
class PolledBatchRoad : public BatchRoad<Config, Telemetry> {
 public:
  using Record = CompletionRecord<Telemetry>;

  ~PolledBatchRoad() override {
    if (end()) return;
    memory_.abandon();
    control_.abandon();
    orders_.abandon();
    state_.abandon();
    cells_.abandon();
    stream_.abandon();
  }

  void run(std::uint64_t first_ticket, std::span<const Config> configs,
           std::span<Completion<Telemetry>> results) override {
    const std::uint64_t first_place = end_;
    const std::uint64_t shift = first_ticket - first_place;
    detail::Waiter waiter(std::chrono::nanoseconds::max());
    std::size_t queued = 0;
    std::size_t collected = 0;
    while (collected < configs.size()) {
      std::size_t started = 0;
      if (queued < configs.size()) {
        started = launch_some(first_ticket + queued, configs.subspan(queued));
        queued += started;
      }
      const std::size_t found = reader_.read_into(first_place, end_, results, shift);
      collected += found;
      if (started == 0 && found == 0) waiter.again([this] { check(); });
    }
  }

  /// Throws `DeviceError` if the GPU has failed.
  void check() {
    const cudaError_t error = cudaStreamQuery(stream_.get());
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    detail::throw_cuda_error(error, "running a batch" + describe(control_.data()->hang));
  }

 protected:
  PolledBatchRoad(const ContextOptions& options, std::uint32_t slots, std::uint32_t blocks)
      : slots_(slots),
        stream_(options.device, "making a stream for batches"),
        memory_(MemoryKind::device, ring_options(options, slots),
                MessageSizes{1, MessageBuffer<Record>::granules}, 1),
        reader_(memory_.port().telemetry, 0, slots),
        control_(MemoryKind::mapped, 1, options.device),
        orders_(MemoryKind::mapped, 1, options.device),
        state_(MemoryKind::device, 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{blocks}, options.device) {
    args_ = {memory_.port().telemetry,
             control_.data(),
             orders_.data(),
             state_.data(),
             cells_.data(),
             static_cast<std::uint64_t>(options.step_deadline.count())};
  }

  /// Waits for what is at work, the first time. False: not for ever, and it hangs; its memory is to
  /// be abandoned. For destructors.
  [[nodiscard]] bool end() {
    const auto patience = std::chrono::seconds(is_stuck_ ? 0 : 10);
    const auto begin = std::chrono::steady_clock::now();
    is_stuck_ = false;
    while (!is_stuck_ && cudaStreamQuery(stream_.get()) == cudaErrorNotReady) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      is_stuck_ = std::chrono::steady_clock::now() - begin > patience;
    }
    return !is_stuck_;
  }

  /// Starts some of these configs at the place `end_`; how many, 0 if there is no room yet.
  virtual std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) = 0;

  /// Configs started and not collected.
  [[nodiscard]] std::uint64_t open() const { return end_ - reader_.collected_count(); }

  /// Whether a kernel may begin while the one before it runs; since compute capability 9.
  static bool has_dependent_launch(int device) {
    int major = 0;
    AATGS_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
               "asking for the compute capability");
    return major >= 9;
  }

  /// Puts a kernel into the stream. `dependent`: it may begin while the one before it runs.
  [[nodiscard]] cudaError_t launch(const void* kernel, std::uint32_t blocks,
                                   const KernelShape& shape, bool dependent, void** arguments) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(shape.threads);
    config.dynamicSmemBytes = shape.scratch_bytes;
    config.stream = stream_.get();
    config.attrs = &attribute;
    config.numAttrs = dependent ? 1 : 0;
    return cudaLaunchKernelExC(&config, kernel, arguments);
  }

  std::uint32_t slots_;
  device::QueuedArgs args_{};
  detail::StreamHandle stream_;
  std::uint64_t end_ = 0;  ///< place of the next config

 private:
  static ContextOptions ring_options(ContextOptions options, std::uint32_t slots) {
    options.config_slots = 1;
    options.telemetry_slots = slots;
    options.first_ticket = 0;
    options.telemetry_policy = TelemetryPolicy::block;  // all are collected here
    return options;
  }

  PortMemory memory_;
  CompletionReader<Telemetry> reader_;
  Buffer<ControlBlock> control_;
  Buffer<ResidentState> orders_;
  Buffer<ResidentState> state_;
  Buffer<device::GridCell> cells_;
  bool is_stuck_ = false;
};

/// Block scope: launches with a block for each config, which it reads from mapped memory. A large
/// batch goes in two, so that the GPU begins with the first half while the host copies the second;
/// by programmatic dependent launch, so that the second need not wait for the first half's end. One
/// that is larger than the ring does so again each time that the ring is empty.
template <class Config, class Telemetry, class Step>
class BatchLaunch final : public PolledBatchRoad<Config, Telemetry> {
 public:
  BatchLaunch(const Step& step, const ContextOptions& options)
      : PolledBatchRoad<Config, Telemetry>(options, options.telemetry_slots, 1),
        step_(step),
        shape_(size_kernel(kernel(), options.device, step_block_threads<Step>(),
                           step_scratch_bytes(step), 1, false, 0)),
        splits_(this->has_dependent_launch(options.device)),
        configs_(MemoryKind::mapped, options.telemetry_slots, options.device) {}

  ~BatchLaunch() override {
    if (!this->end()) configs_.abandon();
  }

  [[nodiscard]] std::string name() const override {
    return splits_ ? "one launch or two" : "one launch";
  }

 private:
  /// From so many configs on a second launch (2.2 us) costs less than the wait that it saves: the
  /// first answer comes 6 us after a launch, in which the host collects 200.
  static constexpr std::size_t worth_two = 256;

  static auto kernel() { return &device::batch_block_kernel<Step, Config, Telemetry>; }

  /// Of so many that no cache line has configs of both: the GPU may hold those of the first.
  static std::size_t half_of(std::size_t count) { return (count / 2 + 7) / 8 * 8; }

  std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) override {
    if (this->open() == 0) used_ = 0;
    const bool is_first = used_ == 0;
    std::size_t count = std::min<std::size_t>(configs.size(), this->slots_ - used_);
    if (count == 0) return 0;
    if (is_first && splits_ && count >= worth_two) count = half_of(count);
    const MessageBuffer<Config>* from = configs_.data() + used_;
    for (std::size_t i = 0; i < count; ++i) configs_.data()[used_ + i].value() = configs[i];
    device::QueuedTicket first{ticket, this->end_, 0};
    void* arguments[] = {&this->args_, &step_, &from, &first};
    AATGS_CUDA(this->launch(reinterpret_cast<const void*>(kernel()),
                            static_cast<std::uint32_t>(count), shape_, !is_first, arguments),
               "launching a batch of " + std::to_string(count) + " configs");
    used_ += count;
    this->end_ += count;
    return count;
  }

  Step step_;
  KernelShape shape_;
  bool splits_;
  Buffer<MessageBuffer<Config>> configs_;
  std::size_t used_ = 0;  ///< of `configs_`, since the ring was last empty
};

/// Grid scope, for steps that say `grid_sync = false`: CUDA graphs of up to `graph_steps` steps,
/// several of them on their way, with programmatic dependent launch where the GPU has it.
template <class Config, class Telemetry, class Step>
class BatchGraph final : public PolledBatchRoad<Config, Telemetry> {
 public:
  using Configs = device::GraphConfigs<Config>;
  using Draft = device::StepDraft<CompletionRecord<Telemetry>>;

  BatchGraph(const Step& step, const ContextOptions& options)
      : BatchGraph(step, options,
                   size_kernel(kernel(), options.device, step_block_threads<Step>(),
                               step_scratch_bytes(step), options.workers, true, 0)) {}
  ~BatchGraph() override {
    if (this->end()) {
      for (const auto& [key, graph] : graphs_) cudaGraphExecDestroy(graph);
      return;
    }
    pinned_.abandon();
    device_.abandon();
    drafts_.abandon();
  }

  [[nodiscard]] std::string name() const override {
    return programmatic_ ? "a graph with dependent launch" : "a graph";
  }

 private:
  static constexpr std::uint32_t instances = 4;  ///< graphs on their way
  static constexpr std::uint32_t ring_slots = 512;
  static_assert(ring_slots >= instances * device::graph_steps);

  BatchGraph(const Step& step, const ContextOptions& options, const KernelShape& shape)
      : PolledBatchRoad<Config, Telemetry>(options, ring_slots, shape.blocks),
        step_(step),
        shape_(shape),
        programmatic_(this->has_dependent_launch(options.device)),
        pinned_(MemoryKind::mapped, instances, options.device),
        device_(MemoryKind::device, instances, options.device),
        drafts_(MemoryKind::device, device::graph_steps, options.device) {}

  static auto kernel() { return &device::batch_graph_kernel<Step, Config, Telemetry>; }
  static auto publisher() { return &device::publish_graph_kernel<Config, Telemetry>; }

  /// Steps run one after the other, so that completions come in order.
  std::size_t launch_some(std::uint64_t ticket, std::span<const Config> configs) override {
    const std::uint32_t instance = static_cast<std::uint32_t>(launches_ % instances);
    const std::uint64_t collected = this->end_ - this->open();
    if (collected < ends_[instance]) return 0;
    const auto count =
        static_cast<std::uint32_t>(std::min<std::size_t>(configs.size(), device::graph_steps));
    Configs& to = pinned_.data()[instance];
    to.first = {ticket, this->end_, 0};
    for (std::uint32_t i = 0; i < count; ++i) to.configs[i].value() = configs[i];
    cudaGraphExec_t& graph = graphs_[{instance, count}];
    if (graph == nullptr) {
      graph = detail::capture_graph(this->stream_.get(), "a graph of steps",
                                    [this, instance, count] { enqueue(instance, count); });
    }
    AATGS_CUDA(cudaGraphLaunch(graph, this->stream_.get()), "launching a graph of steps");
    this->end_ += count;
    ends_[instance] = this->end_;
    ++launches_;
    return count;
  }

  void enqueue(std::uint32_t instance, std::uint32_t count) {
    const Configs* from = device_.data() + instance;
    AATGS_CUDA(cudaMemcpyAsync(device_.data() + instance, pinned_.data() + instance,
                               offsetof(Configs, configs) + count * sizeof(from->configs[0]),
                               cudaMemcpyHostToDevice, this->stream_.get()),
               "capturing the copy of the configs");
    Draft* drafts = drafts_.data();
    for (std::uint32_t i = 0; i < count; ++i) {
      void* arguments[] = {&this->args_, &step_, &from, &i, &drafts};
      const bool dependent = programmatic_ && i > 0;  // only between two kernels
      AATGS_CUDA(this->launch(reinterpret_cast<const void*>(kernel()), shape_.blocks, shape_,
                              dependent, arguments),
                 "capturing a step");
    }
    void* arguments[] = {&this->args_, &from, &drafts};
    AATGS_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(publisher()), dim3(count), dim3(32),
                                arguments, 0, this->stream_.get()),
               "capturing the end of a graph");
  }

  Step step_;
  KernelShape shape_;
  bool programmatic_;
  Buffer<Configs> pinned_;
  Buffer<Configs> device_;
  Buffer<Draft> drafts_;  ///< of the graph that runs
  std::map<std::pair<std::uint32_t, std::uint32_t>, cudaGraphExec_t> graphs_;  ///< by length too
  std::uint64_t ends_[instances] = {};  ///< place behind the last config of each
  std::uint64_t launches_ = 0;
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
