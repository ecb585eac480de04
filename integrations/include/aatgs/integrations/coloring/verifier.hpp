// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace aatgs::coloring {

/// Number of edges whose ends have the same color, counted from the graph alone.
/// UseError where `coloring` does not have one color per vertex.
std::uint64_t count_conflicts(const Graph& graph, std::span<const Color> coloring);

/// What a coloring is worth. Legal means: no conflict and no color outside [0, k).
struct Verification {
  std::uint64_t conflicts = 0;               ///< edges whose ends have the same color
  std::optional<Edge> first_conflict;        ///< the least of them, u < v
  std::uint64_t out_of_range = 0;            ///< vertices whose color is k or above
  std::optional<Vertex> first_out_of_range;  ///< the least of them

  [[nodiscard]] bool legal() const noexcept { return conflicts == 0 && out_of_range == 0; }

  /// One line for a report: "legal", or what is wrong and where (vertices 0-based).
  [[nodiscard]] std::string describe() const;
};

/// Checks `coloring` with `k` colors against `graph` on the host. Trusts no solver: it shares no
/// counter, table or code with one.
/// OptionError where k < 1; UseError where `coloring` does not have one color per vertex.
Verification verify_coloring(const Graph& graph, std::span<const Color> coloring, std::uint64_t k);

/// Writes one color per line, 0-based, in vertex order. The file appears whole or not at all.
/// InputError where it cannot be written.
void write_coloring(const std::filesystem::path& path, std::span<const Color> coloring);

/// Reads what `write_coloring` writes: exactly `n` lines of one number each (CRLF accepted).
/// InputError `FILE:LINE: reason` at anything else.
std::vector<Color> read_coloring(const std::filesystem::path& path, std::size_t n);

/// The same from a stream; messages call it `name`.
std::vector<Color> read_coloring(std::istream& in, const std::string& name, std::size_t n);

}  // namespace aatgs::coloring
