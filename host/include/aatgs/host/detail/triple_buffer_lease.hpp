// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/triple_buffer_core.hpp>
#include <aatgs/host/errors.hpp>
#include <memory>
#include <string>
#include <utility>

namespace aatgs {

template <class In, class Out>
class GpuTripleBuffer;

namespace detail {

/// A slot of a triple buffer that is lent to the host, which gives it back at its end. One thread
/// at a time; may outlive the buffer.
class TripleBufferLease {
 public:
  TripleBufferLease() = default;
  TripleBufferLease(std::shared_ptr<TripleBufferCore> core, unsigned slot)
      : core_(std::move(core)), slot_(slot) {}
  TripleBufferLease(TripleBufferLease&& other) noexcept = default;
  TripleBufferLease& operator=(TripleBufferLease&& other) noexcept {
    if (this == &other) return *this;
    give_back();
    core_ = std::move(other.core_);
    slot_ = other.slot_;
    return *this;
  }
  ~TripleBufferLease() { give_back(); }

  [[nodiscard]] bool is_empty() const { return core_ == nullptr; }

 protected:
  template <class In, class Out>
  friend class aatgs::GpuTripleBuffer;

  [[nodiscard]] const TripleBufferCore& core(const char* doing) const {
    if (core_ != nullptr) return *core_;
    throw UseError(std::string(doing) +
                   " a slot of a triple buffer that was submitted, given back or moved from: "
                   "acquire or collect another one");
  }
  void give_back() noexcept {
    if (const auto core = std::exchange(core_, nullptr)) core->give_back(slot_);
  }

  std::shared_ptr<TripleBufferCore> core_;
  unsigned slot_ = 0;
};

}  // namespace detail

}  // namespace aatgs
