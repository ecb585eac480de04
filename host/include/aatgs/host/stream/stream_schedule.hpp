// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

enum class ScheduledKind : std::uint8_t { run, copy, record, wait, barrier };

/// One entry of a schedule.
struct ScheduledOperation {
  ScheduledKind kind = ScheduledKind::run;
  std::string stream;  ///< empty: a barrier
  std::string name;    ///< of the work or the event
  StreamWork work;
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
};

/// What streams are to do and for what of each other they wait, checked as a whole before any of it
/// reaches a device: an event may be waited for above the line that records it, as long as no
/// circle comes of it. Not thread-safe.
class StreamSchedule {
 public:
  StreamSchedule& run(std::string stream, std::string name, StreamWork work);
  StreamSchedule& copy(std::string stream, std::string name, void* to, const void* from,
                       std::size_t bytes);
  StreamSchedule& record(std::string stream, std::string event);
  StreamSchedule& wait(std::string stream, std::string event);
  /// What `after` is given from here on waits for what `before` was given so far.
  StreamSchedule& depend(const std::string& after, const std::string& before);
  /// What any stream is given from here on waits for what all were given so far.
  StreamSchedule& barrier();

  [[nodiscard]] const std::vector<ScheduledOperation>& operations() const { return operations_; }

  /// An order in which each record comes before its waits. Throws `UseError` that shows the path
  /// of a circle, or to a wait for an event that neither this schedule records nor
  /// `is_recorded` knows, or that names an event recorded twice, or an empty function.
  [[nodiscard]] std::vector<std::size_t> order(
      const std::function<bool(const std::string& event)>& is_recorded = {}) const;

 private:
  ScheduledOperation& add(ScheduledKind kind, std::string stream, std::string name);
  using Edges = std::vector<std::vector<std::size_t>>;  // from each operation to later ones
  [[nodiscard]] Edges edges(const std::function<bool(const std::string&)>& is_recorded) const;
  [[nodiscard]] std::string path_to(std::size_t operation) const;
  [[nodiscard]] std::string circle(const Edges& edges, const std::vector<std::size_t>& waits) const;

  std::vector<ScheduledOperation> operations_;
};

/// "stream 'a' waits for event 'x'".
std::string describe(const ScheduledOperation& operation);

}  // namespace aatgs
