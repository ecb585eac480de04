// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace aatgs::detail {

class CpuStream;
class CpuCapture;

/// An operation, told in which stream it is run.
using CpuOperation = std::function<void(CpuStream&)>;

/// How many captured operations of each stream come before a place.
using CpuPast = std::unordered_map<const CpuStream*, std::size_t>;

/// One record of an event: a place in a stream's work. What is beside `reached` is written before
/// that is set.
struct CpuPoint {
  std::atomic<int> reached = 0;  // an int is what futexes wait for
  std::chrono::steady_clock::time_point when;
  std::exception_ptr failure;
  std::shared_ptr<CpuCapture> capture;  ///< null, or the one it belongs to; then never reached
  CpuPast past;
};

struct CpuEvent {
  explicit CpuEvent(bool with_time) : timed(with_time) {}

  const bool timed;
  std::mutex mutex;
  std::shared_ptr<CpuPoint> last;
};

/// What is kept of the streams of one capture: the operations in the order in which they were
/// given, which any order between them allows.
class CpuCapture : public std::enable_shared_from_this<CpuCapture> {
 public:
  explicit CpuCapture(std::shared_ptr<CpuStream> origin) : origin_(std::move(origin)) {}

  [[nodiscard]] bool is_of(const CpuStream& stream) const { return origin_.get() == &stream; }
  void add(CpuStream& stream, CpuOperation operation);
  /// The stream's past so far.
  [[nodiscard]] CpuPast past_of(CpuStream& stream);
  /// The stream, which may be new here, now comes after `past`.
  void join(CpuStream& stream, const CpuPast& past);
  /// Ends it for all streams. Throws `DeviceError` if one of them was not joined again.
  std::vector<CpuOperation> end();

 private:
  struct Branch {
    std::shared_ptr<CpuStream> stream;
    std::size_t operations = 0;
    CpuPast past;
  };
  Branch& branch(CpuStream& stream);

  void require_open() const;

  std::shared_ptr<CpuStream> origin_;
  std::mutex mutex_;
  bool ended_ = false;
  std::vector<CpuOperation> operations_;
  std::unordered_map<const CpuStream*, Branch> branches_;
};

/// A queue of operations and the thread that does them in order. Operations may throw: the first
/// failure is kept until it is taken, and the others are run.
class CpuStream : public std::enable_shared_from_this<CpuStream> {
 public:
  explicit CpuStream(std::uint64_t id) : id_(id) {}

  void start();
  /// Nothing more will come: the thread ends when all is done.
  void finish();
  /// Once, after `finish`. Does nothing but let go when called on the stream's own thread.
  void join();
  [[nodiscard]] bool has_ended() const { return ended_.load(std::memory_order_acquire); }

  /// Into the capture, if there is one.
  void give(CpuOperation operation);
  void record(CpuEvent& event);
  void wait(CpuEvent& event);
  [[nodiscard]] bool is_idle();

  void set_capture(std::shared_ptr<CpuCapture> capture);
  [[nodiscard]] std::shared_ptr<CpuCapture> capture();

  /// Of the stream's own thread.
  void perform(const CpuOperation& operation) noexcept;
  void keep(std::exception_ptr failure);
  [[nodiscard]] std::exception_ptr take_failure();

  [[nodiscard]] std::uint64_t id() const { return id_; }

 private:
  /// An operation, or the record of a point.
  struct Item {
    CpuOperation operation;
    std::shared_ptr<CpuPoint> point;
  };
  void work();
  void enqueue(Item item);
  void reach(CpuPoint& point);

  const std::uint64_t id_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::deque<Item> queue_;
  std::shared_ptr<CpuCapture> capture_;
  std::exception_ptr failure_;
  bool busy_ = false;
  bool finishing_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace aatgs::detail
