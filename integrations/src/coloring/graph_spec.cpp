// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/dimacs.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <charconv>
#include <filesystem>
#include <new>

#include "../text_input.hpp"

namespace aatgs::coloring {
namespace {

[[noreturn]] void refuse(std::string_view spec, const std::string& reason) {
  throw InputError("graph '" + printable(spec) + "': " + reason + ". " + graph_spec_help());
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t colon = text.find(':');
    fields.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return fields;
    text.remove_prefix(colon + 1);
  }
}

std::uint64_t whole(std::string_view field) {
  const auto value = parse_number(field);
  if (!value) throw OptionError("'" + printable(field) + "' is not a whole number of 64 bits");
  return *value;
}

double real(std::string_view field) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) {
    throw OptionError("'" + printable(field) + "' is not a number");
  }
  return value;
}

void expect_fields(const std::vector<std::string_view>& fields, std::size_t count) {
  if (fields.size() == count) return;
  throw OptionError(std::string(fields[0]) + " takes " + std::to_string(count - 1) +
                    " values, not " + std::to_string(fields.size() - 1));
}

NamedGraph generate(const std::vector<std::string_view>& fields) {
  if (fields[0] == "queen") {
    expect_fields(fields, 2);
    const std::uint64_t side = whole(fields[1]);
    const std::string text = std::to_string(side);
    return {queen_graph(side), "queen" + text + "_" + text, {}};
  }
  if (fields[0] == "myciel") {
    expect_fields(fields, 2);
    const std::uint64_t order = whole(fields[1]);
    return {mycielski_graph(order), "myciel" + std::to_string(order), {}};
  }
  expect_fields(fields, 4);
  const std::string p(fields[2]);
  const std::uint64_t n = whole(fields[1]);
  const std::uint64_t seed = whole(fields[3]);
  return {gnp_graph(n, real(p), seed),
          "gnp_" + std::to_string(n) + "_" + p + "_" + std::to_string(seed),
          {}};
}

NamedGraph read_file(std::string_view spec) {
  const std::filesystem::path path(spec);
  DimacsFile file = read_dimacs(path);
  const auto name = path.extension() == ".col" ? path.stem() : path.filename();
  return {std::move(file.graph), printable(name.string()), std::move(file.info.warnings)};
}

}  // namespace

std::string graph_spec_help() {
  return "A graph is a DIMACS .col file, queen:SIDE, myciel:ORDER or gnp:N:P:SEED, such as "
         "DSJC125.5.col, queen:8, myciel:5 or gnp:500:0.5:1";
}

NamedGraph load_graph(std::string_view spec) {
  if (spec.empty()) refuse(spec, "nothing named");
  const auto fields = split(spec);
  const bool generated = fields[0] == "queen" || fields[0] == "myciel" || fields[0] == "gnp";
  if (!generated || fields.size() == 1) {
    std::error_code ignored;
    if (!std::filesystem::exists(spec, ignored)) {
      throw_at(spec, 0, "cannot open: no such file. " + graph_spec_help());
    }
    return read_file(spec);
  }
  try {
    return generate(fields);
  } catch (const OptionError& error) {
    refuse(spec, error.what());
  } catch (const std::bad_alloc&) {
    refuse(spec, "does not fit into the memory of this machine");
  }
}

}  // namespace aatgs::coloring
