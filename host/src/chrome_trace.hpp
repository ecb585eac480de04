// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

  /// A point of a curve.
  void counter(std::uint32_t process, std::string_view name, std::uint64_t at, std::uint64_t value);

  /// All of it; `notes`: a JSON object.
  [[nodiscard]] std::string whole(std::string_view notes = "{}") const;

 private:
  void begin(char phase, std::string_view name, std::uint32_t process);
  void add_time(const char* key, std::uint64_t ns);

  std::string text_;
};

/// The track of each span: the first one that is free. Spans come in the order in which they begin.
class SpanTracks {
 public:
  std::uint32_t place(std::uint64_t begin, std::uint64_t end) {
    for (std::uint32_t track = 0; track < ends_.size(); ++track) {
      if (ends_[track] > begin) continue;
      ends_[track] = end;
      return track;
    }
    ends_.push_back(end);
    return count() - 1;
  }
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(ends_.size()); }

 private:
  std::vector<std::uint64_t> ends_;
};

}  // namespace aatgs
