// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <aatgs/host/errors.hpp>
#include <concepts>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aatgs::coloring::test {

namespace fs = std::filesystem;

/// A folder of its own that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (fs::temp_directory_path() / "aatgs-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] fs::path operator/(std::string_view name) const { return path_ / name; }
  [[nodiscard]] auto entries() const {
    return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
  }

 private:
  fs::path path_;
};

inline void put(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The message of the InputError that `call` throws; empty where it throws none.
std::string input_error(const std::invocable auto& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

/// Folder of the real DIMACS files, or null: tests that need it are then skipped, and counted so.
inline const char* dimacs_dir() {
  return std::getenv("AATGS_DIMACS_DIR");
}

}  // namespace aatgs::coloring::test
