// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aatgs {

/// Writes Chrome's JSON trace format. Times are nanoseconds; they appear as microseconds.
class ChromeTrace {
 public:
  void name_process(std::uint32_t process, std::string_view name);
  void name_track(std::uint32_t process, std::uint32_t track, std::string_view name);
  /// `args`: a JSON object.
  void span(std::uint32_t process, std::uint32_t track, std::string_view name, std::uint64_t begin,
            std::uint64_t end, std::string_view args);
  /// Of no track: may overlap others.
  void async_span(std::uint32_t process, std::uint64_t id, std::string_view name,
                  std::uint64_t begin, std::uint64_t end, std::string_view args);

  /// All of it; `notes`: a JSON object.
  [[nodiscard]] std::string whole(std::string_view notes = "{}") const;

 private:
  void begin(char phase, std::string_view name, std::uint32_t process);
  void add_time(const char* key, std::uint64_t ns);

  std::string text_;
};

}  // namespace aatgs
