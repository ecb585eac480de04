// SPDX-License-Identifier: Apache-2.0
// Plain launches: configs by value, the host polls.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "lean_road.cuh"

namespace aatgs::bench {

/// One launch for each bundle of N configs, which travel as its parameters; N is 1 in grid scope.
/// `in_flight` launches at once: on streams of their own if there are several `streams`, else one
/// after the other, where programmatic dependent launch may let them overlap.
template <class Step, unsigned N>
class ValueRoad final : public LeanRoad<Step> {
 public:
  ValueRoad(const Setup<Step>& setup, unsigned in_flight, unsigned streams, bool programmatic)
      : LeanRoad<Step>(setup, in_flight * N), programmatic_(programmatic) {
    for (unsigned i = 0; i < streams; ++i) streams_.emplace_back();
    if constexpr (N == 1) {
      if (this->grid()) {
        kernel_ =
            programmatic ? &value_kernel<Step, true, 1, true> : &value_kernel<Step, true, 1, false>;
      } else if (programmatic) {
        kernel_ = &value_kernel<Step, false, 1, true>;
      }
    }
    if (kernel_ == nullptr) kernel_ = &value_kernel<Step, false, N, false>;
  }

  void submit(const BenchConfig& config) override {
    const std::uint64_t ticket = this->next_++;
    bundle_.configs[ticket % N] = config;
    if (ticket % N != N - 1) return;
    const std::uint64_t first = ticket + 1 - N;
    launch(kernel_, this->grid() ? this->setup_.blocks : N, this->setup_.threads,
           streams_[ticket / N % streams_.size()].get(), programmatic_, bundle_, this->setup_.step,
           this->answer_of(first), this->end_of(first), this->failed_.data());
  }

 private:
  using Kernel = void (*)(ConfigBundle<N>, Step, Granule*, GridEnd*, std::uint32_t*);

  bool programmatic_;
  Kernel kernel_ = nullptr;
  ConfigBundle<N> bundle_{};
  std::deque<Stream> streams_;
};

/// The hardware's queues; more streams would wait for each other. See CUDA_DEVICE_MAX_CONNECTIONS.
inline constexpr unsigned most_streams = 32;

/// As many configs to a launch as `bundle` says, for those numbers that the classes need.
template <class Step>
std::unique_ptr<BenchRoad> make_value_bundles(const Setup<Step>& setup, unsigned bundle,
                                              unsigned in_flight) {
  const unsigned streams = std::min(in_flight, most_streams);
  switch (bundle) {
    case 1:
      return std::make_unique<ValueRoad<Step, 1>>(setup, in_flight, streams, false);
    case 2:
      return std::make_unique<ValueRoad<Step, 2>>(setup, in_flight, streams, false);
    case 4:
      return std::make_unique<ValueRoad<Step, 4>>(setup, in_flight, streams, false);
    case 8:
      return std::make_unique<ValueRoad<Step, 8>>(setup, in_flight, streams, false);
    case 16:
      return std::make_unique<ValueRoad<Step, 16>>(setup, in_flight, streams, false);
    case 32:
      return std::make_unique<ValueRoad<Step, 32>>(setup, in_flight, streams, false);
    case 64:
      return std::make_unique<ValueRoad<Step, 64>>(setup, in_flight, streams, false);
  }
  throw Error("no kernel for " + std::to_string(bundle) + " configs in one launch");
}

/// Block scope: one launch for each bundle of configs in pinned memory, read from there by the
/// blocks, or (`copy`) copied to the GPU before and telemetry back after.
template <class Step>
class BundleRoad final : public LeanRoad<Step> {
 public:
  BundleRoad(const Setup<Step>& setup, unsigned bundle, unsigned in_flight, bool copy)
      : LeanRoad<Step>(setup, bundle * in_flight),
        bundle_(bundle),
        copy_(copy),
        configs_(MemoryKind::mapped, this->slots_, setup.device),
        device_configs_(MemoryKind::device, copy ? this->slots_ : 1, setup.device),
        device_answers_(MemoryKind::device, copy ? this->slots_ * answer_stride : 1, setup.device) {
    for (unsigned i = 0; i < in_flight; ++i) streams_.emplace_back();
  }

  void submit(const BenchConfig& config) override {
    const std::uint64_t ticket = this->next_++;
    configs_.data()[this->slot_of(ticket)] = config;
    if ((ticket + 1) % bundle_ != 0) return;
    const unsigned slot = this->slot_of(ticket + 1 - bundle_);
    const std::size_t answer = std::size_t{slot} * answer_stride;
    cudaStream_t stream = streams_[slot / bundle_].get();
    if (copy_) {
      AATGS_CUDA(cudaMemcpyAsync(device_configs_.data() + slot, configs_.data() + slot,
                                 bundle_ * sizeof(BenchConfig), cudaMemcpyHostToDevice, stream),
                 "copying configs to the GPU");
    }
    launch(&slot_kernel<Step, false, false>, bundle_, this->setup_.threads, stream, false,
           (copy_ ? device_configs_ : configs_).data() + slot, this->setup_.step,
           (copy_ ? device_answers_ : this->answers_).data() + answer, at_kernel_end,
           this->failed_.data());
    if (copy_) {
      AATGS_CUDA(cudaMemcpyAsync(this->answers_.data() + answer, device_answers_.data() + answer,
                                 bundle_ * answer_stride * sizeof(Granule), cudaMemcpyDeviceToHost,
                                 stream),
                 "copying telemetry from the GPU");
    }
  }

 private:
  unsigned bundle_;
  bool copy_;
  Buffer<BenchConfig> configs_;
  Buffer<BenchConfig> device_configs_;
  Buffer<Granule> device_answers_;
  std::deque<Stream> streams_;
};

}  // namespace aatgs::bench
