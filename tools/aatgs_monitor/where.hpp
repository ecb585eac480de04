// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "line.hpp"

namespace aatgs::monitor {

/// A condition on records: comparisons FIELD OP VALUE joined by && and || (&& binds tighter), such
/// as `conflicts>0 && phase==whcr || parameters.temperature<0.5`.
///
/// Fields are those of a record, `mode` (gpu, cpu_fallback, disabled), `stream`, `ticket`,
/// `reason`, `name`, `colors` for chromatic_number, and `parameters.KEY` and `notes.KEY`, also
/// deeper. OP is one of == = != < <= > >= and ~ (contains). A VALUE with blanks or signs stands in
/// quotes, and is then a text. Numbers compare as numbers, texts by their bytes. What a record does
/// not have fulfils no comparison.
class Where {
 public:
  Where() = default;  ///< holds always

  /// Throws OptionError that shows the place.
  [[nodiscard]] static Where parse(std::string_view text);

  [[nodiscard]] bool holds(const Record& record) const;

  using Getter = Scalar (*)(const Record& record, std::string_view path);
  enum class Op : std::uint8_t { equal, unequal, less, at_most, more, at_least, contains };

  struct Comparison {
    Getter get = nullptr;
    std::string path;  // inside parameters or notes
    Op op = Op::equal;
    std::string text;
    double number = 0;
    bool is_number = false;

    [[nodiscard]] bool holds(const Record& record) const;
  };

 private:
  std::vector<std::vector<Comparison>> any_;  // of which all must hold
};

/// "gpu", "cpu_fallback" or "disabled", as in the file.
[[nodiscard]] std::string_view mode_name(PhaseExecution::Mode mode);

}  // namespace aatgs::monitor
