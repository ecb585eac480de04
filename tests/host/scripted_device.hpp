// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace aatgs::test {

/// Passes for a GPU and does nothing: it writes down what it was told, and events are done when the
/// test says so. One thread.
class ScriptedDevice final : public StreamDevice {
 public:
  struct ScriptedEvent {
    bool done = true;
  };

  bool held = false;                        ///< events recorded from now on are not done
  bool logging = true;                      ///< off: for counting allocations
  std::string failing;                      ///< the call of that name throws once
  bool is_lost = false;                     ///< asking for an event throws
  std::function<void(const char*)> before;  ///< of each call that is written down
  std::vector<std::string> log;
  std::size_t events_made = 0;
  std::vector<ScriptedEvent*> pending;

  /// The first `count` of the records that are not done are now.
  void finish(std::size_t count = ~std::size_t{0}) {
    count = std::min(count, pending.size());
    for (std::size_t i = 0; i < count; ++i) pending[i]->done = true;
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(count));
  }
  [[nodiscard]] std::ptrdiff_t count(const std::string& call) const {
    return std::count(log.begin(), log.end(), call);
  }

  bool is_gpu() const override { return true; }
  int ordinal() const override { return 7; }
  std::string name() const override { return "a script"; }
  int priority_levels() const override { return 3; }

  void* make_stream(StreamPriority) override { return new std::uint64_t(++streams_); }
  void destroy_stream(void* stream) noexcept override {
    delete static_cast<std::uint64_t*>(stream);
  }
  std::uint64_t stream_id(void* stream) const override {
    return *static_cast<std::uint64_t*>(stream);
  }
  void* make_event(bool) override {
    ++events_made;
    return new ScriptedEvent;
  }
  void destroy_event(void* event) noexcept override {
    std::erase(pending, event);
    delete static_cast<ScriptedEvent*>(event);
  }

  void copy(void*, void*, const void*, std::size_t) override { note("copy"); }
  void set(void*, void*, std::uint8_t, std::size_t) override { note("set"); }
  void prefetch(void*, void*, std::size_t, bool) override { note("prefetch"); }
  void run(void* stream, const StreamWork& work) override {
    note("run");
    work({true, stream});
  }
  void record(void*, void* event) override {
    note("record");
    auto* recorded = static_cast<ScriptedEvent*>(event);
    recorded->done = !held;
    if (held) pending.push_back(recorded);
  }
  void wait(void*, void*) override { note("wait"); }

  bool is_idle(void*) override { return true; }
  bool is_done(void* event) override {
    if (is_lost) throw DeviceError("cudaErrorLaunchFailure: scripted", "cudaErrorLaunchFailure");
    return static_cast<ScriptedEvent*>(event)->done;
  }
  std::exception_ptr failure(void*) override { return nullptr; }
  std::exception_ptr take_failure(void*) override { return nullptr; }
  std::chrono::nanoseconds elapsed(void*, void*) override { return std::chrono::nanoseconds(1); }

  void* allocate_pinned(std::size_t bytes) override {
    note("allocate_pinned");
    return memory(bytes);
  }
  void free_pinned(void* data) noexcept override { release(data); }
  void* allocate(void*, std::size_t bytes, void*) override {
    note("allocate");
    return memory(bytes);
  }
  void free(void*, void* data) override { release(data); }
  /// Allocated and not freed.
  [[nodiscard]] std::size_t memories() const { return memories_.size(); }

  void* make_pool(const MemoryPoolLimits&) override { return nullptr; }
  void destroy_pool(void*) noexcept override {}
  MemoryPoolUse pool_use(void*) override { return {}; }
  void reset_pool_peaks(void*) override {}
  void trim_pool(void*, std::size_t) override {}
  void begin_capture(void*) override { note("begin_capture"); }
  bool is_capturing(void*) override { return false; }
  void* end_capture(void*, void* graph) override {
    note("end_capture");
    return graph != nullptr ? graph : new int;
  }
  void launch(void*, void*) override { note("launch"); }
  void destroy_graph(void* graph) noexcept override { delete static_cast<int*>(graph); }

 private:
  void note(const char* call) {
    if (before) before(call);
    if (failing == call) {
      failing.clear();
      throw DeviceError(std::string("cudaErrorUnknown: scripted for ") + call, "cudaErrorUnknown");
    }
    if (logging) log.emplace_back(call);
  }

  void* memory(std::size_t bytes) {
    memories_.push_back(std::make_unique<char[]>(bytes));
    return memories_.back().get();
  }
  void release(void* data) {
    std::erase_if(memories_, [&](const auto& memory) { return memory.get() == data; });
  }

  std::uint64_t streams_ = 0;
  std::vector<std::unique_ptr<char[]>> memories_;
};

/// Work that waits until the test opens it; opened at its end, so that no failed check hangs.
class Door {
 public:
  ~Door() { open(); }
  void open() {
    open_.store(1);
    open_.notify_all();
  }
  void pass() const { open_.wait(0); }

 private:
  std::atomic<int> open_ = 0;
};

/// A place where works meet that can only do so if they run at once.
class Meeting {
 public:
  explicit Meeting(int expected) : expected_(expected) {}

  /// False: the others did not come.
  bool meet() {
    std::unique_lock lock(mutex_);
    const int all = (arrived_++ / expected_ + 1) * expected_;
    came_.notify_all();
    return came_.wait_for(lock, std::chrono::seconds(20), [&] { return arrived_ >= all; });
  }

 private:
  const int expected_;
  int arrived_ = 0;
  std::mutex mutex_;
  std::condition_variable came_;
};

}  // namespace aatgs::test
