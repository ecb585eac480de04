// SPDX-License-Identifier: Apache-2.0
#include "process_identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace aatgs::detail {

std::uint64_t start_of_process(std::uint32_t pid) {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/%u/stat", pid);
  const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 1024> text{};
  const ssize_t size = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  if (size <= 0) return 0;
  // "PID (NAME) STATE ..."; the name may hold blanks and brackets. The start is the 22nd word.
  const char* word = std::strrchr(text.data(), ')');
  if (word == nullptr || word[1] == '\0' || word[2] == 'Z' || word[2] == 'X') return 0;
  for (int i = 2; i < 22 && word != nullptr; ++i) word = std::strchr(word + 1, ' ');
  return word == nullptr ? 0 : std::strtoull(word, nullptr, 10);
}

std::uint64_t own_pid_namespace() {
  struct stat facts {};
  return ::stat("/proc/self/ns/pid", &facts) == 0 ? facts.st_ino : 0;
}

}  // namespace aatgs::detail
