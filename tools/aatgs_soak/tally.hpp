// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace aatgs::soak {

/// What a run came to.
struct Tally {
  std::uint64_t contexts = 0;
  std::uint64_t configs = 0;         ///< submitted
  std::uint64_t collected = 0;       ///< completions that came back right
  std::uint64_t failed_on_word = 0;  ///< of those, failed because the config said so
  std::uint64_t dropped = 0;         ///< lost by a lossy policy or given up by an abort, counted
  std::uint64_t parks = 0;           ///< times a kernel left the GPU and was brought back

  std::uint64_t lost = 0;     ///< neither came back nor were counted as dropped
  std::uint64_t doubled = 0;  ///< came back again
  std::uint64_t torn = 0;     ///< config or telemetry made of parts of several
  std::uint64_t wrong = 0;    ///< whole, but not what was asked for
  std::uint64_t other = 0;    ///< exceptions, accounts that do not add up, memory that grows
  std::string first;          ///< the first of all these, in words

  [[nodiscard]] std::uint64_t errors() const { return lost + doubled + torn + wrong + other; }

  /// Counts an error; its words are kept if it is the first.
  void blame(std::uint64_t Tally::*kind, const std::string& words, std::uint64_t count = 1) {
    this->*kind += count;
    if (first.empty()) first = words;
  }

  Tally& operator+=(const Tally& more) {
    for (const auto part : {&Tally::contexts, &Tally::configs, &Tally::collected,
                            &Tally::failed_on_word, &Tally::dropped, &Tally::parks, &Tally::lost,
                            &Tally::doubled, &Tally::torn, &Tally::wrong, &Tally::other}) {
      this->*part += more.*part;
    }
    if (first.empty()) first = more.first;
    return *this;
  }
};

}  // namespace aatgs::soak
