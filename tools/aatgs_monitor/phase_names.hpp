// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text_input.hpp"

namespace aatgs::monitor {

/// Which phases there are, for whoever asked for one that there is not.
class PhaseNames {
 public:
  void add(std::string_view phase) {
    if (phase == last_) return;  // nearly always
    last_ = phase;
    if (names_.size() < most || names_.contains(last_)) names_.insert(last_);
  }

  /// One sentence, where one of the wanted phases does not occur; else empty.
  [[nodiscard]] std::string missing(const std::vector<std::string>& wanted) const {
    for (const std::string& phase : wanted) {
      if (names_.contains(phase) || names_.size() == most || names_.empty()) continue;
      std::string text = "no record is of the phase '" + printable(phase) + "'; there are ";
      for (const std::string& name : names_) {
        text += (name == *names_.begin() ? "" : ", ") + printable(name);
      }
      return text;
    }
    return {};
  }

 private:
  static constexpr std::size_t most = 32;  // beyond which it keeps still

  std::set<std::string, std::less<>> names_;
  std::string last_;
};

}  // namespace aatgs::monitor
