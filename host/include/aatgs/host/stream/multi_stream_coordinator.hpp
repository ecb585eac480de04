// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream.hpp>
#include <aatgs/host/stream/stream_schedule.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

struct MultiStreamOptions {
  std::string name = "streams";                                  ///< for messages
  std::vector<StreamOptions> streams;                            ///< each with a name of its own
  std::chrono::nanoseconds deadline = std::chrono::seconds(60);  ///< of the destructor
};

/// Work for any of the streams.
struct NamedWork {
  std::string name;
  StreamWork work;
};

/// Where a stream stands.
struct StreamStanding {
  std::string stream;
  std::size_t pending = 0;          ///< operations that are not done
  std::string last_done;            ///< empty: none
  std::string at;                   ///< the operation it is at; empty: it has nothing to do
  std::string waits_for;            ///< the event, if it is at a wait for one; empty: it works
  std::string event_stream;         ///< which is to reach that event
  std::chrono::nanoseconds age{0};  ///< since that operation was queued
};

/// Named streams that wait for each other on the device. Schedules are checked as a whole before
/// anything of them is queued; then each record is queued before the waits for it, since a wait for
/// an event that is not recorded yet would not wait at all. Thread-safe.
///
/// Errors name the coordinator, the stream and the operation. A work that throws fails alone: on a
/// GPU it throws from `execute`, and what comes behind it in the schedule is not queued; on host
/// threads `done` is told, or without one the next `synchronize`. So is what `done` throws.
class MultiStreamCoordinator {
 public:
  /// Called once on a library thread when all of a schedule is done; may call CUDA and this object.
  /// Null: all went well.
  using Done = std::function<void(std::exception_ptr)>;

  /// Throws `OptionError`, `DeviceError`.
  MultiStreamCoordinator(std::shared_ptr<StreamDevice> device, MultiStreamOptions options);
  ~MultiStreamCoordinator();  ///< waits, `deadline` at most
  MultiStreamCoordinator(const MultiStreamCoordinator&) = delete;
  MultiStreamCoordinator& operator=(const MultiStreamCoordinator&) = delete;

  /// Queues it and returns. Events that earlier schedules recorded can be waited for. Throws
  /// `UseError` as `StreamSchedule::order` does, and for streams it does not have; then nothing of
  /// it was queued.
  void execute(const StreamSchedule& schedule, Done done = {});
  /// Each of `works` in the stream that has least to do, and so side by side.
  void execute_parallel(std::span<const NamedWork> works, Done done = {});

  /// Where each stream stands now; never waits.
  [[nodiscard]] std::vector<StreamStanding> watchdog();
  /// The same as lines of text: those that have been at one operation for `older_than`.
  [[nodiscard]] std::string watchdog_report(std::chrono::nanoseconds older_than = {});

  /// The host waits for all streams and callbacks; `TimeoutError` has the watchdog's report.
  void synchronize(std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  /// Waits and ends it; later calls throw `UseError`.
  void close(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  /// For work of your own, which the watchdog does not know.
  [[nodiscard]] Stream& stream(std::string_view name);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aatgs
