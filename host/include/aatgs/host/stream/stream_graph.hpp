// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <memory>
#include <utility>

namespace aatgs {

/// Work of a stream that was captured by `Stream::begin_capture` and `end_capture`, to be run again
/// by `Stream::launch`. Captured into again it is updated, which is much cheaper than a new one if
/// only parameters differ. Owns its handle; may end while it runs. One thread at a time.
class StreamGraph {
 public:
  explicit StreamGraph(std::shared_ptr<StreamDevice> device) : device_(std::move(device)) {}
  ~StreamGraph() { release(); }
  StreamGraph(StreamGraph&& other) noexcept
      : device_(std::move(other.device_)), handle_(std::exchange(other.handle_, nullptr)) {}
  StreamGraph& operator=(StreamGraph&& other) noexcept {
    if (this == &other) return *this;
    release();
    device_ = std::move(other.device_);
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  StreamGraph(const StreamGraph&) = delete;
  StreamGraph& operator=(const StreamGraph&) = delete;

  [[nodiscard]] bool is_empty() const noexcept { return handle_ == nullptr; }
  /// A `cudaGraphExec_t`, or the host's own; null before the first capture.
  [[nodiscard]] void* native() const noexcept { return handle_; }

 private:
  friend class Stream;
  void release() noexcept {
    if (handle_ != nullptr) device_->destroy_graph(handle_);
  }

  std::shared_ptr<StreamDevice> device_;
  void* handle_ = nullptr;
};

}  // namespace aatgs
