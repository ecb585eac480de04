// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/completion.hpp>
#include <vector>

#include "messages.hpp"
#include "tally.hpp"

namespace aatgs::soak {

/// Ticks off what one port has submitted as it comes back. One thread at a time.
class Ledger {
 public:
  /// `some_fail`: of the configs, those that `is_to_fail`.
  Ledger(std::uint64_t first_ticket, std::uint32_t port, std::uint64_t salt, bool some_fail)
      : first_(first_ticket), port_(port), salt_(salt), some_fail_(some_fail) {}

  [[nodiscard]] std::uint64_t base(std::uint64_t ticket) const {
    return base_of(ticket, port_, salt_);
  }
  [[nodiscard]] bool fails(std::uint64_t base) const { return some_fail_ && is_to_fail(base); }

  /// Notes that the next `count` tickets have been accepted.
  void submit(std::uint64_t count) {
    tally_.configs += count;
    if (tally_.configs > 64 * seen_.size())
      seen_.resize(2 * seen_.size() + tally_.configs / 64 + 1);
  }

  [[nodiscard]] std::uint64_t next() const { return first_ + tally_.configs; }
  [[nodiscard]] std::uint64_t open() const { return tally_.configs - seen_count_; }
  [[nodiscard]] std::uint64_t submitted() const { return tally_.configs; }
  [[nodiscard]] std::uint64_t seen() const { return seen_count_; }

  void tick(const Completion<SoakTelemetry>& done) {
    const std::uint64_t i = done.ticket - first_;
    if (i >= tally_.configs) return foreign(done);
    std::uint64_t& word = seen_[i / 64];
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    if ((word & bit) != 0) return doubled(done);
    word |= bit;
    ++seen_count_;
    const std::uint64_t base = this->base(done.ticket);
    const bool failing = fails(base);
    const bool ended_well =
        failing ? done.status == CompletionStatus::failed && done.code == failure_code(base)
                : done.ok();
    if (!ended_well || !is_answer(done.telemetry, done.ticket, base)) return bad(done, failing);
    ++tally_.collected;
    tally_.failed_on_word += failing ? 1U : 0U;
  }

  /// The oldest ticket that has not come back; `next()` if all have.
  [[nodiscard]] std::uint64_t oldest_open() const;
  /// What has not come back never will; of that, so many are counted as dropped.
  void lose(std::uint64_t dropped);
  /// `dropped`: how many the context owns up to; all others must be back.
  void close(std::uint64_t dropped, std::uint64_t parks);
  /// Counts an error that is not about one completion.
  void blame(const std::string& words) { tally_.blame(&Tally::other, words); }
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  void foreign(const Completion<SoakTelemetry>& done);
  void doubled(const Completion<SoakTelemetry>& done);
  void bad(const Completion<SoakTelemetry>& done, bool failing);

  std::uint64_t first_;
  std::uint32_t port_;
  std::uint64_t salt_;
  bool some_fail_;
  std::vector<std::uint64_t> seen_;  // a bit for each ticket from the first
  std::uint64_t seen_count_ = 0;
  Tally tally_;
};

}  // namespace aatgs::soak
