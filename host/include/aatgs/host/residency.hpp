// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/resident_memory.hpp>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>

namespace aatgs {

/// The workers at the other end of the rings: a resident kernel or CPU threads. Owns the memory
/// that both sides share. Shared by the executors of all ports, each with a thread of its own:
/// everything here can be called from any thread.
class Residency {
 public:
  explicit Residency(std::unique_ptr<ResidentMemory> memory) : memory_(std::move(memory)) {}
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;
  virtual ~Residency() = default;

  [[nodiscard]] const ResidentMemory& memory() const { return *memory_; }

  /// Brings the workers back if they have parked.
  virtual void revive() {}
  [[nodiscard]] virtual std::uint64_t parks() const { return 0; }
  /// Leaves the GPU at the next moment without work, until `revive`. False: not within the
  /// deadline.
  virtual bool park(std::chrono::nanoseconds) { return true; }
  /// Blocks or threads that run steps, of all ports.
  [[nodiscard]] virtual std::uint32_t workers() const = 0;
  /// Configs of one port that can run at once.
  [[nodiscard]] virtual std::uint32_t workers_of_port() const = 0;
  [[nodiscard]] virtual std::string description() const = 0;
  /// Throws `DeviceError` if the GPU has failed, `TimeoutError` if the workers do not even start.
  virtual void check() {}

  /// Makes the workers leave; false: they did not within the deadline. The second time it only
  /// waits.
  bool stop(Command command, std::chrono::nanoseconds deadline) {
    has_ended_.store(true, std::memory_order_relaxed);
    return make_leave(command, deadline);
  }
  /// Tells the workers to leave and waits for nothing.
  void request_abort() {
    has_ended_.store(true, std::memory_order_relaxed);
    order_abort();
  }
  /// Whether either has been called, perhaps through another port.
  [[nodiscard]] bool has_ended() const { return has_ended_.load(std::memory_order_relaxed); }

 protected:
  virtual bool make_leave(Command command, std::chrono::nanoseconds deadline) = 0;
  virtual void order_abort() {
    store_shared(&memory().control().command, static_cast<std::uint32_t>(Command::abort));
  }
  /// Leaves the memory to workers that could not be ended, for as long as the process lasts.
  void abandon_memory() { (void)memory_.release(); }

 private:
  std::unique_ptr<ResidentMemory> memory_;
  std::atomic<bool> has_ended_ = false;
};

}  // namespace aatgs
