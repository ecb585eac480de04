// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/async_coordinator.hpp>
#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "deadline.hpp"
#include "operation_failures.hpp"

namespace aatgs::detail {

constexpr unsigned most_lanes = 18;

/// For each lane the last operation that something waits for; 0: none. What comes before it in that
/// lane is done as well, so this is all that a set of dependencies comes to.
using Frontier = std::array<std::uint64_t, most_lanes>;

/// One operation. Its place in the ring is used again once it has finished.
struct OperationRecord {
  std::uint64_t number = 0;     // 0: the place was never used
  std::uint64_t following = 0;  // in the same lane; 0: none yet
  unsigned lane = 0;
  OperationKind kind = OperationKind::upload;
  std::optional<Event> event;  // made once, recorded again for each operation that has this place
};

/// A stream and its operations in order, the first of which are done, and of those the first told.
struct OperationLane {
  OperationLane(const std::shared_ptr<StreamDevice>& device, StreamOptions options)
      : stream(device, std::move(options)) {}

  [[nodiscard]] bool is_idle() const { return first_unfinished == 0; }

  Stream stream;
  std::uint64_t done = 0;              // the last that is known to be done
  std::uint64_t last = 0;              // the last queued
  std::uint64_t first_unfinished = 0;  // 0: none
  std::uint64_t first_untold = 0;
  Frontier waited{};  // what this stream waits for already
};

/// The operations of a coordinator: which are in flight, done and told, and what has to be waited
/// for. Numbers are the index into a ring, so nothing is searched. One thread at a time.
class OperationLedger {
 public:
  OperationLedger(std::shared_ptr<StreamDevice> device, const CoordinatorOptions& options);

  /// Throws `UseError` for an id that was never given.
  void require(OperationId id, const char* doing) const;
  [[nodiscard]] Frontier resolve(Dependencies after);
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] OperationId id_of(std::uint64_t number) const { return {id_, number}; }

  /// Makes room for operation `next()`, which may mean waiting for an old one, and gives its event.
  Event& take_place();
  /// Lets the lane wait for `before` on the device, where its own order and earlier waits are not
  /// enough.
  void wait_in(unsigned lane, const Frontier& before);
  /// Operation `next()` is in the lane, and its event recorded.
  OperationId append(unsigned lane, OperationKind kind);
  OperationId append_join(const Frontier& before);

  /// Looks which operations have finished.
  void refresh();
  /// Those that `refresh` found and nobody was told.
  std::size_t tell(std::span<FinishedOperation> into);
  [[nodiscard]] bool is_finished(std::uint64_t number);
  void wait_for(std::uint64_t number, const Deadline& deadline);
  void wait_for_all(const Deadline& deadline);
  /// What a work up to that operation threw.
  void throw_failure(std::uint64_t up_to);

  [[nodiscard]] std::string name_of(OperationKind kind, std::uint64_t number) const;
  [[nodiscard]] const std::string& who() const { return who_; }
  [[nodiscard]] OperationLane& lane(unsigned index) { return lanes_[index]; }
  [[nodiscard]] unsigned lane_count() const { return static_cast<unsigned>(lanes_.size()); }
  [[nodiscard]] const std::shared_ptr<OperationFailures>& failures() const { return failures_; }
  [[nodiscard]] CoordinatorStats stats() const;

 private:
  OperationRecord& at(std::uint64_t number) { return records_[number & mask_]; }
  [[nodiscard]] const OperationRecord& at(std::uint64_t number) const {
    return records_[number & mask_];
  }
  std::uint64_t* joined_by(std::uint64_t number) {
    return &joined_[(number & mask_) * lane_count()];
  }
  void refresh(OperationLane& lane);
  void finish(OperationLane& lane);
  [[nodiscard]] bool is_passed(const std::uint64_t* frontier) const;
  void drop_report(const OperationRecord& place);
  [[nodiscard]] FinishedOperation report(std::uint64_t number);

  std::shared_ptr<StreamDevice> device_;
  std::string who_;
  std::uint64_t mask_;
  std::vector<OperationLane> lanes_;
  std::vector<OperationRecord> records_;
  std::vector<std::uint64_t> joined_;      // frontiers of joins, one for each place
  std::vector<std::uint64_t> open_joins_;  // not told yet
  std::shared_ptr<OperationFailures> failures_ = std::make_shared<OperationFailures>();
  std::uint64_t id_ = 0;
  std::uint64_t next_ = 1;
  std::chrono::nanoseconds room_deadline_;
  CoordinatorStats stats_;
};

}  // namespace aatgs::detail
