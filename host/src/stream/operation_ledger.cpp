// SPDX-License-Identifier: Apache-2.0
#include "operation_ledger.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>

#include "named_error.hpp"

namespace aatgs::detail {

OperationLedger::OperationLedger(std::shared_ptr<StreamDevice> device,
                                 const CoordinatorOptions& options)
    : device_(std::move(device)),
      who_("coordinator '" + options.name + "'"),
      mask_(options.operations - 1),
      records_(options.operations),
      room_deadline_(options.deadline) {
  const auto add = [&](const std::string& role, StreamPriority priority) {
    lanes_.emplace_back(device_, StreamOptions{.name = options.name + ' ' + role,
                                               .priority = priority,
                                               .metrics = options.metrics});
  };
  add("upload", StreamPriority::high);
  add("download", StreamPriority::high);
  for (unsigned i = 0; i < options.compute_streams; ++i) {
    add("compute " + std::to_string(i), StreamPriority::normal);
  }
  joined_.resize(records_.size() * lanes_.size());
  open_joins_.reserve(records_.size());
  // Stream ids are never given twice, but host threads and GPUs count them on their own.
  id_ = lanes_.front().stream.id() << 8U | static_cast<std::uint8_t>(device_->ordinal() + 1);
}

std::string OperationLedger::name_of(OperationKind kind, std::uint64_t number) const {
  return who_ + ", " + std::string(to_string(kind)) + " operation " + std::to_string(number);
}

void OperationLedger::require(OperationId id, const char* doing) const {
  if (id.coordinator != id_) {
    throw UseError(who_ + ": " + doing + " operation " + std::to_string(id.number) +
                   " of another coordinator: give it ids that it returned itself");
  }
  if (id.number == 0 || id.number >= next_) {
    throw UseError(who_ + ": " + doing + " operation " + std::to_string(id.number) +
                   ", but it has queued " + std::to_string(next_ - 1) +
                   " so far: give it ids that it returned");
  }
}

Frontier OperationLedger::resolve(Dependencies after) {
  Frontier before{};
  for (const OperationId id : after) {
    require(id, "a dependency names");
    const OperationRecord& record = at(id.number);
    if (record.number != id.number) {  // long finished
      ++stats_.waits_skipped;
    } else if (record.kind == OperationKind::join) {
      const std::uint64_t* joined = joined_by(id.number);
      for (unsigned i = 0; i < lane_count(); ++i) before[i] = std::max(before[i], joined[i]);
    } else {
      before[record.lane] = std::max(before[record.lane], id.number);
    }
  }
  return before;
}

Event& OperationLedger::take_place() {
  OperationRecord& place = at(next_);
  if (place.number != 0) {
    if (!is_finished(place.number)) {
      ++stats_.waits_for_room;
      wait_for(place.number, Deadline(room_deadline_));
    }
    drop_report(place);
  }
  if (!place.event) place.event.emplace(device_);
  return *place.event;
}

void OperationLedger::drop_report(const OperationRecord& place) {
  bool untold = false;
  if (place.kind == OperationKind::join) {
    untold = !open_joins_.empty() && open_joins_.front() == place.number;
    if (untold) open_joins_.erase(open_joins_.begin());
    if (untold) ++stats_.finished;
  } else {
    OperationLane& lane = lanes_[place.lane];
    untold = lane.first_untold == place.number;
    if (untold) lane.first_untold = place.following;
  }
  if (untold) ++stats_.reports_dropped;
}

void OperationLedger::wait_in(unsigned lane, const Frontier& before) {
  OperationLane& waiting = lanes_[lane];
  for (unsigned i = 0; i < lane_count(); ++i) {
    if (before[i] == 0) continue;
    if (i == lane || before[i] <= lanes_[i].done || before[i] <= waiting.waited[i]) {
      ++stats_.waits_skipped;
      continue;
    }
    waiting.stream.wait(*at(before[i]).event);
    waiting.waited[i] = before[i];
    ++stats_.waits_queued;
  }
}

OperationId OperationLedger::append(unsigned lane, OperationKind kind) {
  OperationLane& in = lanes_[lane];
  OperationRecord& record = at(next_);
  record.number = next_;
  record.following = 0;
  record.lane = lane;
  record.kind = kind;
  if (in.first_untold == 0) {
    in.first_untold = next_;
  } else {
    at(in.last).following = next_;
  }
  if (in.first_unfinished == 0) in.first_unfinished = next_;
  in.last = next_;
  ++stats_.queued;
  return id_of(next_++);
}

OperationId OperationLedger::append_join(const Frontier& before) {
  OperationRecord& record = at(next_);
  record.number = next_;
  record.kind = OperationKind::join;
  std::copy_n(before.begin(), lane_count(), joined_by(next_));
  open_joins_.push_back(next_);
  ++stats_.queued;
  return id_of(next_++);
}

void OperationLedger::refresh() {
  for (OperationLane& lane : lanes_) refresh(lane);
}

void OperationLedger::refresh(OperationLane& lane) {
  while (lane.first_unfinished != 0) {
    const OperationRecord& record = at(lane.first_unfinished);
    bool done = false;
    try {
      done = record.event->is_done();
    } catch (...) {
      rethrow_named(std::current_exception(), name_of(record.kind, record.number));
    }
    if (!done) return;
    finish(lane);
  }
}

void OperationLedger::finish(OperationLane& lane) {
  lane.done = lane.first_unfinished;
  lane.first_unfinished = at(lane.done).following;
  ++stats_.finished;
}

bool OperationLedger::is_passed(const std::uint64_t* frontier) const {
  for (unsigned i = 0; i < lane_count(); ++i) {
    if (frontier[i] > lanes_[i].done) return false;
  }
  return true;
}

bool OperationLedger::is_finished(std::uint64_t number) {
  const OperationRecord& record = at(number);
  if (record.number != number) return true;  // its place went to a later one
  if (record.kind == OperationKind::join) {
    if (is_passed(joined_by(number))) return true;
    refresh();
    return is_passed(joined_by(number));
  }
  OperationLane& lane = lanes_[record.lane];
  if (number > lane.done) refresh(lane);
  return number <= lane.done;
}

void OperationLedger::wait_for(std::uint64_t number, const Deadline& deadline) {
  if (is_finished(number)) return;
  const OperationRecord& record = at(number);
  if (record.kind == OperationKind::join) {
    for (unsigned i = 0; i < lane_count(); ++i) {
      const std::uint64_t joined = joined_by(number)[i];
      if (joined > lanes_[i].done) wait_for(joined, deadline);
    }
    return;
  }
  try {
    detail::wait_for(*record.event, deadline);
  } catch (...) {
    rethrow_named(std::current_exception(), name_of(record.kind, number));
  }
  OperationLane& lane = lanes_[record.lane];
  while (lane.done < number) finish(lane);
}

void OperationLedger::wait_for_all(const Deadline& deadline) {
  for (const OperationLane& lane : lanes_) {
    if (!lane.is_idle()) wait_for(lane.last, deadline);
  }
}

void OperationLedger::throw_failure(std::uint64_t up_to) {
  if (const std::exception_ptr error = failures_->take(0, up_to)) std::rethrow_exception(error);
}

FinishedOperation OperationLedger::report(std::uint64_t number) {
  return {id_of(number), at(number).kind, failures_->take(number, number)};
}

std::size_t OperationLedger::tell(std::span<FinishedOperation> into) {
  std::size_t count = 0;
  for (OperationLane& lane : lanes_) {
    while (count < into.size() && lane.first_untold != 0 && lane.first_untold <= lane.done) {
      into[count++] = report(lane.first_untold);
      lane.first_untold = at(lane.first_untold).following;
    }
  }
  std::erase_if(open_joins_, [&](std::uint64_t number) {
    if (count == into.size() || !is_passed(joined_by(number))) return false;
    into[count++] = report(number);
    ++stats_.finished;
    return true;
  });
  return count;
}

CoordinatorStats OperationLedger::stats() const {
  CoordinatorStats stats = stats_;
  stats.failed = failures_->added();
  return stats;
}

}  // namespace aatgs::detail
