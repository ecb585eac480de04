// SPDX-License-Identifier: Apache-2.0
// The classic triple buffer: a stream each for uploads, steps and downloads, tied by events.
#pragma once

#include <deque>

#include "lean_road.cuh"

namespace aatgs::bench {

/// As many buffers as may be in flight. The host polls the downloaded telemetry itself, which is
/// faster than asking for the event behind it.
template <class Step>
class StreamsRoad final : public LeanRoad<Step> {
 public:
  StreamsRoad(const Setup<Step>& setup, unsigned buffers)
      : LeanRoad<Step>(setup, buffers),
        configs_(MemoryKind::mapped, buffers, setup.device),
        device_configs_(MemoryKind::device, buffers, setup.device),
        device_answers_(MemoryKind::device, std::size_t{buffers} * answer_stride, setup.device) {
    for (unsigned i = 0; i < buffers; ++i) {
      uploaded_.emplace_back();
      computed_.emplace_back();
    }
  }

  void submit(const BenchConfig& config) override {
    const std::uint64_t ticket = this->next_++;
    const unsigned slot = this->slot_of(ticket);
    configs_.data()[slot] = config;
    Granule* answer = device_answers_.data() + std::size_t{slot} * answer_stride;
    AATGS_CUDA(cudaMemcpyAsync(device_configs_.data() + slot, configs_.data() + slot,
                               sizeof(BenchConfig), cudaMemcpyHostToDevice, upload_.get()),
               "copying a config to the GPU");
    chain(upload_, uploaded_[slot], compute_);
    launch(this->grid() ? &slot_kernel<Step, true, false> : &slot_kernel<Step, false, false>,
           this->grid() ? this->setup_.blocks : 1, this->setup_.threads, compute_.get(), false,
           device_configs_.data() + slot, this->setup_.step, answer, at_kernel_end,
           this->failed_.data());
    chain(compute_, computed_[slot], download_);
    AATGS_CUDA(cudaMemcpyAsync(this->answer_of(ticket), answer, answer_granules * sizeof(Granule),
                               cudaMemcpyDeviceToHost, download_.get()),
               "copying telemetry from the GPU");
  }

 private:
  static void chain(const Stream& from, const Event& event, const Stream& to) {
    AATGS_CUDA(cudaEventRecord(event.get(), from.get()), "recording an event");
    AATGS_CUDA(cudaStreamWaitEvent(to.get(), event.get(), 0), "waiting for an event");
  }

  Buffer<BenchConfig> configs_;
  Buffer<BenchConfig> device_configs_;
  Buffer<Granule> device_answers_;
  std::deque<Event> uploaded_;
  std::deque<Event> computed_;
  Stream upload_;
  Stream compute_;
  Stream download_;
};

}  // namespace aatgs::bench
