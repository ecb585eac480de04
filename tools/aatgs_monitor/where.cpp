// SPDX-License-Identifier: Apache-2.0
#include "where.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "text_input.hpp"

namespace aatgs::monitor {
namespace {

using Op = Where::Op;
using Comparison = Where::Comparison;

Scalar number(std::uint64_t value) {
  return static_cast<double>(value);
}

/// Nothing for no text.
Scalar text(std::string_view value) {
  if (value.empty()) return {};
  return value;
}

Scalar number_in(const Record& record, PhaseExecution::Mode mode) {
  if (record.mode != mode) return {};
  return number(record.number);
}

enum class Kind : std::uint8_t { number, text, json };

struct Field {
  std::string_view name;
  Kind kind;
  Where::Getter get;
};

using Path = std::string_view;
constexpr std::array fields{
    Field{"run_id", Kind::text, [](const Record& r, Path) { return text(r.run_id); }},
    Field{"sequence", Kind::number, [](const Record& r, Path) { return number(r.sequence); }},
    Field{"timestamp", Kind::text, [](const Record& r, Path) { return text(r.timestamp); }},
    Field{"monotonic_ns", Kind::number,
          [](const Record& r, Path) { return number(r.monotonic_ns); }},
    Field{"phase", Kind::text, [](const Record& r, Path) { return Scalar(r.phase); }},
    Field{"step", Kind::number, [](const Record& r, Path) { return number(r.step); }},
    Field{"chromatic_number", Kind::number,
          [](const Record& r, Path) { return number(r.chromatic_number); }},
    Field{"colors", Kind::number, [](const Record& r, Path) { return number(r.chromatic_number); }},
    Field{"conflicts", Kind::number, [](const Record& r, Path) { return number(r.conflicts); }},
    Field{"duration_ms", Kind::number,
          [](const Record& r, Path) {
            return std::isnan(r.duration_ms) ? Scalar() : Scalar(r.duration_ms);
          }},
    Field{"mode", Kind::text, [](const Record& r, Path) { return Scalar(mode_name(r.mode)); }},
    Field{"stream", Kind::number,
          [](const Record& r, Path) { return number_in(r, PhaseExecution::Mode::gpu_stream); }},
    Field{"ticket", Kind::number,
          [](const Record& r, Path) { return number_in(r, PhaseExecution::Mode::gpu_ticket); }},
    Field{"reason", Kind::text, [](const Record& r, Path) { return text(r.reason); }},
    Field{"name", Kind::text, [](const Record& r, Path) { return text(name_of(r)); }},
    Field{"parameters", Kind::json, [](const Record& r, Path p) { return find(r.parameters, p); }},
    Field{"notes", Kind::json, [](const Record& r, Path p) { return find(r.notes, p); }},
};

std::string names_of_fields() {
  std::string names;
  for (const Field& field : fields) {
    names += (names.empty() ? "" : ", ") + std::string(field.name);
    if (field.kind == Kind::json) names += ".KEY";
  }
  return names;
}

constexpr std::array<std::pair<std::string_view, Op>, 8> operators{{{"==", Op::equal},
                                                                    {"!=", Op::unequal},
                                                                    {"<=", Op::at_most},
                                                                    {">=", Op::at_least},
                                                                    {"=", Op::equal},
                                                                    {"<", Op::less},
                                                                    {">", Op::more},
                                                                    {"~", Op::contains}}};

bool parse_double(std::string_view value, double& out) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  return error == std::errc() && end == value.data() + value.size() && std::isfinite(out);
}

class Parser {
 public:
  explicit Parser(std::string_view whole) : whole_(whole), rest_(whole) {}

  std::vector<std::vector<Comparison>> any() {
    std::vector<std::vector<Comparison>> found(1);
    found.back().push_back(comparison());
    for (skip_blanks(); !rest_.empty(); skip_blanks()) {
      const bool is_and = take("&&");
      if (!is_and && !take("||")) fail("&& or || is wanted");
      if (!is_and) found.emplace_back();
      found.back().push_back(comparison());
    }
    return found;
  }

 private:
  Comparison comparison() {
    Comparison made;
    const Field& field = field_of(made);
    made.op = operator_of();
    const bool quoted = value_of(made);
    made.is_number = !quoted && parse_double(made.text, made.number);
    if (field.kind == Kind::number && (!made.is_number || made.op == Op::contains)) {
      fail("'" + std::string(field.name) + "' is a number and wants one, with == != < <= > or >=");
    }
    if (field.kind == Kind::text || made.op == Op::contains) made.is_number = false;
    return made;
  }

  const Field& field_of(Comparison& made) {
    skip_blanks();
    const std::string_view before = rest_;
    const std::string_view name = take_until(" \t=!<>~&|'\"");
    const std::size_t dot = std::min(name.find('.'), name.size());
    const auto* field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) {
      return f.name == name.substr(0, dot) && (f.kind == Kind::json || dot == name.size());
    });
    if (field == fields.end()) {
      rest_ = before;
      fail("a field is wanted, one of " + names_of_fields());
    }
    made.get = field->get;
    made.path = name.substr(std::min(dot + 1, name.size()));
    return *field;
  }

  Op operator_of() {
    skip_blanks();
    for (const auto& [sign, op] : operators) {
      if (take(sign)) return op;
    }
    fail("one of == != < <= > >= ~ is wanted");
  }

  /// Whether it stood in quotes.
  bool value_of(Comparison& made) {
    skip_blanks();
    for (const char quote : {'"', '\''}) {
      if (!rest_.starts_with(quote)) continue;
      const std::size_t end = rest_.find(quote, 1);
      if (end == rest_.npos) fail("this quote does not end");
      made.text = rest_.substr(1, end - 1);
      rest_.remove_prefix(end + 1);
      return true;
    }
    made.text = take_until(" \t=!<>~&|'\"");
    if (made.text.empty()) fail("a value is wanted");
    return false;
  }

  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  std::string_view take_until(std::string_view ends) {
    const std::string_view token = rest_.substr(0, rest_.find_first_of(ends));
    rest_.remove_prefix(token.size());
    return token;
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw OptionError("--where '" + printable(whole_) +
                      "': " + (rest_.empty() ? "at its end" : "at '" + printable(rest_, 40) + "'") +
                      " " + reason);
  }

  std::string_view whole_;
  std::string_view rest_;
};

template <class T>
bool compare(const T& left, Op op, const T& right) {
  switch (op) {
    case Op::equal:
      return left == right;
    case Op::unequal:
      return left != right;
    case Op::less:
      return left < right;
    case Op::at_most:
      return left <= right;
    case Op::more:
      return left > right;
    case Op::at_least:
      return left >= right;
    case Op::contains:
      break;
  }
  return false;
}

}  // namespace

bool Where::Comparison::holds(const Record& record) const {
  const Scalar found = get(record, path);
  if (const auto* value = std::get_if<double>(&found)) {
    // A text that is compared with a number differs from it, and no more.
    return is_number ? compare(*value, op, number) : op == Op::unequal;
  }
  const auto* value = std::get_if<std::string_view>(&found);
  if (value == nullptr) return false;
  if (is_number) return op == Op::unequal;
  if (op == Op::contains) return value->find(text) != value->npos;
  return compare(*value, op, std::string_view(text));
}

Where Where::parse(std::string_view text) {
  Where where;
  where.any_ = Parser(text).any();
  return where;
}

bool Where::holds(const Record& record) const {
  const auto all = [&](const auto& comparisons) {
    return std::all_of(comparisons.begin(), comparisons.end(),
                       [&](const Comparison& c) { return c.holds(record); });
  };
  return any_.empty() || std::any_of(any_.begin(), any_.end(), all);
}

std::string_view mode_name(PhaseExecution::Mode mode) {
  switch (mode) {
    case PhaseExecution::Mode::gpu_stream:
    case PhaseExecution::Mode::gpu_ticket:
      return "gpu";
    case PhaseExecution::Mode::cpu_fallback:
      return "cpu_fallback";
    case PhaseExecution::Mode::disabled:
      break;
  }
  return "disabled";
}

}  // namespace aatgs::monitor
