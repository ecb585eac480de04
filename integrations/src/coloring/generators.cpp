// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace aatgs::coloring {
namespace {

// The standard defines the numbers of this engine, but not those of its distributions, so these
// are not used.
using Random = std::mt19937_64;

/// Uniform in (0, 1], a multiple of 2^-53.
double uniform(Random& random) {
  return static_cast<double>((random() >> 11) + 1) * 0x1p-53;
}

/// Shortest text that reads back as `value`; std::to_string would show 1e-9 as 0.
std::string text(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

void check_range(const char* what, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value < low || value > high) {
    throw OptionError(std::string(what) + " must be in " + std::to_string(low) + ".." +
                      std::to_string(high) + ", not " + std::to_string(value));
  }
}

}  // namespace

Graph queen_graph(std::size_t side) {
  check_range("the side of a queen graph's board", side, 1, 256);
  const auto vertex = [&](std::size_t row, std::size_t column) {
    return static_cast<Vertex>(row * side + column);
  };
  std::vector<Edge> edges;
  for (std::size_t row = 0; row < side; ++row) {
    for (std::size_t column = 0; column < side; ++column) {
      const Vertex here = vertex(row, column);
      for (std::size_t step = 1; step < side; ++step) {
        const bool right = column + step < side;
        const bool down = row + step < side;
        if (right) edges.push_back({here, vertex(row, column + step)});
        if (down) edges.push_back({here, vertex(row + step, column)});
        if (down && right) edges.push_back({here, vertex(row + step, column + step)});
        if (down && step <= column) edges.push_back({here, vertex(row + step, column - step)});
      }
    }
  }
  return Graph(side * side, edges);
}

Graph mycielski_graph(std::size_t order) {
  check_range("the order of a Mycielski graph", order, 1, 15);
  Vertex n = 2;
  std::vector<Edge> edges{{0, 1}};
  for (std::size_t i = 1; i < order; ++i) {
    // Vertex n + v is the shadow of v: adjacent to v's neighbors and to the new top vertex 2n.
    const std::size_t old_edges = edges.size();
    edges.reserve(3 * old_edges + n);
    for (std::size_t e = 0; e < old_edges; ++e) {
      const auto [u, v] = edges[e];
      edges.push_back({n + u, v});
      edges.push_back({n + v, u});
    }
    for (Vertex v = 0; v < n; ++v) edges.push_back({n + v, 2 * n});
    n = 2 * n + 1;
  }
  return Graph(n, edges);
}

Graph gnp_graph(std::size_t n, double p, std::uint64_t seed) {
  check_range("n of G(n, p)", n, 1, max_vertices);
  if (!(p >= 0.0 && p <= 1.0)) {
    throw OptionError("p of G(n, p) must be in 0..1, not " + text(p));
  }
  const std::uint64_t pairs = std::uint64_t{n} * (n - 1) / 2;
  const double expected = p * static_cast<double>(pairs);
  // Half of the limit, so that chance never takes a graph over it.
  if (expected > static_cast<double>(max_edges / 2)) {
    throw OptionError("G(" + std::to_string(n) + ", " + text(p) + ") has about " + text(expected) +
                      " edges; the limit is " + std::to_string(max_edges / 2));
  }

  if (p == 0.0) return Graph(n, {});  // else log(1 - p) below is 0, a divisor

  Random random(seed);
  std::vector<Edge> edges;
  edges.reserve(static_cast<std::size_t>(expected * 1.01));
  // Pairs (v, w) with w < v in the order (1,0), (2,0), (2,1), (3,0)...; between two edges lie
  // floor(log(u) / log(1 - p)) pairs that are none.
  const double log_q = std::log1p(-p);
  std::uint64_t left = pairs;  // pairs not yet decided
  std::uint64_t v = 1;
  std::uint64_t w = 0;
  while (true) {
    const double skip = std::log(uniform(random)) / log_q;
    if (skip >= static_cast<double>(left)) break;  // exact: there are less than 2^53 pairs
    const auto skipped = static_cast<std::uint64_t>(skip);
    left -= skipped + 1;
    w += skipped;
    while (w >= v) w -= v++;
    edges.push_back({static_cast<Vertex>(v), static_cast<Vertex>(w)});
    ++w;
  }
  return Graph(n, edges);
}

std::vector<Color> random_coloring(std::size_t n, std::uint64_t k, std::uint64_t seed) {
  check_range("the number of colors", k, 1, std::numeric_limits<std::uint32_t>::max());
  Random random(seed);
  std::vector<Color> colors(n);
  // The high half of a 32 x 32 bit product: in [0, k), with a bias of at most k / 2^32.
  for (Color& color : colors) color = static_cast<Color>(((random() >> 32) * k) >> 32);
  return colors;
}

}  // namespace aatgs::coloring
