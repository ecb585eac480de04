// SPDX-License-Identifier: Apache-2.0
// What the soak sends and what it must get back. Every word follows from the ticket and from the
// context's salt, so that both ends can tell a right one from any other.
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs::soak {

inline constexpr std::uint64_t golden = 0x9E37'79B9'7F4A'7C15U;

/// SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
AATGS_HOST_DEVICE constexpr std::uint64_t mix(std::uint64_t x) {
  x += golden;
  x = (x ^ (x >> 30)) * 0xBF58'476D'1CE4'E5B9U;
  x = (x ^ (x >> 27)) * 0x94D0'49BB'1331'11EBU;
  return x ^ (x >> 31);
}

inline constexpr std::uint32_t payload_words = 30;
inline constexpr std::uint32_t answer_words = 7;

/// Bits of `SoakConfig::order`: what the step is to do, the port, nanoseconds that the step spins.
inline constexpr std::uint32_t order_fail = 1U << 31;        ///< fail with `failure_code`
inline constexpr std::uint32_t order_collective = 1U << 30;  ///< check by a sum over the group too
inline constexpr std::uint32_t order_port_shift = 24;
inline constexpr std::uint32_t order_port = 15U << order_port_shift;
inline constexpr std::uint32_t order_spin = (1U << order_port_shift) - 1;

/// As large as a `RuntimeConfig`.
struct SoakConfig {
  std::uint64_t ticket;
  std::uint32_t order;
  std::uint32_t check;                 ///< `check_of` the two above
  std::uint64_t words[payload_words];  ///< `payload_word`
};

/// As large as a `KernelTelemetry`.
struct SoakTelemetry {
  std::uint64_t ticket;               ///< as the step was told
  std::uint64_t words[answer_words];  ///< `answer_word`
};

static_assert(sizeof(SoakConfig) == 256 && sizeof(SoakTelemetry) == 64);

/// From which all words of a ticket of one port follow; `salt` is the context's.
AATGS_HOST_DEVICE constexpr std::uint64_t base_of(std::uint64_t ticket, std::uint32_t port,
                                                  std::uint64_t salt) {
  return mix(ticket ^ (salt + port * golden));
}

AATGS_HOST_DEVICE constexpr std::uint64_t payload_word(std::uint64_t base, std::uint32_t i) {
  return base + i * golden;
}

AATGS_HOST_DEVICE constexpr std::uint32_t check_of(std::uint64_t base, std::uint32_t order) {
  return order * 2'654'435'761U + static_cast<std::uint32_t>(base >> 32);
}

/// Word i of the telemetry is made of this word of the config, as it arrived, and of the ticket.
AATGS_HOST_DEVICE constexpr std::uint32_t source_of(std::uint32_t i) {
  return 4 * i + 5;
}
AATGS_HOST_DEVICE constexpr std::uint64_t answer_word(std::uint64_t payload, std::uint64_t ticket) {
  return (payload ^ ticket) * 0xD134'2543'DE82'EF95U;
}

/// What a step that is told to fail fails with. The top bit keeps it apart from `Flaw`.
AATGS_HOST_DEVICE constexpr std::uint32_t failure_code(std::uint64_t base) {
  return static_cast<std::uint32_t>(base) | 0x8000'0000U;
}
/// Whether a ticket is to fail, in contexts where some are: one in 1024.
constexpr bool is_to_fail(std::uint64_t base) {
  return base >> 54 == 0;
}

/// What a step that finds its config wrong fails with; a word's number stands below `flaw_place`.
enum class Flaw : std::uint32_t { none, ticket, check, payload, sum };
inline constexpr std::uint32_t flaw_place = 256;

inline void fill(SoakConfig& config, std::uint64_t ticket, std::uint64_t base,
                 std::uint32_t order) {
  config.ticket = ticket;
  config.order = order;
  config.check = check_of(base, order);
  for (std::uint32_t i = 0; i < payload_words; ++i) config.words[i] = payload_word(base, i);
}

/// Whether the telemetry is whole and that of `ticket`.
inline bool is_answer(const SoakTelemetry& out, std::uint64_t ticket, std::uint64_t base) {
  std::uint64_t difference = out.ticket ^ ticket;
  for (std::uint32_t i = 0; i < answer_words; ++i) {
    difference |= out.words[i] ^ answer_word(payload_word(base, source_of(i)), ticket);
  }
  return difference == 0;
}

}  // namespace aatgs::soak
