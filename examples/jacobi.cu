// SPDX-License-Identifier: Apache-2.0
// The simplest iterative solver on a GpuExecutionContext: Jacobi sweeps for -(u_xx + u_yy) = f on the
// unit square with u = 0 on its edge. One config is a slice of sweeps, its telemetry the largest
// change of the last one, and the host stops when that is small enough.
//
//   jacobi [N [EXECUTOR]]      N inner points a side (default 128); automatic, resident, cpu, ...
#include <charconv>
#include <cmath>
#include <iostream>
#include <numbers>
#include <vector>

#include <aatgs/host/make_context.cuh>

namespace {

struct Slice {
  std::uint32_t sweeps;  // even, so that every slice ends in the same buffer
};
struct Change {
  float largest;
};

struct JacobiStep {
  float* u;  // [n + 2][n + 2]
  float* v;  // the same, written by every other sweep
  const float* f;
  std::uint32_t n;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Slice& slice, Change& out) const {
    const std::uint32_t row = n + 2;
    const float h2 = 1.0F / static_cast<float>((n + 1) * (n + 1));
    float change = 0;
    for (std::uint32_t sweep = 0; sweep < slice.sweeps; ++sweep) {
      const float* from = sweep % 2 == 0 ? u : v;
      float* to = sweep % 2 == 0 ? v : u;
      change = 0;
      for (std::uint32_t i = group.rank(); i < n * n; i += group.size()) {
        const std::uint32_t at = (i / n + 1) * row + i % n + 1;
        const float next =
            0.25F * (from[at - 1] + from[at + 1] + from[at - row] + from[at + row] + h2 * f[at]);
        change = fmaxf(change, fabsf(next - from[at]));
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
  std::vector<float> f(points);
  for (std::size_t i = 0; i < points; ++i) {
    f[i] = static_cast<float>(2 * std::numbers::pi * std::numbers::pi * wave(i / (n + 2)) *
                              wave(i % (n + 2)));
  }
  const auto where = aatgs::memory_of(aatgs::choose_executor(executor, options.device).kind);
  aatgs::Buffer<float> u(where, points);
  aatgs::Buffer<float> v(where, points);
  const aatgs::Buffer<float> source(where, f);

  auto context = aatgs::make_context<Slice, Change>(
      JacobiStep{u.data(), v.data(), source.data(), n}, options);
  std::cout << context.description() << " (" << context.reason() << ")\n";
  std::uint64_t slices = 0;
  float change = 1;
  while (change > 1e-6F && slices < 100'000) {
    const auto done = context.execute({.sweeps = 100});  // queues one, returns a finished one
    if (done) change = done->telemetry.largest;
    if (done) ++slices;
  }
  if (!context.flush(std::chrono::seconds(60))) return 1;

  double error = 0;  // against the solution sin(pi x) sin(pi y)
  const std::vector<float> result = u.download();
  for (std::size_t i = 0; i < points; ++i) {
    error = std::max(error, std::abs(result[i] - wave(i / (n + 2)) * wave(i % (n + 2))));
  }
  std::cout << slices * 100 << " sweeps, last change " << change << ", largest error " << error
            << "\n";
  return error < 1e-2 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  std::uint32_t n = 128;
  const std::string_view number = argc > 1 ? argv[1] : "128";
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), n);
  if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size() || n < 1 || n > 8192) {
    throw aatgs::OptionError("N = '" + std::string(number) + "' is not a number from 1 to 8192");
  }
  return solve(n, argc > 2 ? aatgs::parse_executor(argv[2]) : aatgs::ExecutorKind::automatic);
} catch (const aatgs::OptionError& e) {
  std::cerr << "jacobi: " << e.what() << "\n";
  return 2;
} catch (const std::exception& e) {
  std::cerr << "jacobi: " << e.what() << "\n";
  return 1;
}
