// SPDX-License-Identifier: Apache-2.0
// The simplest iterative solver on a GpuExecutionContext: Jacobi sweeps for -(u_xx + u_yy) = f on
// the unit square with u = 0 on its edge. One config is a slice of sweeps, its telemetry the
// largest change of the last one, and the host stops when that is small enough. The program `jacobi`
// does it fast.
//
//   jacobi_simple [N [EXECUTOR]]   N inner points a side (default 128); automatic, resident, ...
#include <aatgs/host/make_context.cuh>
#include <charconv>
#include <cmath>
#include <iostream>
#include <numbers>
#include <vector>

namespace {

struct Slice {
  std::uint32_t sweeps;  // even, so that every slice ends in the same buffer
};
struct Change {
  double largest;
};

struct JacobiStep {
  double* u;  // [n + 2][n + 2]
  double* v;  // the same, written by every other sweep
  const double* f;
  std::uint32_t n;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Slice& slice, Change& out) const {
    const std::uint32_t row = n + 2;
    const double h2 = 1.0 / ((n + 1.0) * (n + 1.0));
    double change = 0;
    for (std::uint32_t sweep = 0; sweep < slice.sweeps; ++sweep) {
      const double* from = sweep % 2 == 0 ? u : v;
      double* to = sweep % 2 == 0 ? v : u;
      change = 0;
      for (std::uint32_t i = group.rank(); i < n * n; i += group.size()) {
        const std::uint32_t at = (i / n + 1) * row + i % n + 1;
        const double next =
            0.25 * (from[at - 1] + from[at + 1] + from[at - row] + from[at + row] + h2 * f[at]);
        change = fmax(change, fabs(next - from[at]));
        to[at] = next;
      }
      group.sync();
    }
    change = group.max(change);
    if (group.rank() == 0) out.largest = change;
  }
};

int solve(std::uint32_t n, aatgs::ExecutorKind executor) {
  aatgs::ContextOptions options;
  options.executor = executor;
  options.scope = aatgs::Scope::grid;
  const std::size_t points = std::size_t{n + 2} * (n + 2);
  const auto wave = [n](std::size_t i) {
    return std::sin(std::numbers::pi * static_cast<double>(i) / (n + 1));
  };
  std::vector<double> f(points);
  for (std::size_t i = 0; i < points; ++i) {
    f[i] = 2 * std::numbers::pi * std::numbers::pi * wave(i / (n + 2)) * wave(i % (n + 2));
  }
  const auto where = aatgs::memory_of(aatgs::choose_executor(executor, options.device).kind);
  aatgs::Buffer<double> u(where, points);
  aatgs::Buffer<double> v(where, points);
  const aatgs::Buffer<double> source(where, f);

  auto context =
      aatgs::make_context<Slice, Change>(JacobiStep{u.data(), v.data(), source.data(), n}, options);
  std::cout << context.description() << " (" << context.reason() << ")\n";
  const double tolerance = 0.01 / ((n + 1.0) * (n + 1.0));  // leaves an error of about 0.002
  constexpr int ahead = 4;  // slices queued before the first of them is judged
  std::uint64_t slices = 0;
  for (double change = 1; change > tolerance; ++slices) {
    if (!context.queue({.sweeps = 100})) return 1;
    if (slices < ahead) continue;
    const auto done = context.wait(std::chrono::seconds(60));
    if (!done) return 1;
    change = done->telemetry.largest;
  }
  if (!context.flush(std::chrono::seconds(60))) return 1;

  double error = 0;  // against the solution sin(pi x) sin(pi y)
  const std::vector<double> result = u.download();
  for (std::size_t i = 0; i < points; ++i) {
    error = std::max(error, std::abs(result[i] - wave(i / (n + 2)) * wave(i % (n + 2))));
  }
  std::cout << slices * 100 << " sweeps, largest error " << error << std::endl;
  if (!std::cout) throw aatgs::InputError("cannot write to the standard output");
  return error < 1e-2 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  std::uint32_t n = 128;
  const std::string_view number = argc > 1 ? argv[1] : "128";
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), n);
  if (argc > 3 || parsed.ec != std::errc() || parsed.ptr != number.data() + number.size() ||
      n < 1 || n > 8192) {
    throw aatgs::OptionError("usage: jacobi_simple [N [EXECUTOR]], N a number from 1 to 8192");
  }
  return solve(n, argc > 2 ? aatgs::parse_executor(argv[2]) : aatgs::ExecutorKind::automatic);
} catch (const aatgs::OptionError& e) {
  std::cerr << "jacobi_simple: " << e.what() << "\n";
  return 2;
} catch (const std::exception& e) {
  std::cerr << "jacobi_simple: " << e.what() << "\n";
  return 1;
}
