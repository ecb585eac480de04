// SPDX-License-Identifier: Apache-2.0
#include "jacobi.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/integrations/stencil/launched_jacobi.hpp>
#include <aatgs/integrations/stencil/poisson_jacobi.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace aatgs::bench {

namespace {

using Values = std::vector<float>;

/// Different at every point, and smooth enough for the residual to fall in few iterations.
Values make_source(std::uint32_t n) {
  Values f(std::size_t{n} * n);
  for (std::size_t i = 0; i < f.size(); ++i) {
    f[i] = 1 + static_cast<float>((i * 2654435761U) % 1024) / 1024;
  }
  return f;
}

/// All roads on one size.
class Comparison {
 public:
  Comparison(const Plan& plan, Report& report, std::uint32_t n)
      : plan_(plan),
        report_(report),
        n_(n),
        // Some milliseconds; a multiple of a graph.
        iterations_(n <= 2048   ? 1000
                    : n <= 4096 ? 400
                                : 100),
        source_(make_source(n)) {}

  void run() {
    if (wants(our_road)) {
      stencil::JacobiOptions options;
      options.context = plan_.context;
      options.context.executor = ExecutorKind::resident;
      stencil::PoissonJacobi solver(n_, source_, options);
      sample(our_road, solver, solver.description());
    }
    using stencil::LaunchRoad;
    for (const auto road : {LaunchRoad::launch, LaunchRoad::graph, LaunchRoad::graph_pdl}) {
      const std::string name(to_string(road));
      const int device = plan_.context.device;
      if (!wants(name)) continue;
      if (!stencil::LaunchedJacobi::is_available(road, device)) {
        note_no_dependent_launch(case_of(name).name());
        continue;
      }
      stencil::LaunchedJacobi launched(n_, source_, road, device);
      const auto shape = launched.tune();
      sample(name, launched, shape.name());
    }
  }

 private:
  [[nodiscard]] Case case_of(const std::string& road) const {
    return {.group = "jacobi_" + std::to_string(n_), .road = road};
  }
  [[nodiscard]] bool wants(const std::string& road) const {
    return plan_.wants(case_of(road).name());
  }

  template <class Road>
  void sample(const std::string& name, Road& road, const std::string& how) {
    check(name, road);
    const double enough_us = plan_.seconds * 1e6;
    double spent_us = 0;
    std::vector<double> us;
    while (us.size() < 5 || (spent_us < enough_us && us.size() < 1000)) {
      const std::uint64_t begin = host_now_ns();
      road.iterate(iterations_);
      const double took = static_cast<double>(host_now_ns() - begin) / 1e3;
      us.push_back(took / static_cast<double>(iterations_));
      spent_us += took;
    }
    report_.add(figure(case_of(name), "us", how, std::move(us)));
  }

  /// From u = 0, an odd number of iterations; warms up too.
  template <class Road>
  void check(const std::string& name, Road& road) {
    constexpr std::uint64_t iterations = 1235;
    road.set_field(Values(source_.size()));
    road.iterate(n_ <= 2048 ? iterations : iterations / 10);
    Values field = road.field();
    if (!(stencil::relative_residual(n_, source_, field) < 1)) {  // that of u = 0
      throw Error(case_of(name).name() + ": the residual did not fall, report this");
    }
    if (expected_.empty())
      expected_ = std::move(field);
    else if (std::memcmp(expected_.data(), field.data(), field.size() * sizeof(float)) != 0) {
      throw Error(case_of(name).name() + ": the field is not that of the other roads, report this");
    }
  }

  const Plan& plan_;
  Report& report_;
  std::uint32_t n_;
  std::uint64_t iterations_;
  Values source_;
  Values expected_;
};

}  // namespace

void measure_jacobi(const Plan& plan, Report& report) {
  for (const std::uint32_t n : {128U, 256U, 512U, 1024U, 2048U, 4096U, 8192U}) {
    const std::string group = "jacobi_" + std::to_string(n);
    bool wanted = false;
    for (const char* road : {our_road, "launch", "graph", "graph_pdl"}) {
      wanted = wanted || plan.wants(group + "/" + road);
    }
    if (wanted) Comparison(plan, report, n).run();
  }
}

}  // namespace aatgs::bench
