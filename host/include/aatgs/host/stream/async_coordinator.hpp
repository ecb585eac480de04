// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// An operation of one coordinator; that of another one is refused.
struct OperationId {
  std::uint64_t coordinator = 0;  ///< `AsyncCoordinator::id`
  std::uint64_t number = 0;       ///< from 1, in the order of queueing

  friend bool operator==(const OperationId&, const OperationId&) = default;
};

enum class OperationKind : std::uint8_t { upload, compute, download, join };
std::string_view to_string(OperationKind kind);

/// What an operation waits for: `{a, b}`, a vector or a span. A view, for arguments.
class Dependencies {
 public:
  Dependencies() = default;
  Dependencies(std::initializer_list<OperationId> ids) : ids_(ids.begin(), ids.end()) {}
  Dependencies(std::span<const OperationId> ids) : ids_(ids) {}
  Dependencies(const std::vector<OperationId>& ids) : ids_(ids) {}

  [[nodiscard]] auto begin() const { return ids_.begin(); }
  [[nodiscard]] auto end() const { return ids_.end(); }

 private:
  std::span<const OperationId> ids_;
};

struct FinishedOperation {
  OperationId id;
  OperationKind kind = OperationKind::upload;
  std::exception_ptr error;  ///< of its work, on host threads; null: none
};

struct CoordinatorOptions {
  std::string name = "coordinator";  ///< for messages
  unsigned compute_streams = 2;      ///< 1 to 16; work without a common past runs side by side
  std::size_t operations = 1024;     ///< in flight or not yet polled; a power of two
  std::chrono::nanoseconds deadline =
      std::chrono::seconds(60);  ///< for room, and of the destructor
  bool metrics = false;          ///< sampled latencies of its streams, see `StreamOptions`
};

struct CoordinatorStats {
  std::uint64_t queued = 0;           ///< operations
  std::uint64_t finished = 0;         ///< as far as polls and waits have seen
  std::uint64_t failed = 0;           ///< on host threads; elsewhere queueing itself throws
  std::uint64_t waits_queued = 0;     ///< of one stream for another
  std::uint64_t waits_skipped = 0;    ///< dependencies that needed none
  std::uint64_t waits_for_room = 0;   ///< the host waited since `operations` were in flight
  std::uint64_t reports_dropped = 0;  ///< finished, but `operations` others came before a poll
};

/// Uploads, work and downloads that run as soon as what they depend on is done, in streams of its
/// own: dependencies are waits on the device, the host goes on at once. Queueing costs no
/// allocation (but give large callables as `std::ref`) and no search.
///
/// Belongs to one host thread at a time: calls from two at once, or from within its own work, throw
/// `UseError`. So do ids it never gave, and use after `close`. Errors name the coordinator and the
/// operation. A work that throws fails alone: on a GPU it throws from `queue_compute`, on host
/// threads it is told once, by whichever comes first of `poll`, `wait` and `synchronize_all`; what
/// depends on it still runs.
class AsyncCoordinator {
 public:
  /// Throws `OptionError`, `DeviceError`.
  explicit AsyncCoordinator(std::shared_ptr<StreamDevice> device, CoordinatorOptions options = {});
  ~AsyncCoordinator();  ///< waits, `deadline` at most
  AsyncCoordinator(const AsyncCoordinator&) = delete;
  AsyncCoordinator& operator=(const AsyncCoordinator&) = delete;

  /// Both sides must live until the operation has finished; the host's be pinned on a GPU.
  OperationId queue_upload(void* to, const void* from, std::size_t bytes, Dependencies after = {});
  OperationId queue_download(void* to, const void* from, std::size_t bytes,
                             Dependencies after = {});
  /// In the stream of what it continues, else in one that the last `poll` or wait found idle, else
  /// by turns.
  OperationId queue_compute(const StreamWork& work, Dependencies after = {});
  /// Each of `works` behind `after`, side by side as far as there are streams.
  std::vector<OperationId> fork(std::span<const StreamWork> works, Dependencies after = {});
  /// Finished when all of `after` are. Costs the device nothing.
  OperationId join(Dependencies after);

  /// What has finished and was not told before, in each stream's order; never waits. Returns how
  /// many; what finds no place in `into` comes next time.
  std::size_t poll(std::span<FinishedOperation> into);
  std::vector<FinishedOperation> poll();

  [[nodiscard]] bool is_finished(OperationId id);
  /// The host waits for one, or all. `TimeoutError` names what is not done. Throws what a work up
  /// to `id` threw, if that was not told before.
  void wait(OperationId id, std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  void synchronize_all(std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  /// Waits and ends it; after a `TimeoutError` it is closed as well.
  void close(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  [[nodiscard]] std::uint64_t id() const;
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] CoordinatorStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aatgs
