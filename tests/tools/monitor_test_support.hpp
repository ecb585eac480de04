// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../temporary_directory.hpp"

namespace aatgs::monitor {

namespace fs = std::filesystem;

using Directory = test::TemporaryDirectory;

inline std::string manifest_line(const std::string& run_id, int part = 0) {
  return R"({"type":"manifest","format":"aatgs-telemetry","format_version":1,"run_id":")" + run_id +
         R"(","part":)" + std::to_string(part) + R"(,"start_time":"2020-01-31T12:00:00Z"})" + "\n";
}

/// `more`: further fields, with a comma before.
inline std::string metric_line(const std::string& run_id, std::uint64_t sequence,
                               const std::string& more = "") {
  return R"({"type":"metric","run_id":")" + run_id + R"(","sequence":)" + std::to_string(sequence) +
         R"(,"timestamp":"2020-01-31T12:00:01Z","phase":"whcr","step":1,"chromatic_number":9,)" +
         R"("conflicts":2)" + more + "}\n";
}

inline std::string summary_line(const std::string& run_id, std::uint64_t sequence) {
  return R"({"type":"summary","run_id":")" + run_id + R"(","sequence":)" +
         std::to_string(sequence) + R"(,"timestamp":"2020-01-31T12:00:02Z","written":1})" + "\n";
}

inline void put(const fs::path& file, const std::string& text,
                std::ios::openmode mode = std::ios::trunc) {
  std::ofstream(file, std::ios::binary | std::ios::out | mode) << text;
}
inline void append(const fs::path& file, const std::string& text) {
  put(file, text, std::ios::app);
}

}  // namespace aatgs::monitor
