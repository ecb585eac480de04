// SPDX-License-Identifier: Apache-2.0
#include "cg.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "cg_library.hpp"

namespace aatgs::bench {

namespace {

using linear::CsrMatrix;

constexpr double tolerance = 1e-8;

struct Matrix {
  std::string group;
  std::string what;
  std::function<CsrMatrix()> make;
};

/// The small one is the largest square whose matrix and vectors fit an H200's shared memory: its
/// kernels have work to do, and yet lose more to launches, and to caches that they leave, than to
/// memory. The large ones are read from memory by all: one from a grid, one without its order.
const std::vector<Matrix>& matrices() {
  static const std::vector<Matrix> all = {
      {"cg_tiny", "2D Poisson, 128^2", [] { return linear::poisson_2d(128, 128); }},
      {"cg_small", "2D Poisson, 512^2", [] { return linear::poisson_2d(512, 512); }},
      {"cg_large", "3D Poisson, 192^3", [] { return linear::poisson_3d(192, 192, 192); }},
      {"cg_mesh", "2 M points, 8 neighbors",
       [] { return linear::geometric_laplacian(2'000'000, 8, 1); }},
  };
  return all;
}

/// Rough and smooth parts.
std::vector<double> right_hand_side(std::size_t n) {
  std::vector<double> b(n);
  for (std::size_t i = 0; i < n; ++i) {
    b[i] = 1 + static_cast<double>((i * 2654435761U) % 1024) / 1024;
  }
  return b;
}

/// Throws if x is not as good as the tolerance; twice that, because the residual of conjugate
/// gradients does not fall in every iteration.
void require_solution(const std::string& road, const CsrMatrix& a, const std::vector<double>& x,
                      const std::vector<double>& b) {
  std::vector<double> product(b.size());
  a.multiply(x, product);
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    error += (b[i] - product[i]) * (b[i] - product[i]);
    size += b[i] * b[i];
  }
  const double residual = std::sqrt(error / size);
  if (residual <= 2 * tolerance) return;
  throw Error(road + " ended with a residual of " + std::to_string(residual / tolerance) +
              " times the tolerance: the road is broken, report this");
}

/// All roads on one matrix.
class Comparison {
 public:
  Comparison(const Plan& plan, Report& report, const Matrix& matrix)
      : plan_(plan),
        report_(report),
        group_(matrix.group),
        what_(matrix.what),
        matrix_(matrix.make()),
        b_(right_hand_side(matrix_.row_count())),
        iterations_(needed_iterations()) {}

  void run() {
    resident();
    const Libraries libraries(plan_.context.device);
    for (const auto format :
         {MatrixFormat::csr_alg1, MatrixFormat::csr_alg2, MatrixFormat::sliced_ell}) {
      LibraryMatrix matrix(libraries, matrix_, format, plan_.context.device);
      const std::string suffix = "_" + to_string(format);
      {
        LibraryCg solver(libraries, matrix, VectorKernels::cublas, plan_.context.device);
        library(solver, "library_launches" + suffix, Delivery::launches);
        library(solver, "library_graph" + suffix, Delivery::graph);
      }
      LibraryCg solver(libraries, matrix, VectorKernels::fused, plan_.context.device);
      library(solver, "fused_graph" + suffix, Delivery::graph);
    }
  }

 private:
  [[nodiscard]] linear::CgOptions options() const {
    linear::CgOptions options;
    options.context = plan_.context;
    options.context.executor = ExecutorKind::resident;
    options.tolerance = tolerance;
    return options;
  }

  /// As many as the tolerance takes, in whole graphs.
  [[nodiscard]] std::uint64_t needed_iterations() const {
    const auto found = linear::CgSolver(matrix_, options()).solve(b_);
    require_solution(group_, matrix_, found.x, b_);
    return (found.iterations / LibraryCg::graph_iterations + 1) * LibraryCg::graph_iterations;
  }

  /// Runs `once`, which returns microseconds of an iteration, until the time is up. False: not
  /// wanted.
  template <class Once>
  bool sample(const std::string& road, const std::string& how, const Once& once) {
    const Case of{.group = group_, .road = road};
    if (!plan_.wants(of.name())) return false;
    once();  // to warm up
    std::vector<double> us;
    const double enough_us = plan_.seconds * 1e6;
    double spent_us = 0;
    while (us.size() < 5 || (spent_us < enough_us && us.size() < 1000)) {
      us.push_back(once());
      spent_us += us.back() * static_cast<double>(iterations_);
    }
    report_.add(figure(of, "us", what_ + ", " + std::to_string(iterations_) + " iterations; " + how,
                       std::move(us)));
    return true;
  }

  void resident() {
    if (!plan_.wants(group_ + "/" + our_road)) return;
    linear::CgOptions all = options();
    all.tolerance = 0;
    all.max_iterations = iterations_;
    linear::CgSolver solver(matrix_, all);
    sample(our_road, solver.description(), [&] {
      const auto result = solver.solve(b_);
      require_solution(group_ + "/" + our_road, matrix_, result.x, b_);
      return result.seconds * 1e6 / static_cast<double>(result.iterations);
    });
  }

  void library(LibraryCg& solver, const std::string& road, Delivery delivery) {
    const bool ran = sample(road, "cuSPARSE with the vectors by " + solver.vectors(),
                            [&] { return solver.run(b_, iterations_, delivery); });
    if (ran) require_solution(group_ + "/" + road, matrix_, solver.x(), b_);
  }

  const Plan& plan_;
  Report& report_;
  std::string group_;
  std::string what_;
  CsrMatrix matrix_;
  std::vector<double> b_;
  std::uint64_t iterations_;
};

}  // namespace

void measure_cg(const Plan& plan, Report& report) {
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  for (const Matrix& matrix : matrices()) {
    if (plan.wants(matrix.group + "/" + our_road)) Comparison(plan, report, matrix).run();
  }
}

}  // namespace aatgs::bench
