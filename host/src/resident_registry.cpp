// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/resident_registry.hpp>
#include <algorithm>

namespace aatgs {

namespace {

bool fits(const SmRoom& room, const SmRoom& block) {
  return room.blocks >= block.blocks && room.threads >= block.threads &&
         room.registers >= block.registers && room.shared_bytes >= block.shared_bytes;
}

void take(SmRoom& room, const SmRoom& block) {
  room.blocks -= block.blocks;
  room.threads -= block.threads;
  room.registers -= block.registers;
  room.shared_bytes -= block.shared_bytes;
}

/// Places all blocks, or says that they do not fit.
bool place(std::vector<SmRoom>& sms, const ResidentKernel& kernel) {
  for (std::uint32_t i = 0; i < kernel.blocks; ++i) {
    SmRoom* best = nullptr;
    for (SmRoom& sm : sms) {
      if (fits(sm, kernel.block) && (best == nullptr || sm.threads > best->threads)) best = &sm;
    }
    if (best == nullptr) return false;
    take(*best, kernel.block);
  }
  return true;
}

}  // namespace

Sharing sharing_of(const std::vector<ResidentKernel>& all, std::uint32_t sms, const SmRoom& room) {
  std::vector<SmRoom> held(sms, room);  // what those that never park leave
  for (const ResidentKernel& kernel : all) {
    if (!kernel.parks && !place(held, kernel)) return Sharing::never;
  }
  std::vector<SmRoom> shared = held;
  bool together = true;
  for (const ResidentKernel& kernel : all) {
    if (!kernel.parks) continue;
    std::vector<SmRoom> turn = held;
    if (!place(turn, kernel)) return Sharing::never;
    together = together && place(shared, kernel);
  }
  return together ? Sharing::together : Sharing::in_turns;
}

ResidentLease& ResidentLease::operator=(ResidentLease&& other) noexcept {
  if (this == &other) return *this;
  release();
  registry_ = std::exchange(other.registry_, nullptr);
  id_ = other.id_;
  return *this;
}

std::vector<ResidentKernel> ResidentLease::others() const {
  if (registry_ == nullptr) return {};
  const std::lock_guard lock(registry_->mutex_);
  return registry_->list(registry_->kernels_.find(id_)->second.device, id_);
}

void ResidentLease::abandon() noexcept {
  if (registry_ == nullptr) return;
  const std::lock_guard lock(registry_->mutex_);
  registry_->kernels_.find(id_)->second.parks = false;
  registry_ = nullptr;
}

void ResidentLease::release() noexcept {
  if (registry_ == nullptr) return;
  const std::lock_guard lock(registry_->mutex_);
  registry_->kernels_.erase(id_);
  registry_ = nullptr;
}

ResidentRegistry& ResidentRegistry::of_process() {
  // The only state of its kind: which kernels hold a GPU is a fact of the whole process, and
  // contexts that know nothing of each other have to see it. A context made before main ends after
  // this, since its constructor came here first.
  static ResidentRegistry registry;
  return registry;
}

ResidentLease ResidentRegistry::enter(
    const ResidentKernel& kernel,
    const std::function<void(const std::vector<ResidentKernel>&)>& check) {
  const std::lock_guard lock(mutex_);
  check(list(kernel.device));
  kernels_.emplace(next_id_, kernel);
  return {*this, next_id_++};
}

std::vector<ResidentKernel> ResidentRegistry::on(int device) const {
  const std::lock_guard lock(mutex_);
  return list(device);
}

std::vector<ResidentKernel> ResidentRegistry::list(int device, std::uint64_t without) const {
  std::vector<ResidentKernel> found;
  for (const auto& [id, kernel] : kernels_) {
    if (kernel.device == device && id != without) found.push_back(kernel);
  }
  return found;
}

}  // namespace aatgs
