// SPDX-License-Identifier: Apache-2.0
#include "ledger.hpp"

#include <cstdio>

namespace aatgs::soak {

namespace {

using Done = Completion<SoakTelemetry>;

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string name(const Done& done) {
  return "ticket " + std::to_string(done.ticket);
}

/// What the step says is wrong with its config, by its code; empty if that is none of its codes.
std::string describe_flaw(std::uint32_t code) {
  const std::string place = std::to_string(code % flaw_place);
  switch (static_cast<Flaw>(code / flaw_place)) {
    case Flaw::ticket:
      return "the step got the config of another ticket";
    case Flaw::check:
      return "the step found its config's check word wrong";
    case Flaw::payload:
      return "the step found payload word " + place + " of its config wrong";
    case Flaw::sum:
      return "the group's sum of its config's payload was wrong";
    case Flaw::none:
      break;
  }
  return {};
}

std::string describe_status(const Done& done) {
  if (done.ok()) return "ok";
  return "failed with code " + std::to_string(done.code);
}

/// Where the telemetry is not what it should be.
std::string describe_difference(const Done& done, std::uint64_t base) {
  std::string words = "expected telemetry of ticket " + std::to_string(done.ticket) +
                      ", found ticket " + std::to_string(done.telemetry.ticket);
  for (std::uint32_t i = 0; i < answer_words; ++i) {
    const std::uint64_t right = answer_word(payload_word(base, source_of(i)), done.ticket);
    if (done.telemetry.words[i] == right) continue;
    words += ", word " + std::to_string(i) + " " + hex(done.telemetry.words[i]) + " instead of " +
             hex(right);
  }
  return words + "; status " + describe_status(done);
}

}  // namespace

void Ledger::foreign(const Done& done) {
  tally_.blame(&Tally::wrong, name(done) + " came back, but only tickets " +
                                  std::to_string(first_) + " to " + std::to_string(next() - 1) +
                                  " had been queued");
}

void Ledger::doubled(const Done& done) {
  tally_.blame(&Tally::doubled, name(done) +
                                    " came back twice, the second time with telemetry of " +
                                    "ticket " + std::to_string(done.telemetry.ticket));
}

void Ledger::bad(const Done& done, bool failing) {
  const std::uint64_t expected = base(done.ticket);
  const std::string flaw = done.ok() ? std::string() : describe_flaw(done.code);
  const std::uint64_t claimed = done.telemetry.ticket;
  if (!flaw.empty()) {
    const bool is_other = static_cast<Flaw>(done.code / flaw_place) == Flaw::ticket;
    tally_.blame(is_other ? &Tally::wrong : &Tally::torn, name(done) + ": " + flaw);
  } else if (is_answer(done.telemetry, done.ticket, expected)) {
    const std::string wanted =
        failing ? "failed with code " + std::to_string(failure_code(expected)) : "ok";
    tally_.blame(&Tally::wrong,
                 name(done) + ": expected status " + wanted + ", found " + describe_status(done));
  } else if (is_answer(done.telemetry, claimed, base(claimed))) {
    tally_.blame(&Tally::wrong, name(done) + " came back with the whole telemetry of ticket " +
                                    std::to_string(claimed));
  } else {
    tally_.blame(&Tally::torn, name(done) + ": " + describe_difference(done, expected));
  }
}

std::uint64_t Ledger::oldest_open() const {
  std::uint64_t i = 0;
  while (i < tally_.configs && seen_[i / 64] == ~std::uint64_t{0}) i += 64;
  while (i < tally_.configs && (seen_[i / 64] >> (i % 64) & 1U) != 0) ++i;
  return first_ + (i < tally_.configs ? i : tally_.configs);
}

void Ledger::lose(std::uint64_t dropped) {
  const std::uint64_t missing = open() - dropped;
  tally_.blame(&Tally::lost,
               std::to_string(missing) + " tickets did not come back, though the executor says " +
                   "that all are done; the first that is missing is " +
                   std::to_string(oldest_open()),
               missing);
}

void Ledger::close(std::uint64_t dropped, std::uint64_t parks) {
  tally_.parks = parks;
  tally_.dropped = dropped;
  const std::uint64_t missing = open();
  if (missing > dropped) {
    tally_.blame(&Tally::lost,
                 std::to_string(missing) + " tickets did not come back, " +
                     std::to_string(dropped) +
                     " were counted as dropped; the first that is missing is " +
                     std::to_string(oldest_open()),
                 missing - dropped);
  } else if (missing < dropped) {
    blame(std::to_string(dropped) + " tickets were counted as dropped, but all except " +
          std::to_string(missing) + " came back");
  }
}

}  // namespace aatgs::soak
