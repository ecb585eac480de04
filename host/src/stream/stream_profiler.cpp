// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_profiler.hpp>
#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "poll_until.hpp"
#include "profile_records.hpp"

namespace aatgs {

namespace {

using HostClock = std::chrono::steady_clock;

/// CUDA tells times between events in ms as a float: over a second they are good to 0.1 us, so
/// longer times are put together of such.
constexpr std::chrono::milliseconds longest_step{500};
constexpr std::size_t operations_per_collect = 64;

/// A place of the device's clock, since the first of them.
struct Base {
  EventPool::Lease event;
  std::int64_t ns = -1;  ///< -1: not known yet
  HostClock::time_point made;
};
using SharedBase = std::shared_ptr<const Base>;

struct Pending {
  SharedBase base;
  std::uint32_t stream, operation;
  std::uint64_t bytes;
  EventPool::Lease begin, end;
};

}  // namespace

struct StreamProfiler::State {
  State(std::shared_ptr<StreamDevice> on, std::size_t most)
      : device(std::move(on)),
        most_records(most),
        events(device, true),
        clock(device, {"profiler clock", StreamPriority::high, false}) {
    add_base();
  }

  void add_base();
  SharedBase current_base();
  bool is_known(const Base& base);
  void drop_bases();
  void collect();
  bool collect(const Pending& pending);
  void count(const Pending& pending);
  void add(const Stream& stream, ProfiledKind kind, std::string_view name, std::uint64_t bytes,
           SharedBase base, EventPool::Lease begin, EventPool::Lease end);

  const std::shared_ptr<StreamDevice> device;
  const std::size_t most_records;
  EventPool events;
  Stream clock;  ///< always idle: an event in it is the time at which it was recorded
  std::mutex mutex;
  std::deque<std::shared_ptr<Base>> bases;  ///< the first is known, and the others follow from it
  std::deque<Pending> pending;
  detail::ProfileRecords done;
  std::size_t given = 0;
  std::uint64_t untimed = 0, without_place = 0;
};

struct StreamProfiler::Span::Open {
  State* state;
  Stream* stream;
  ProfiledKind kind;
  std::string name;
  std::uint64_t bytes;
  SharedBase base;
  EventPool::Lease begin;
};

void StreamProfiler::State::add_base() {
  auto event = events.lease();
  clock.record(*event);
  Base made{std::move(event), bases.empty() ? 0 : -1, HostClock::now()};
  bases.push_back(std::make_shared<Base>(std::move(made)));
}

SharedBase StreamProfiler::State::current_base() {
  const std::lock_guard lock(mutex);
  if (HostClock::now() - bases.back()->made > longest_step) add_base();
  return bases.back();
}

bool StreamProfiler::State::is_known(const Base& base) {
  if (!device->is_done(base.event->native())) return false;
  // Those before it in the clock's stream are done as well.
  for (std::size_t i = 1; base.ns < 0; ++i) {
    if (bases[i]->ns >= 0) continue;
    const auto step =
        device->elapsed(bases[i - 1]->event->native(), bases[i]->event->native()).count();
    bases[i]->ns = bases[i - 1]->ns + step;
  }
  return true;
}

/// Those that nothing is timed from any more, neither an operation nor a later base.
void StreamProfiler::State::drop_bases() {
  while (bases.size() > 1 && bases[1]->ns >= 0 && bases.front().use_count() == 1) {
    bases.pop_front();
  }
}

/// Takes what is done, without waiting.
void StreamProfiler::State::collect() {
  std::vector<bool> is_behind(done.streams.size());  // what a stream is still to reach
  std::erase_if(pending, [&](const Pending& one) {
    if (is_behind[one.stream]) return false;
    is_behind[one.stream] = !collect(one);
    return !is_behind[one.stream];
  });
  drop_bases();
}

/// False: not done, or the device failed, as the streams' own calls tell: an exception would leave
/// `pending` half way through being sorted out.
bool StreamProfiler::State::collect(const Pending& one) {
  try {
    if (!device->is_done(one.end->native()) || !is_known(*one.base)) return false;
    count(one);
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

void StreamProfiler::State::count(const Pending& one) {
  const Base& base = *one.base;
  const auto since = [&](const Event& event) {
    return base.ns + device->elapsed(base.event->native(), event.native()).count();
  };
  // Below 0 for what a stream did before the profiler's clock began.
  const std::int64_t begin = since(*one.begin);
  const std::int64_t time = device->elapsed(one.begin->native(), one.end->native()).count();
  const bool has_room = done.add(
      {one.stream, one.operation, begin, begin + std::max<std::int64_t>(time, 0), one.bytes},
      most_records);
  if (!has_room) ++without_place;
}

void StreamProfiler::State::add(const Stream& stream, ProfiledKind kind, std::string_view name,
                                std::uint64_t bytes, SharedBase base, EventPool::Lease begin,
                                EventPool::Lease end) {
  const std::lock_guard lock(mutex);
  const std::uint32_t in = done.stream_index(stream.id(), stream.name());
  const std::uint32_t as = done.operation_index(in, kind, std::string(name));
  pending.push_back({std::move(base), in, as, bytes, std::move(begin), std::move(end)});
  if (++given % operations_per_collect == 0) collect();
}

StreamProfiler::Span::Span(std::unique_ptr<Open> open) : open_(std::move(open)) {}
StreamProfiler::Span::Span(Span&& other) noexcept = default;
StreamProfiler::Span::~Span() {
  end();
}

void StreamProfiler::Span::end() noexcept {
  const auto open = std::move(open_);
  if (open == nullptr) return;
  try {
    if (open->begin == nullptr || open->stream->is_capturing()) {
      const std::lock_guard lock(open->state->mutex);
      ++open->state->untimed;
      return;
    }
    auto end = open->state->events.lease();
    open->state->device->record(open->stream->handle(), end->native());
    open->state->add(*open->stream, open->kind, open->name, open->bytes, std::move(open->base),
                     std::move(open->begin), std::move(end));
  } catch (...) {
    // The device failed, as the stream's own calls tell.
  }
}

StreamProfiler::StreamProfiler(std::shared_ptr<StreamDevice> device, std::size_t most_records)
    : state_(std::make_unique<State>(std::move(device), most_records)) {}
StreamProfiler::~StreamProfiler() = default;

StreamProfiler::Span StreamProfiler::begin(Stream& stream, ProfiledKind kind, std::string_view name,
                                           std::uint64_t bytes) {
  if (stream.device() != state_->device) {
    throw UseError("stream '" + stream.name() + "' of " + stream.device()->name() +
                   " is not of the profiler's device: make both with the same StreamDevice");
  }
  auto open = std::make_unique<Span::Open>(
      Span::Open{state_.get(), &stream, kind, std::string(name), bytes, nullptr, nullptr});
  if (!stream.is_capturing()) {
    open->base = state_->current_base();
    open->begin = state_->events.lease();
    state_->device->record(stream.handle(), open->begin->native());
  }
  return Span(std::move(open));
}

StreamProfiler::Span StreamProfiler::operation(Stream& stream, std::string_view name) {
  return begin(stream, ProfiledKind::operation, name, 0);
}

/// What throws is no operation.
template <class Call>
void StreamProfiler::timed(Span span, Call call) {
  try {
    call();
  } catch (...) {
    span.open_.reset();
    throw;
  }
}

void StreamProfiler::copy(Stream& stream, void* to, const void* from, std::size_t bytes,
                          std::string_view name) {
  timed(begin(stream, ProfiledKind::transfer, name, bytes), [&] { stream.copy(to, from, bytes); });
}

void StreamProfiler::run(Stream& stream, const StreamWork& work, std::string_view name) {
  timed(begin(stream, ProfiledKind::launch, name, 0), [&] { stream.run(work); });
}

void StreamProfiler::launch(Stream& stream, const StreamGraph& graph, std::string_view name) {
  timed(begin(stream, ProfiledKind::launch, name, 0), [&] { stream.launch(graph); });
}

StreamProfile StreamProfiler::report() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  StreamProfile profile = state_->done.report(state_->device->name());
  profile.running = state_->pending.size();
  profile.untimed = state_->untimed;
  profile.without_place = state_->without_place;
  return profile;
}

ProfiledStream StreamProfiler::report(const Stream& stream) {
  const StreamProfile all = report();
  for (const ProfiledStream& one : all.streams) {
    if (one.id == stream.id()) return one;
  }
  return {stream.name(), stream.id(), {}, {}};
}

std::string StreamProfiler::trace() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  return state_->done.trace(state_->device->name());
}

void StreamProfiler::clear() {
  const std::lock_guard lock(state_->mutex);
  state_->collect();
  state_->done.records.clear();
  for (ProfiledStream& stream : state_->done.streams) {
    for (ProfiledOperation& operation : stream.operations) {
      operation = {std::move(operation.name), operation.kind, 0, {}, {}, {}, 0};
    }
  }
  state_->untimed = 0;
  state_->without_place = 0;
}

}  // namespace aatgs
