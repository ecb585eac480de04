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

}  // namespace aatgs
