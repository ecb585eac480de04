// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/queued_launch.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/resident_memory.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace aatgs::detail {

/// What kernels without a barrier need whose completions the host polls: a stream, and a ring of
/// telemetry in which nothing is lost. One thread at a time.
template <class Telemetry>
class PolledLaunches {
 public:
  using Record = CompletionRecord<Telemetry>;

  /// The ring has so many `slots`, and `first_ticket` comes first; `running`: how many configs may
  /// be done in another order than they were launched in.
  PolledLaunches(const ContextOptions& options, std::uint32_t slots, std::uint64_t first_ticket,
                 std::uint32_t running)
      : device_(options.device),
        stream_(options.device, "making a stream for launches"),
        memory_(MemoryKind::device, ring_options(options, slots, first_ticket),
                MessageSizes{1, MessageBuffer<Record>::granules}, 1),
        reader_(memory_.port().telemetry, first_ticket, running),
        control_(MemoryKind::mapped, 1, options.device),
        orders_(MemoryKind::mapped, 1, options.device) {
    args_.telemetry = memory_.port().telemetry;
    args_.control = control_.data();
    args_.orders = orders_.data();
    args_.step_deadline_ns = static_cast<std::uint64_t>(options.step_deadline.count());
  }

  ~PolledLaunches() {
    if (has_ended(std::chrono::seconds(10))) return;
    memory_.abandon();
    control_.abandon();
    orders_.abandon();
    stream_.abandon();
  }

  PolledLaunches(const PolledLaunches&) = delete;
  PolledLaunches& operator=(const PolledLaunches&) = delete;

  [[nodiscard]] device::QueuedArgs& args() { return args_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
  [[nodiscard]] CompletionReader<Telemetry>& reader() { return reader_; }
  [[nodiscard]] const CompletionReader<Telemetry>& reader() const { return reader_; }

  [[nodiscard]] bool has_dependent_launch(const void* kernel) const {
    return aatgs::has_dependent_launch(device_, kernel);
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

  /// Steps hear of it that ask `stop_requested`. From any thread.
  void request_abort() {
    store_shared(&orders_.data()->order, static_cast<std::uint32_t>(Command::abort));
  }

  /// Where a wait of the device was given up, as a sentence that follows another; or nothing.
  [[nodiscard]] std::string wedged() const { return describe(control_.data()->hang); }

  /// Throws `DeviceError` if the GPU has failed. `what` was tried: "running a batch".
  void check(const std::string& what) const {
    const cudaError_t error = cudaStreamQuery(stream_.get());
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    throw_cuda_error(error, what + wedged());
  }

  /// Whether all that was launched ends in time. Once it has not, this waits no more, and all
  /// memory that kernels use is to be abandoned. For destructors.
  [[nodiscard]] bool has_ended(std::chrono::nanoseconds patience) {
    if (is_stuck_) patience = std::chrono::nanoseconds(0);
    const auto begin = std::chrono::steady_clock::now();
    while (cudaStreamQuery(stream_.get()) == cudaErrorNotReady) {
      is_stuck_ = std::chrono::steady_clock::now() - begin > patience;
      if (is_stuck_) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    is_stuck_ = false;
    return true;
  }

 private:
  static ContextOptions ring_options(ContextOptions options, std::uint32_t slots,
                                     std::uint64_t first_ticket) {
    options.config_slots = 1;
    options.telemetry_slots = slots;
    options.first_ticket = first_ticket;
    options.telemetry_policy = TelemetryPolicy::block;
    return options;
  }

  int device_;
  StreamHandle stream_;
  PortMemory memory_;
  CompletionReader<Telemetry> reader_;
  Buffer<ControlBlock> control_;
  Buffer<ResidentState> orders_;
  device::QueuedArgs args_{};
  bool is_stuck_ = false;
};

}  // namespace aatgs::detail
