// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/host_clock.hpp>

#include "messages.hpp"

namespace aatgs::soak {

/// Checks every word of the config in every block, and answers with words of it.
struct SoakStep {
  static constexpr unsigned block_threads = 64;

  std::uint64_t salt;  ///< of the context

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const SoakConfig& config,
                                    SoakTelemetry& out) const {
    const std::uint64_t base =
        base_of(config.ticket, (config.order & order_port) >> order_port_shift, salt);
    const std::uint32_t flaw = find_flaw(group, config, base);
    if (flaw != 0) group.fail(flaw);
    if ((config.order & order_fail) != 0 && group.rank() == base % group.size()) {
      group.fail(failure_code(base));
    }
    if ((config.order & order_spin) != 0) spin(group, config.order & order_spin);
    if (group.rank() != 0) return;
    out.ticket = group.ticket();
    for (std::uint32_t i = 0; i < answer_words; ++i) {
      out.words[i] = answer_word(config.words[source_of(i)], group.ticket());
    }
  }

 private:
  AATGS_HOST_DEVICE static constexpr std::uint32_t code(Flaw flaw, std::uint32_t place = 0) {
    return static_cast<std::uint32_t>(flaw) * flaw_place + place;
  }

  /// What this thread finds wrong, as a code to fail with.
  template <class Group>
  AATGS_HOST_DEVICE static std::uint32_t find_flaw(Group& group, const SoakConfig& config,
                                                   std::uint64_t base) {
    std::uint32_t flaw = 0;
    for (std::uint32_t i = group.block_rank(); i < payload_words; i += group.block_size()) {
      if (config.words[i] != payload_word(base, i)) flaw = code(Flaw::payload, i);
    }
    if (config.check != check_of(base, config.order)) flaw = code(Flaw::check);
    if (config.ticket != group.ticket()) flaw = code(Flaw::ticket);
    if (config.check == check_of(base, config.order) && (config.order & order_collective) != 0) {
      std::uint64_t part = 0;
      for (std::uint32_t i = group.rank(); i < payload_words; i += group.size()) {
        part += config.words[i];
      }
      constexpr std::uint64_t of_numbers = payload_words * (payload_words - 1) / 2;
      if (group.sum(part) != payload_words * base + of_numbers * golden) flaw = code(Flaw::sum);
    }
    return flaw;
  }

  template <class Group>
  AATGS_HOST_DEVICE static void spin(Group& group, std::uint32_t ns) {
    if (group.block_rank() == 0) {
      for (const std::uint64_t begin = now(); now() - begin < ns && !group.stop_requested();) {
      }
    }
    group.sync_block();
  }

  AATGS_HOST_DEVICE static std::uint64_t now() {
#if defined(__CUDA_ARCH__)
    std::uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
#else
    return host_now_ns();
#endif
  }
};

}  // namespace aatgs::soak
