// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace aatgs {

/// What one SM has, or has left.
struct SmRoom {
  std::uint32_t blocks = 0;
  std::uint32_t threads = 0;
  std::uint32_t registers = 0;
  std::size_t shared_bytes = 0;
};

/// A resident kernel as it lies on a GPU.
struct ResidentKernel {
  int device = 0;
  std::uint32_t blocks = 0;  ///< all of them at once
  SmRoom block;              ///< what one block takes; `block.blocks` is 1
  bool parks = true;         ///< leaves by itself when idle
};

/// How resident kernels can share a GPU.
enum class Sharing {
  together,  ///< all fit at once
  in_turns,  ///< some start only when others have parked
  never,     ///< one that never parks keeps another out for ever
};

/// How `all` share `sms` SMs of the given room. Blocks are laid out as a GPU spreads a grid, each
/// on the SM with most room; a real GPU may have laid them out worse, which shows only after the
/// launch (`describe_late_start`).
Sharing sharing_of(const std::vector<ResidentKernel>& all, std::uint32_t sms, const SmRoom& room);

class ResidentRegistry;

/// A resident kernel's entry in the registry; ends with this object. The registry must live longer.
class ResidentLease {
 public:
  ResidentLease() = default;
  ~ResidentLease() { release(); }
  ResidentLease(ResidentLease&& other) noexcept
      : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}
  ResidentLease& operator=(ResidentLease&& other) noexcept;

  /// The other kernels on its device.
  [[nodiscard]] std::vector<ResidentKernel> others() const;

  /// The kernel could not be ended: it counts from now on, until the process ends, as one that
  /// never parks.
  void abandon() noexcept;

 private:
  friend class ResidentRegistry;
  ResidentLease(ResidentRegistry& registry, std::uint64_t id) : registry_(&registry), id_(id) {}
  void release() noexcept;

  ResidentRegistry* registry_ = nullptr;  // null: holds nothing
  std::uint64_t id_ = 0;
};

/// The resident kernels that contexts have on GPUs. Thread-safe.
class ResidentRegistry {
 public:
  ResidentRegistry() = default;
  ResidentRegistry(const ResidentRegistry&) = delete;
  ResidentRegistry& operator=(const ResidentRegistry&) = delete;

  /// The one that all contexts of this process share.
  static ResidentRegistry& of_process();

  /// Calls `check` with the kernels on the same device; unless it throws, enters `kernel`. No other
  /// kernel enters in between.
  [[nodiscard]] ResidentLease enter(
      const ResidentKernel& kernel,
      const std::function<void(const std::vector<ResidentKernel>&)>& check);

  [[nodiscard]] std::vector<ResidentKernel> on(int device) const;

 private:
  friend class ResidentLease;
  static constexpr std::uint64_t nobody = ~std::uint64_t{0};
  // Needs the lock.
  [[nodiscard]] std::vector<ResidentKernel> list(int device, std::uint64_t without = nobody) const;

  mutable std::mutex mutex_;
  std::map<std::uint64_t, ResidentKernel> kernels_;
  std::uint64_t next_id_ = 0;
};

}  // namespace aatgs
