// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/host_message.hpp>
#include <aatgs/runtime/telemetry_ring.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace aatgs {

/// The host's end of the telemetry ring. One thread at a time.
template <class Telemetry>
class CompletionReader {
 public:
  using Record = CompletionRecord<Telemetry>;
  static constexpr std::uint32_t patient_looks = 256;  ///< of `read_into`; some 10 us

  /// `workers`: how many configs can be running at once.
  CompletionReader(const TelemetryRing& ring, std::uint64_t first_ticket, std::uint32_t workers)
      : ring_(ring), first_(first_ticket), head_(first_ticket), workers_(workers) {}

  /// Collects one completion of the tickets below `end`, the oldest if it is there. Each call looks
  /// at the oldest open slot and at one later slot in turn, so that a long step does not hide the
  /// short ones behind it.
  [[nodiscard]] bool try_read(std::uint64_t end, Completion<Telemetry>& out) {
    if (oldest(end) == end) return false;
    if (read_slot(head_, end, out)) return true;
    const std::uint64_t later = next_later(end);
    return later < end && read_slot(later, end, out);
  }

  /// For who waits for all of a batch, the tickets from `first` to below `end`; policy `block`
  /// only. Collects what is there, each straight into its place in `out`, which begins with `first`
  /// and holds rubbish where nothing has been collected; returns how many. Reads in order, which is
  /// fastest; once the oldest has been late for `patient_looks` calls, each looks at one later slot
  /// as well, so that the short steps behind a long one are not left for its end. `shift`: by how
  /// much the users' tickets are ahead of the ring's.
  [[nodiscard]] std::size_t read_into(std::uint64_t first, std::uint64_t end,
                                      std::span<Completion<Telemetry>> out,
                                      std::uint64_t shift = 0) {
    std::size_t count = 0;
    std::uint64_t ticket = head_;
    for (; ticket < end; ++ticket) {
      if (collected(ticket)) continue;
      if (!read_ticket(ticket, shift, out[ticket - first])) break;
      ++count;
    }
    head_ = ticket;
    late_ = count > 0 ? 0 : late_ + 1;
    if (ticket < end && late_ > patient_looks) {
      const std::uint64_t later = next_later(end);
      const bool is_open = later < end && !collected(later);
      if (is_open && read_ticket(later, shift, out[later - first])) ++count;
    }
    collected_ += count;
    return count;
  }

  /// Whether the host has collected the ticket that had the slot of `ticket` before it.
  [[nodiscard]] bool slot_is_free(std::uint64_t ticket) const {
    return ring_.seen[ring_.shape.slot_of(ticket)] == ring_.shape.lap_of(ticket) - 1;
  }

  /// Whether the completion of a ticket in the ring's range has not come.
  [[nodiscard]] bool is_open(std::uint64_t ticket) const {
    return !collected(ticket) && !fresh(ticket);
  }

  [[nodiscard]] std::uint64_t collected_count() const { return collected_; }
  /// Completions that newer ones overwrote before they were read; `overwrite_oldest` only.
  [[nodiscard]] std::uint64_t overwritten() const { return overwritten_; }

  /// Completions that lie in the ring unread. Exact if `exact`; otherwise it assumes that they are
  /// contiguous and costs a logarithm of the ring size instead of the whole ring.
  [[nodiscard]] std::uint32_t unread(std::uint64_t end, bool exact) const {
    std::uint64_t begin = head_;
    while (begin < end && collected(begin)) ++begin;
    end = std::min(end, begin + ring_.shape.slots);
    if (exact) {
      std::uint32_t count = 0;
      for (std::uint64_t t = begin; t < end; ++t) count += fresh(t) ? 1U : 0U;
      return count;
    }
    std::uint64_t low = begin;
    while (low < end) {  // first ticket that is not fresh
      const std::uint64_t middle = low + (end - low) / 2;
      if (fresh(middle)) {
        low = middle + 1;
      } else {
        end = middle;
      }
    }
    return static_cast<std::uint32_t>(low - begin);
  }

 private:
  [[nodiscard]] bool collected(std::uint64_t ticket) const {
    return static_cast<std::int32_t>(ring_.seen[ring_.shape.slot_of(ticket)] -
                                     ring_.shape.lap_of(ticket)) >= 0;
  }

  /// Sets `head_` to it; `end` if all have been collected.
  std::uint64_t oldest(std::uint64_t end) {
    while (head_ < end && collected(head_)) ++head_;
    return head_;
  }

  /// The next of the tickets behind `head_` to look at, in turn; `end` if there is none.
  std::uint64_t next_later(std::uint64_t end) {
    const std::uint64_t limit = search_end(end);
    if (ahead_ <= head_ || ahead_ >= limit) ahead_ = head_ + 1;
    return ahead_ < limit ? ahead_++ : end;
  }

  [[nodiscard]] bool fresh(std::uint64_t ticket) const {
    return load_granule(ring_.granules + ring_.shape.offset_of(ticket)).lap() !=
           ring_.seen[ring_.shape.slot_of(ticket)];
  }

  /// No ticket from here on needs a look. Tickets are taken in order, so without losses the oldest
  /// uncollected completion has at most `workers` running tickets before it.
  [[nodiscard]] std::uint64_t search_end(std::uint64_t end) const {
    const std::uint64_t reach = ring_.policy == TelemetryPolicy::block
                                    ? first_ + collected_ + workers_
                                    : head_ + ring_.shape.slots;
    return std::min(end, reach);
  }

  /// A lap that no ticket below `end` can have is rubbish, not a completion: were it taken for one,
  /// callers would look up a ticket that they never got.
  bool read_slot(std::uint64_t ticket, std::uint64_t end, Completion<Telemetry>& out) {
    const RingShape& shape = ring_.shape;
    const std::uint32_t slot = shape.slot_of(ticket);
    const Granule* from = ring_.granules + shape.offset_of(ticket);
    const std::uint32_t lap = load_granule(from).lap();
    const std::uint32_t before = ring_.seen[slot];
    if (lap == before) return false;
    const auto laps_ahead = static_cast<std::int32_t>(lap - shape.lap_of(ticket));
    const std::uint64_t found =
        ticket + static_cast<std::uint64_t>(std::int64_t{laps_ahead}) * shape.slots;
    if (found >= end || static_cast<std::int32_t>(lap - before) < 0) return false;
    if (!read_value(from, lap, static_cast<Record&>(out))) return false;
    store_shared(ring_.seen + slot, lap);
    if (ring_.policy == TelemetryPolicy::overwrite_oldest) overwritten_ += lap - before - 1;
    ++collected_;
    out.ticket = found;
    return true;
  }

  /// The same where nothing is lost, for a ticket that is not collected. Looks at the last granule
  /// first: in vain, that takes only one cache line away from who is writing.
  bool read_ticket(std::uint64_t ticket, std::uint64_t shift, Completion<Telemetry>& out) {
    const RingShape& shape = ring_.shape;
    const Granule* from = ring_.granules + shape.offset_of(ticket);
    const std::uint32_t lap = shape.lap_of(ticket);
    if (load_granule(from + shape.granules - 1).lap() != lap) return false;
    if (!read_value(from, lap, static_cast<Record&>(out))) return false;
    store_shared(ring_.seen + shape.slot_of(ticket), lap);
    out.ticket = ticket + shift;
    return true;
  }

  TelemetryRing ring_;
  std::uint64_t first_;
  std::uint64_t head_;       // oldest ticket that may be uncollected
  std::uint64_t ahead_ = 0;  // next later ticket to look at
  std::uint32_t late_ = 0;   // calls in a row to `read_into` for which the oldest was not there
  std::uint32_t workers_;
  std::uint64_t collected_ = 0;
  std::uint64_t overwritten_ = 0;
};

}  // namespace aatgs
