// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace aatgs {

/// Where a slot stands. `uploading` to `downloading` follow from the device's events.
enum class TripleBufferState : std::uint8_t {
  free,
  filling,  ///< lent to the host by `acquire`
  uploading,
  processing,
  downloading,
  ready,    ///< downloaded, not collected
  reading,  ///< lent to the host by `collect`
};
std::string_view to_string(TripleBufferState state);

struct TripleBufferOptions {
  std::string name = "triple buffer";  ///< for messages
  /// 1 to 16. Three keep both copies and the kernel busy while nothing is late. A fourth helps
  /// where the host takes long over filling and reading, and where copies take as long as the
  /// kernel: then three depend on how evenly the bus serves both ways (2.2 and 2.8 times a
  /// sequential step on two hosts with an H200, four slots 2.8 on both). One is sequential.
  unsigned slots = 3;
  std::chrono::nanoseconds deadline = std::chrono::seconds(60);  ///< of the destructor
  bool metrics = false;  ///< sampled latencies of its streams, see `StreamOptions`
};

namespace detail {

/// `GpuTripleBuffer` without its types. Thread-safe.
class TripleBufferCore {
 public:
  TripleBufferCore(std::shared_ptr<StreamDevice> device, TripleBufferOptions options,
                   std::size_t input_bytes, std::size_t output_bytes);
  ~TripleBufferCore();
  TripleBufferCore(const TripleBufferCore&) = delete;
  TripleBufferCore& operator=(const TripleBufferCore&) = delete;

  unsigned acquire(std::chrono::nanoseconds deadline);
  std::optional<unsigned> try_acquire();
  /// The slot stays lent if this throws.
  std::uint64_t submit(unsigned slot, const StreamWork& work);
  unsigned collect(std::chrono::nanoseconds deadline);
  std::optional<unsigned> try_collect();
  void give_back(unsigned slot) noexcept;
  void close(std::chrono::nanoseconds deadline);

  [[nodiscard]] std::vector<TripleBufferState> states() const;
  [[nodiscard]] unsigned in_flight() const;
  [[nodiscard]] const TripleBufferOptions& options() const { return options_; }

  [[nodiscard]] void* host_input(unsigned slot) const { return slots_[slot].host_input; }
  [[nodiscard]] void* device_input(unsigned slot) const { return slots_[slot].device_input; }
  [[nodiscard]] void* device_output(unsigned slot) const { return slots_[slot].device_output; }
  [[nodiscard]] void* host_output(unsigned slot) const { return slots_[slot].host_output; }
  [[nodiscard]] std::uint64_t ticket(unsigned slot) const { return slots_[slot].ticket; }

  /// "triple buffer 'x'" and "..., slot 1 (ready)".
  [[nodiscard]] std::string who() const;
  [[nodiscard]] std::string who(unsigned slot) const;

 private:
  /// What the host knows; between `submitted` and `reading` the events tell the rest. They must not
  /// be asked earlier: until then they still tell of the slot's last round.
  enum class Phase { free, filling, submitting, submitted, claimed, reading, lost };

  struct Slot {
    explicit Slot(const std::shared_ptr<StreamDevice>& device)
        : uploaded(device), processed(device), downloaded(device) {}
    void* host_input = nullptr;
    void* device_input = nullptr;
    void* device_output = nullptr;
    void* host_output = nullptr;
    Event uploaded, processed, downloaded;
    Phase phase = Phase::free;
    std::uint64_t ticket = 0;
    // Of its work, on host threads; written before `processed`, read after `downloaded`.
    std::shared_ptr<std::exception_ptr> error = std::make_shared<std::exception_ptr>();
  };

  void allocate();
  void release_device_sides();
  void release_host_sides() noexcept;
  void require_open() const;
  void enqueue(Slot& slot, const StreamWork& work);
  [[nodiscard]] StreamWork guarded(const Slot& slot, const StreamWork& work);
  void salvage(Slot& slot) noexcept;
  std::optional<unsigned> take_free();
  std::optional<unsigned> claim_oldest();
  unsigned take_output(unsigned slot);
  [[nodiscard]] TripleBufferState state_of(const Slot& slot) const;
  [[nodiscard]] std::string list_states() const;

  std::shared_ptr<StreamDevice> device_;
  TripleBufferOptions options_;
  std::size_t input_bytes_, output_bytes_;
  Stream upload_, compute_, download_;

  std::mutex submitting_;  // the order of tickets is that of the streams
  std::atomic<std::thread::id> submitter_;
  mutable std::mutex mutex_;  // phases and tickets
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::uint64_t tickets_ = 0;
  bool closed_ = false;
  bool abandoned_ = false;  // something still works on the memory: it is never freed
};

}  // namespace detail

}  // namespace aatgs
