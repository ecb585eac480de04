// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/hang_record.hpp>

namespace aatgs {

std::string describe(const HangRecord& record) {
  if (record.place == WaitPlace::none) return {};
  return " (a device wait passed its deadline: grid barrier, ticket " +
         std::to_string(record.ticket) + ", block " + std::to_string(record.block) + ", found " +
         std::to_string(record.found) + ", expected " + std::to_string(record.expected) +
         "; does every thread of the step reach every sync?)";
}

namespace {

/// "3 configs run (tickets 7, 8, 12)"; the first few are named.
std::string list(std::span<const std::uint64_t> tickets, const std::string& what) {
  constexpr std::size_t most = 8;
  const bool one = tickets.size() == 1;
  std::string text = std::to_string(tickets.size()) + (one ? " config " : " configs ") + what +
                     " (ticket" + (one ? " " : "s ");
  for (std::size_t i = 0; i < tickets.size() && i < most; ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(tickets[i]);
  }
  return text + (tickets.size() > most ? ", ...)" : ")");
}

}  // namespace

std::string describe_open(std::span<const std::uint64_t> running,
                          std::span<const std::uint64_t> queued) {
  std::string text;
  if (!running.empty()) text += list(running, "taken and in the step");
  if (!running.empty() && !queued.empty()) text += ", ";
  if (!queued.empty()) text += list(queued, "not taken");
  return text;
}

}  // namespace aatgs
