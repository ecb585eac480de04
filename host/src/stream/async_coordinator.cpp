// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/async_coordinator.hpp>
#include <atomic>
#include <bit>
#include <utility>

#include "checked_device.hpp"
#include "named_error.hpp"
#include "operation_ledger.hpp"

namespace aatgs {

namespace {

constexpr unsigned upload_lane = 0;
constexpr unsigned download_lane = 1;
constexpr unsigned first_compute_lane = 2;
constexpr unsigned most_compute_streams = detail::most_lanes - first_compute_lane;
constexpr std::size_t most_operations = std::size_t{1} << 20;

CoordinatorOptions checked(CoordinatorOptions options, const StreamDevice* device) {
  detail::require_device(device, "coordinator '" + options.name + "'");
  const std::string who = "coordinator '" + options.name + "': ";
  if (options.compute_streams < 1 || options.compute_streams > most_compute_streams) {
    throw OptionError(who + std::to_string(options.compute_streams) +
                      " compute streams: give it 1 to " + std::to_string(most_compute_streams));
  }
  if (!std::has_single_bit(options.operations) || options.operations > most_operations) {
    throw OptionError(who + std::to_string(options.operations) +
                      " operations: give it a power of two up to " +
                      std::to_string(most_operations));
  }
  return options;
}

}  // namespace

std::string_view to_string(OperationKind kind) {
  constexpr std::array<std::string_view, 4> names{"upload", "compute", "download", "join"};
  const auto i = static_cast<std::size_t>(kind);
  return i < names.size() ? names[i] : "unknown";
}

struct AsyncCoordinator::State {
  /// One call at a time: a second one, from another thread or from inside a work, is told so.
  class Call {
   public:
    explicit Call(State& state) : state_(state) {
      if (!state.busy.test_and_set(std::memory_order_acquire)) return;
      throw UseError(state.ledger.who() +
                     " is called while another call to it has not returned: use it from one "
                     "thread, and not from within its own work");
    }
    Call(State& state, const char* doing) : Call(state) {
      if (state.closed) throw UseError(state.ledger.who() + " is closed: " + doing + " came after");
    }
    ~Call() { state_.busy.clear(std::memory_order_release); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    State& state_;
  };

  State(std::shared_ptr<StreamDevice> on, CoordinatorOptions given)
      : options(checked(std::move(given), on.get())), is_gpu(on->is_gpu()), ledger(on, options) {}

  template <class Give>
  OperationId queue(OperationKind kind, unsigned lane, const detail::Frontier& before,
                    const Give& give) {
    try {
      Event& event = ledger.take_place();
      ledger.wait_in(lane, before);
      Stream& stream = ledger.lane(lane).stream;
      give(stream);
      stream.record(event);
    } catch (...) {
      detail::rethrow_named(std::current_exception(),
                            ledger.name_of(kind, ledger.next()) + ", which was not queued");
    }
    return ledger.append(lane, kind);
  }

  OperationId copy(OperationKind kind, unsigned lane, void* to, const void* from, std::size_t bytes,
                   Dependencies after) {
    if (bytes > 0 && (to == nullptr || from == nullptr)) {
      throw UseError(ledger.name_of(kind, ledger.next()) + ": " + std::to_string(bytes) +
                     " bytes " + (to == nullptr ? "to" : "from") +
                     " a null pointer: give it memory of that size");
    }
    return queue(kind, lane, ledger.resolve(after), [&](Stream& stream) {
      if (bytes > 0) stream.copy(to, from, bytes);
    });
  }

  void require_work(const StreamWork& work, std::uint64_t number) const {
    if (work) return;
    throw UseError(ledger.name_of(OperationKind::compute, number) +
                   ": an empty function as work: give it one that can be called");
  }
  OperationId compute(const StreamWork& work, const detail::Frontier& before) {
    return queue(OperationKind::compute, choose(before), before, [&](Stream& stream) {
      if (is_gpu) {
        stream.run(work);
      } else {
        stream.run(guarded(work));
      }
    });
  }

  /// The lane that ends with something to wait for, else one known to be idle, else the next in
  /// turn. Asks nothing of the device, which would cost each work up to an event query a stream.
  unsigned choose(const detail::Frontier& before) {
    unsigned idle = 0;
    for (unsigned i = first_compute_lane; i < ledger.lane_count(); ++i) {
      const detail::OperationLane& lane = ledger.lane(i);
      if (before[i] > lane.done && before[i] == lane.last) return i;
      if (idle == 0 && lane.is_idle()) idle = i;
    }
    if (idle != 0) return idle;
    turn = (turn + 1) % options.compute_streams;
    return first_compute_lane + turn;
  }

  /// On host threads a work runs later: what it throws is kept for its operation.
  StreamWork guarded(const StreamWork& work) const {
    const std::uint64_t number = ledger.next();
    return [work, number, into = ledger.failures(),
            name = ledger.name_of(OperationKind::compute, number)](StreamTarget target) {
      try {
        work(target);
      } catch (...) {
        into->add(number, detail::named(std::current_exception(), name));
      }
    };
  }

  CoordinatorOptions options;
  bool is_gpu;
  detail::OperationLedger ledger;
  unsigned turn = 0;
  bool closed = false;
  std::atomic_flag busy;
};

AsyncCoordinator::AsyncCoordinator(std::shared_ptr<StreamDevice> device, CoordinatorOptions options)
    : state_(std::make_unique<State>(std::move(device), std::move(options))) {}

AsyncCoordinator::~AsyncCoordinator() {
  try {
    close(state_->options.deadline);
  } catch (...) {  // nobody is left to be told
  }
}

OperationId AsyncCoordinator::queue_upload(void* to, const void* from, std::size_t bytes,
                                           Dependencies after) {
  const State::Call call(*state_, "queue_upload");
  return state_->copy(OperationKind::upload, upload_lane, to, from, bytes, after);
}

OperationId AsyncCoordinator::queue_download(void* to, const void* from, std::size_t bytes,
                                             Dependencies after) {
  const State::Call call(*state_, "queue_download");
  return state_->copy(OperationKind::download, download_lane, to, from, bytes, after);
}

OperationId AsyncCoordinator::queue_compute(const StreamWork& work, Dependencies after) {
  const State::Call call(*state_, "queue_compute");
  state_->require_work(work, state_->ledger.next());
  return state_->compute(work, state_->ledger.resolve(after));
}

std::vector<OperationId> AsyncCoordinator::fork(std::span<const StreamWork> works,
                                                Dependencies after) {
  const State::Call call(*state_, "fork");
  std::uint64_t number = state_->ledger.next();
  for (const StreamWork& work : works) state_->require_work(work, number++);
  const detail::Frontier before = state_->ledger.resolve(after);
  std::vector<OperationId> ids;
  ids.reserve(works.size());
  for (const StreamWork& work : works) ids.push_back(state_->compute(work, before));
  return ids;
}

OperationId AsyncCoordinator::join(Dependencies after) {
  const State::Call call(*state_, "join");
  const detail::Frontier before = state_->ledger.resolve(after);
  state_->ledger.take_place();
  return state_->ledger.append_join(before);
}

std::size_t AsyncCoordinator::poll(std::span<FinishedOperation> into) {
  const State::Call call(*state_, "poll");
  state_->ledger.refresh();
  return state_->ledger.tell(into);
}

std::vector<FinishedOperation> AsyncCoordinator::poll() {
  const State::Call call(*state_, "poll");
  state_->ledger.refresh();
  std::vector<FinishedOperation> all;
  std::array<FinishedOperation, 64> some;
  for (std::size_t count = some.size(); count == some.size();) {
    count = state_->ledger.tell(some);
    all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return all;
}

bool AsyncCoordinator::is_finished(OperationId id) {
  const State::Call call(*state_, "is_finished");
  state_->ledger.require(id, "is_finished of");
  return state_->ledger.is_finished(id.number);
}

void AsyncCoordinator::wait(OperationId id, std::chrono::nanoseconds deadline) {
  const State::Call call(*state_, "wait");
  state_->ledger.require(id, "wait for");
  state_->ledger.wait_for(id.number, detail::Deadline(deadline));
  state_->ledger.throw_failure(id.number);
}

void AsyncCoordinator::synchronize_all(std::chrono::nanoseconds deadline) {
  const State::Call call(*state_, "synchronize_all");
  state_->ledger.wait_for_all(detail::Deadline(deadline));
  state_->ledger.throw_failure(state_->ledger.next());
}

void AsyncCoordinator::close(std::chrono::nanoseconds deadline) {
  const State::Call call(*state_);
  if (std::exchange(state_->closed, true)) return;
  state_->ledger.wait_for_all(detail::Deadline(deadline));
  state_->ledger.throw_failure(state_->ledger.next());
}

std::uint64_t AsyncCoordinator::id() const {
  return state_->ledger.id_of(0).coordinator;
}
const std::string& AsyncCoordinator::name() const {
  return state_->options.name;
}

CoordinatorStats AsyncCoordinator::stats() const {
  const State::Call call(*state_);
  return state_->ledger.stats();
}

}  // namespace aatgs
