// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include <malloc.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

namespace aatgs::soak {

std::uint64_t resident_bytes() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace aatgs::soak
