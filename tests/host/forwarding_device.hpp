// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>

namespace aatgs::test {

/// Host threads, for tests to change a function of: failures, and what only GPUs do.
class ForwardingDevice : public StreamDevice {
 public:
  bool is_gpu() const override { return to_->is_gpu(); }
  int ordinal() const override { return to_->ordinal(); }
  std::string name() const override { return "forwarded " + to_->name(); }
  int priority_levels() const override { return to_->priority_levels(); }
  void* make_stream(StreamPriority priority) override { return to_->make_stream(priority); }
  void destroy_stream(void* stream) noexcept override { to_->destroy_stream(stream); }
  std::uint64_t stream_id(void* stream) const override { return to_->stream_id(stream); }
  void* make_event(bool timed) override { return to_->make_event(timed); }
  void destroy_event(void* event) noexcept override { to_->destroy_event(event); }
  void copy(void* stream, void* to, const void* from, std::size_t bytes) override {
    to_->copy(stream, to, from, bytes);
  }
  void set(void* stream, void* to, std::uint8_t value, std::size_t bytes) override {
    to_->set(stream, to, value, bytes);
  }
  void prefetch(void* stream, void* data, std::size_t bytes, bool to_device) override {
    to_->prefetch(stream, data, bytes, to_device);
  }
  void run(void* stream, const StreamWork& work) override { to_->run(stream, work); }
  void record(void* stream, void* event) override { to_->record(stream, event); }
  void wait(void* stream, void* event) override { to_->wait(stream, event); }
  bool is_idle(void* stream) override { return to_->is_idle(stream); }
  bool is_done(void* event) override { return to_->is_done(event); }
  std::exception_ptr failure(void* event) override { return to_->failure(event); }
  std::exception_ptr take_failure(void* stream) override { return to_->take_failure(stream); }
  std::chrono::nanoseconds elapsed(void* from, void* to) override { return to_->elapsed(from, to); }
  void* allocate_pinned(std::size_t bytes) override { return to_->allocate_pinned(bytes); }
  void free_pinned(void* data) noexcept override { to_->free_pinned(data); }
  void* allocate(void* stream, std::size_t bytes, void* pool) override {
    return to_->allocate(stream, bytes, pool);
  }
  void free(void* stream, void* data) override { to_->free(stream, data); }
  void* make_pool(const MemoryPoolLimits& limits) override { return to_->make_pool(limits); }
  void destroy_pool(void* pool) noexcept override { to_->destroy_pool(pool); }
  MemoryPoolUse pool_use(void* pool) override { return to_->pool_use(pool); }
  void reset_pool_peaks(void* pool) override { to_->reset_pool_peaks(pool); }
  void trim_pool(void* pool, std::size_t keep) override { to_->trim_pool(pool, keep); }
  void begin_capture(void* stream) override { to_->begin_capture(stream); }
  bool is_capturing(void* stream) override { return to_->is_capturing(stream); }
  void* end_capture(void* stream, void* graph) override { return to_->end_capture(stream, graph); }
  void launch(void* stream, void* graph) override { to_->launch(stream, graph); }
  void destroy_graph(void* graph) noexcept override { to_->destroy_graph(graph); }

 private:
  std::shared_ptr<StreamDevice> to_ = make_cpu_stream_device();
};

}  // namespace aatgs::test
