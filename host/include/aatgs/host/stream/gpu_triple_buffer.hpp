// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/triple_buffer_lease.hpp>
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

namespace aatgs {

/// Uploads, runs and downloads steps that do not depend on each other, each of these three in a
/// stream of its own, so that upload k + 1, work k and download k - 1 run at once:
///
///     auto slot = buffer.acquire();            // waits for a free slot
///     fill(slot.input());                      // pinned host memory
///     buffer.submit(std::move(slot), work);    // does not wait; work(target, input, output)
///     if (buffer.in_flight() == 3) {
///       const auto output = buffer.collect();  // the oldest; its slot is free at the end of this
///       use(output.values());
///     }
///
/// A slot goes free -> filling -> uploading -> processing -> downloading -> ready -> reading ->
/// free. Memory starts as zeros. Thread-safe; a `Slot` and an `Output` belong to one thread each,
/// and may outlive the buffer. `UseError` (wrong state, too small, closed) and other errors name
/// the buffer, the slot and its state. A work that throws costs its own step alone: on a GPU it
/// throws from `submit`, and the slot stays with the caller; on host threads from the `collect` of
/// its ticket, and the slot is free again.
template <class In, class Out = In>
class GpuTripleBuffer {
  static_assert(std::is_trivially_copyable_v<In> && std::is_trivially_copyable_v<Out>,
                "AATGS: a GpuTripleBuffer holds trivially copyable values");
  using Core = detail::TripleBufferCore;
  using Lease = detail::TripleBufferLease;

 public:
  /// A free slot to be filled; free again at its end if it was not submitted.
  class Slot : public Lease {
   public:
    Slot() = default;
    [[nodiscard]] std::span<In> input() {
      return {static_cast<In*>(core("filling").host_input(slot_)), inputs_};
    }
    /// Copies `values` to the front of the input; `UseError` if they are too many.
    void fill(std::span<const In> values) {
      const std::span<In> into = input();
      require(core("filling"), slot_, values.size(), into.size(), "input");
      std::copy(values.begin(), values.end(), into.begin());
    }

   private:
    friend class GpuTripleBuffer;
    Slot(std::shared_ptr<Core> core, unsigned slot, std::size_t inputs)
        : Lease(std::move(core), slot), inputs_(inputs) {}
    std::size_t inputs_ = 0;
  };

  /// What a step has given; its slot is free again at its end.
  class Output : public Lease {
   public:
    Output() = default;
    [[nodiscard]] std::span<const Out> values() const {
      return {static_cast<const Out*>(core("reading").host_output(slot_)), outputs_};
    }
    [[nodiscard]] std::uint64_t ticket() const { return core("reading").ticket(slot_); }
    /// Copies all values; `UseError` if `into` is too small.
    void copy_to(std::span<Out> into) const {
      const std::span<const Out> from = values();
      require(core("reading"), slot_, from.size(), into.size(), "target of its output");
      std::copy(from.begin(), from.end(), into.begin());
    }

   private:
    friend class GpuTripleBuffer;
    Output(std::shared_ptr<Core> core, unsigned slot, std::size_t outputs)
        : Lease(std::move(core), slot), outputs_(outputs) {}
    std::size_t outputs_ = 0;
  };

  /// `inputs` values up and `outputs` values down with each step. Throws `OptionError`,
  /// `DeviceError`.
  GpuTripleBuffer(std::shared_ptr<StreamDevice> device, std::size_t inputs, std::size_t outputs,
                  TripleBufferOptions options = {})
      : inputs_(inputs),
        outputs_(outputs),
        core_(std::make_shared<Core>(std::move(device), options, bytes_of<In>(inputs, options),
                                     bytes_of<Out>(outputs, options))) {}
  ~GpuTripleBuffer() {  // waits, `deadline` at most
    try {
      close(core_->options().deadline);
    } catch (...) {  // nobody is left to be told
    }
  }
  GpuTripleBuffer(const GpuTripleBuffer&) = delete;
  GpuTripleBuffer& operator=(const GpuTripleBuffer&) = delete;

  /// Waits for a free slot; `TimeoutError` tells where all of them stand.
  [[nodiscard]] Slot acquire(std::chrono::nanoseconds deadline = std::chrono::seconds(60)) {
    return slot(core_->acquire(deadline));
  }
  [[nodiscard]] Slot try_acquire() {  ///< empty: none is free
    const auto found = core_->try_acquire();
    return found ? slot(*found) : Slot();
  }

  /// Queues upload, `work(StreamTarget, In* input, Out* output)` on the device's sides, and
  /// download. Returns the ticket: 1, 2, 3...
  template <class Work>
  std::uint64_t submit(Slot&& slot, Work work) {
    if (slot.core_ != core_) {
      throw UseError(slot.core("submitting").who(slot.slot_) + " is submitted to " + core_->who() +
                     ": submit it to the buffer that lent it");
    }
    auto* input = static_cast<In*>(core_->device_input(slot.slot_));
    auto* output = static_cast<Out*>(core_->device_output(slot.slot_));
    const std::uint64_t ticket = core_->submit(
        slot.slot_, [work = std::move(work), input, output](StreamTarget target) mutable {
          work(target, input, output);
        });
    slot.core_ = nullptr;  // the buffer has it now
    return ticket;
  }

  /// The output of the oldest step that nobody has collected; waits until it is there, also until
  /// another thread submits one.
  [[nodiscard]] Output collect(std::chrono::nanoseconds deadline = std::chrono::seconds(60)) {
    return output(core_->collect(deadline));
  }
  [[nodiscard]] Output try_collect() {  ///< empty: the oldest is not ready
    const auto found = core_->try_collect();
    return found ? output(*found) : Output();
  }

  /// Submitted and not collected.
  [[nodiscard]] unsigned in_flight() const { return core_->in_flight(); }
  [[nodiscard]] std::vector<TripleBufferState> states() const { return core_->states(); }
  /// Waits for what was submitted and frees all but what is lent. Other calls throw from now on.
  /// After a `TimeoutError` the memory is left to the work that still runs.
  void close(std::chrono::nanoseconds deadline = std::chrono::seconds(60)) {
    core_->close(deadline);
  }

 private:
  template <class T>
  static std::size_t bytes_of(std::size_t count, const TripleBufferOptions& options) {
    constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T);
    if (count <= most) return count * sizeof(T);
    throw OptionError("triple buffer '" + options.name + "': " + std::to_string(count) +
                      " elements of " + std::to_string(sizeof(T)) + " bytes: at most " +
                      std::to_string(most) + " can be had");
  }
  static void require(const Core& core, unsigned slot, std::size_t count, std::size_t room,
                      const char* what) {
    if (count <= room) return;
    throw UseError(core.who(slot) + ": " + std::to_string(count) + " elements into its " + what +
                   " of " + std::to_string(room) + ": make that larger, or give fewer");
  }
  Slot slot(unsigned index) { return {core_, index, inputs_}; }
  Output output(unsigned index) { return {core_, index, outputs_}; }

  std::size_t inputs_, outputs_;
  std::shared_ptr<Core> core_;
};

}  // namespace aatgs
