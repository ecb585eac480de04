// SPDX-License-Identifier: Apache-2.0
// jacobi: Jacobi's method on a resident kernel that keeps the field on the chip, beside launches
// and CUDA graphs of single iterations.
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <iostream>

#include "comparison.hpp"
#include "program.hpp"

namespace {

struct Arguments {
  std::vector<std::uint32_t> n{2048};
  bool all = false;
  std::string executor = "automatic";
  std::string form = "automatic";
  std::string json;
  jacobi::Settings settings;
};

aatgs::stencil::JacobiForm parse_form(const std::string& text) {
  using aatgs::stencil::JacobiForm;
  if (text == "automatic") return JacobiForm::automatic;
  if (text == "tiles") return JacobiForm::tiles;
  if (text == "plain") return JacobiForm::plain;
  throw aatgs::OptionError("--form '" + text + "': give automatic, tiles or plain");
}

int run(Arguments arguments) {
  jacobi::Settings& settings = arguments.settings;
  settings.options.context.executor = aatgs::parse_executor(arguments.executor);
  settings.options.form = parse_form(arguments.form);
  if (arguments.all) arguments.n = {128, 256, 512, 1024, 2048, 4096, 8192};
  if (settings.compare) {
    const std::string obstacle = aatgs::why_no_gpu(settings.options.context.device);
    if (!obstacle.empty()) throw aatgs::OptionError("--compare needs a GPU: " + obstacle);
  }
  check_options(settings.options.context);
  aatgs::program::require_writable(arguments.json);
  std::vector<jacobi::Result> results;
  bool right = true;
  for (const std::uint32_t n : arguments.n) {
    results.push_back(jacobi::run(n, settings));
    std::cout << jacobi::to_table(results.back());
    aatgs::program::flush_output();
    right = right && results.back().right();
  }
  aatgs::program::write_file(arguments.json, jacobi::to_json(results));
  if (!right) std::cerr << "jacobi: fields differ, or a residual did not fall\n";
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  jacobi::Settings& settings = arguments.settings;
  CLI::App app("Jacobi's method for -(u_xx + u_yy) = f on n x n points, in float32", "jacobi");
  const auto whole = aatgs::program::whole_number();
  app.footer(
      "Examples:\n"
      "  jacobi --n 2048 --iterations 10000\n"
      "  jacobi --all --compare --json jacobi.json\n"
      "  jacobi --n 200 --iterations 501 --executor cpu\n"
      "Exit status: 0 all roads agree; 1 they do not, or a failure; 2 wrong input or options");
  constexpr auto most_points = aatgs::stencil::PoissonJacobi::most_points;
  app.add_option("--n", arguments.n, "inner points a side; several make several runs")
      ->check(whole & CLI::Range(1U, most_points));
  app.add_flag("--all", arguments.all, "128, 256, 512, 1024, 2048, 4096 and 8192 points");
  app.add_option("--iterations", settings.iterations, "of each run")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  app.add_option("--repetitions", settings.repetitions, "timed runs after the one that is checked")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  app.add_option("--executor", arguments.executor, "automatic, resident, launch, graph, cpu, ...");
  app.add_flag("--compare", settings.compare,
               "also one launch per iteration, and CUDA graphs of 100 of them");
  app.add_option("--json", arguments.json, "write the result to this file")->type_name("FILE");
  app.add_option("--form", arguments.form, "automatic, tiles or plain");
  app.add_option("--shape", settings.options.tiles.shape,
                 "of tiles; the planner's choice if empty");
  app.add_option("--depth", settings.options.tiles.depth, "iterations per exchange; 0: the planner")
      ->check(whole);
  app.add_option("--slice", settings.options.slice, "iterations of one config")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  app.add_option("--device", settings.options.context.device, "CUDA ordinal")->check(whole);
  app.add_option("--workers", settings.options.context.workers, "blocks; 0: as many as fit")
      ->check(whole);
  return aatgs::program::run(app, argc, argv, [&] { return run(arguments); });
}
