// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "checked_device.hpp"
#include "deadline.hpp"
#include "named_error.hpp"
#include "poll_until.hpp"
#include "schedule_round.hpp"
#include "stream_log.hpp"

namespace aatgs {

namespace {

using detail::FirstFailure;
using detail::ScheduleRound;

MultiStreamOptions checked(MultiStreamOptions options, const StreamDevice* device) {
  detail::require_device(device, "coordinator '" + options.name + "'");
  const std::string who = "coordinator '" + options.name + "': ";
  if (options.streams.empty()) throw OptionError(who + "no streams: name one at least");
  for (const StreamOptions& stream : options.streams) {
    if (stream.name.empty()) throw OptionError(who + "a stream without a name: give it one");
    const auto same = [&](const StreamOptions& other) { return other.name == stream.name; };
    if (std::ranges::count_if(options.streams, same) == 1) continue;
    throw OptionError(who + "two streams named '" + stream.name + "': give them different names");
  }
  return options;
}

}  // namespace

struct MultiStreamCoordinator::State {
  using Mark = std::shared_ptr<detail::StreamMark>;

  struct Lane {
    Lane(const std::shared_ptr<StreamDevice>& device, const StreamOptions& options)
        : stream(device, options), log(options.name) {}
    Stream stream;
    detail::StreamLog log;  // under `mutex`
  };

  State(const std::shared_ptr<StreamDevice>& on, MultiStreamOptions given)
      : options(checked(std::move(given), on.get())), is_gpu(on->is_gpu()), events(on) {
    for (const StreamOptions& stream : options.streams) lanes.emplace_back(on, stream);
  }

  std::string who() const { return "coordinator '" + options.name + "'"; }
  void require_open() const {
    if (closed) throw UseError(who() + " is closed: use it before its close");
  }
  Lane& lane(std::string_view name) {
    const auto found = std::ranges::find_if(
        lanes, [&](const Lane& candidate) { return candidate.stream.name() == name; });
    if (found != lanes.end()) return *found;
    std::string names;
    for (const Lane& known : lanes)
      names += (names.empty() ? "'" : ", '") + known.stream.name() + "'";
    throw UseError(who() + " has no stream '" + std::string(name) + "': it has " + names);
  }

  // Queueing; one thread at a time.

  void log(Lane& lane, std::string operation, bool is_wait, Mark mark) {
    const std::lock_guard lock(mutex);
    lane.log.add(std::move(operation), is_wait, std::move(mark));
  }
  Mark record(Lane& lane, std::string event) {
    auto mark = std::make_shared<detail::StreamMark>();
    mark->event = std::move(event);
    mark->stream = lane.stream.name();
    mark->lease = events.lease();
    lane.stream.record(*mark->lease);
    return mark;
  }
  void wait(Lane& lane, const std::string& operation, const Mark& mark) {
    lane.stream.wait(*mark->lease);
    log(lane, operation, true, mark);
  }

  /// All streams come to the first one, and then wait for it.
  void barrier(const std::string& operation) {
    Lane& hub = lanes.front();
    for (Lane& lane : lanes) {
      if (&lane == &hub) continue;
      const Mark arrived = record(lane, operation);
      log(lane, operation, false, arrived);
      wait(hub, operation, arrived);
    }
    const Mark all = record(hub, operation);
    log(hub, operation, false, all);
    for (Lane& lane : lanes) {
      if (&lane != &hub) wait(lane, operation, all);
    }
  }

  StreamWork guarded(const ScheduledOperation& operation, std::shared_ptr<FirstFailure> into) {
    return [work = operation.work, into = std::move(into),
            name = who() + ", " + describe(operation)](StreamTarget target) {
      try {
        work(target);
      } catch (...) {
        into->add(detail::named(std::current_exception(), name));
      }
    };
  }

  void enqueue(const ScheduledOperation& operation, const std::shared_ptr<FirstFailure>& into) {
    const std::string text = describe(operation);
    if (operation.kind == ScheduledKind::barrier) return barrier(text);
    Lane& on = lane(operation.stream);
    switch (operation.kind) {
      case ScheduledKind::wait:
        return wait(on, text, recorded.at(operation.name));
      case ScheduledKind::record: {
        const Mark mark = record(on, operation.name);
        recorded[operation.name] = mark;
        return log(on, text, false, mark);
      }
      case ScheduledKind::copy:
        on.stream.copy(operation.to, operation.from, operation.bytes);
        break;
      default:
        on.stream.run(is_gpu ? operation.work : guarded(operation, into));
    }
    log(on, text, false, record(on, text));
  }

  void execute(const StreamSchedule& schedule, Done done) {
    if (executing.load() == std::this_thread::get_id()) {
      throw UseError(who() +
                     ": a work executes a schedule of its own coordinator: do that in the "
                     "callback");
    }
    const std::lock_guard order_lock(order);
    require_open();
    const auto& operations = schedule.operations();
    for (const ScheduledOperation& operation : operations) {
      if (operation.kind != ScheduledKind::barrier) lane(operation.stream);
    }
    const std::vector<std::size_t> sequence = checked_order(schedule);
    refresh();
    auto round = std::make_shared<ScheduleRound>();
    round->done = std::move(done);
    round->who = who();
    round->failures = failures;
    executing = std::this_thread::get_id();
    try {
      for (const std::size_t i : sequence) {
        enqueue_named(operations[i], round->done ? round->own : failures);
      }
    } catch (...) {
      executing = std::thread::id();
      throw;
    }
    executing = std::thread::id();
    if (round->done) call_back(schedule, round);
  }
  void enqueue_named(const ScheduledOperation& operation,
                     const std::shared_ptr<FirstFailure>& into) {
    try {
      enqueue(operation, into);
    } catch (...) {
      detail::rethrow_named(std::current_exception(), who() + ", " + describe(operation));
    }
  }
  std::vector<std::size_t> checked_order(const StreamSchedule& schedule) {
    try {
      return schedule.order([&](const std::string& event) { return recorded.contains(event); });
    } catch (...) {
      detail::rethrow_named(std::current_exception(), who());
    }
  }
  void call_back(const StreamSchedule& schedule, const std::shared_ptr<ScheduleRound>& round) {
    std::set<Lane*> used;
    for (const ScheduledOperation& operation : schedule.operations()) {
      if (operation.kind != ScheduledKind::barrier) used.insert(&lane(operation.stream));
    }
    if (used.empty()) used.insert(&lanes.front());
    round->left = used.size();
    for (Lane* lane : used) {
      lane->stream.on_completion(
          [round](std::exception_ptr failure) { round->stream_ended(std::move(failure)); });
    }
  }

  void refresh() {
    const std::lock_guard lock(mutex);
    for (Lane& lane : lanes) lane.log.refresh();
  }
  std::vector<StreamStanding> standings() {
    refresh();
    const std::lock_guard lock(mutex);
    std::vector<StreamStanding> all;
    for (const Lane& lane : lanes) all.push_back(lane.log.standing());
    return all;
  }

  void synchronize(const detail::Deadline& deadline) {
    for (Lane& lane : lanes) {
      try {
        lane.stream.synchronize(deadline.left());
      } catch (const TimeoutError& error) {
        throw TimeoutError(who() + ": " + error.what() + "\n" + report(standings(), {}));
      } catch (...) {
        detail::rethrow_named(std::current_exception(), who());
      }
    }
    if (const std::exception_ptr failure = failures->take()) std::rethrow_exception(failure);
  }
  static std::string report(const std::vector<StreamStanding>& standings,
                            std::chrono::nanoseconds older_than);

  MultiStreamOptions options;
  bool is_gpu;
  EventPool events;  // before what leases from it
  std::map<std::string, Mark> recorded;
  std::deque<Lane> lanes;
  std::shared_ptr<FirstFailure> failures = std::make_shared<FirstFailure>();
  std::mutex order;  // of what is queued
  std::atomic<std::thread::id> executing;
  std::atomic<bool> closed = false;
  std::mutex mutex;  // the logs: the watchdog must work while a work keeps `order`
};

std::string MultiStreamCoordinator::State::report(const std::vector<StreamStanding>& standings,
                                                  std::chrono::nanoseconds older_than) {
  std::string text;
  for (const StreamStanding& one : standings) {
    if (one.age < older_than || (one.at.empty() && older_than.count() > 0)) continue;
    text += "stream '" + one.stream + "': ";
    if (one.at.empty()) {
      text += "idle";
    } else {
      text += std::to_string(one.pending) + " pending, the first since " + detail::in_ms(one.age) +
              ": " + one.at;
      if (!one.waits_for.empty()) text += ", which stream '" + one.event_stream + "' is to reach";
    }
    text += one.last_done.empty() ? "\n" : "; last done: " + one.last_done + "\n";
  }
  return text;
}

MultiStreamCoordinator::MultiStreamCoordinator(std::shared_ptr<StreamDevice> device,
                                               MultiStreamOptions options)
    : state_(std::make_unique<State>(device, std::move(options))) {}

MultiStreamCoordinator::~MultiStreamCoordinator() {
  try {
    close(state_->options.deadline);
  } catch (...) {  // nobody is left to be told
  }
}

void MultiStreamCoordinator::execute(const StreamSchedule& schedule, Done done) {
  state_->execute(schedule, std::move(done));
}

void MultiStreamCoordinator::execute_parallel(std::span<const NamedWork> works, Done done) {
  std::vector<StreamStanding> load = watchdog();
  StreamSchedule schedule;
  for (const NamedWork& work : works) {
    auto& least = *std::ranges::min_element(load, {}, &StreamStanding::pending);
    ++least.pending;
    schedule.run(least.stream, work.name, work.work);
  }
  state_->execute(schedule, std::move(done));
}

std::vector<StreamStanding> MultiStreamCoordinator::watchdog() {
  state_->require_open();
  return state_->standings();
}

std::string MultiStreamCoordinator::watchdog_report(std::chrono::nanoseconds older_than) {
  return State::report(watchdog(), older_than);
}

void MultiStreamCoordinator::synchronize(std::chrono::nanoseconds deadline) {
  state_->require_open();
  state_->synchronize(detail::Deadline(deadline));
}

void MultiStreamCoordinator::close(std::chrono::nanoseconds deadline) {
  if (state_->executing.load() == std::this_thread::get_id()) {
    throw UseError(state_->who() + ": a work closes its own coordinator: do that outside");
  }
  if (state_->closed.exchange(true)) return;
  { const std::lock_guard order(state_->order); }  // what is being queued gets there; no more comes
  state_->synchronize(detail::Deadline(deadline));
}

Stream& MultiStreamCoordinator::stream(std::string_view name) {
  state_->require_open();
  return state_->lane(name).stream;
}

}  // namespace aatgs
