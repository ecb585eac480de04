// SPDX-License-Identifier: Apache-2.0
// jacobi: Jacobi's method on a resident kernel that keeps the field on the chip, beside launches
// and CUDA graphs of single iterations.
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <iostream>

#include "comparison.hpp"
#include "gpu_table.hpp"
#include "program.hpp"

namespace {

using aatgs::program::Configuration;

struct Arguments {
  std::vector<std::uint32_t> n{2048};
  bool all = false;
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

/// The plain form would pass over what is said of tiles.
void check_tiles(const aatgs::stencil::JacobiOptions& options) {
  using aatgs::stencil::JacobiForm;
  if (options.tiles.shape.empty() && options.tiles.depth == 0) return;
  const auto kind = choose_executor(options.context.executor, options.context.device).kind;
  const bool is_plain = options.form == JacobiForm::plain ||
                        (options.form == JacobiForm::automatic && is_on_host(kind));
  if (!is_plain) return;
  throw aatgs::OptionError("--shape '" + options.tiles.shape + "' and --depth " +
                           std::to_string(options.tiles.depth) +
                           " are of tiles, but this run is plain, with the executor '" +
                           std::string(to_string(kind)) + "': leave them out");
}

int run(Arguments arguments) {
  jacobi::Settings& settings = arguments.settings;
  settings.options.form = parse_form(arguments.form);
  if (arguments.all) arguments.n = {128, 256, 512, 1024, 2048, 4096, 8192};
  if (settings.compare) {
    aatgs::program::require_gpu("--compare", settings.options.context.device);
  }
  settings.options.context.scope = aatgs::Scope::grid;
  check_options(settings.options.context);
  check_tiles(settings.options);
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

void define(CLI::App& app, Configuration& config, Arguments& arguments) {
  const auto whole = aatgs::program::whole_number();
  jacobi::Settings& settings = arguments.settings;
  constexpr auto most_points = aatgs::stencil::PoissonJacobi::most_points;
  auto problem = config.table("jacobi");
  problem.add({"n", "--n"}, arguments.n, "inner points a side; several make several runs")
      ->check(whole & CLI::Range(1U, most_points));
  problem.add({"form", "--form"}, arguments.form, "automatic, tiles or plain")
      ->check(aatgs::program::accepted_by(parse_form));
  problem.add({"shape", "--shape"}, settings.options.tiles.shape,
              "of tiles; the planner's choice if empty");
  problem
      .add({"depth", "--depth"}, settings.options.tiles.depth,
           "iterations per exchange; 0: the planner")
      ->check(whole);
  auto iterative = config.table("iterative");
  iterative.add({"iterations", "--iterations"}, settings.iterations, "of each run")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  iterative.add({"slice", "--slice"}, settings.options.slice, "iterations of one config")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  iterative
      .add({"repetitions", "--repetitions"}, settings.repetitions,
           "timed runs after the one that is checked")
      ->check(whole & CLI::Range(1, 1'000'000'000));
  aatgs::program::GpuTable(config, settings.options.context)
      .device()
      .executor()
      .rings()
      .workers()
      .cpu_threads()
      .park_after();
  app.add_flag("--all", arguments.all, "128, 256, 512, 1024, 2048, 4096 and 8192 points");
  app.add_flag("--compare", settings.compare,
               "also one launch per iteration, and CUDA graphs of 100 of them");
  app.add_option("--json", arguments.json, "write the result to this file")->type_name("FILE");
  app.footer(
      "Examples:\n"
      "  jacobi --n 2048 --iterations 10000\n"
      "  jacobi --all --compare --json jacobi.json\n"
      "  jacobi --n 200 --iterations 501 --executor cpu\n"
      "Exit status: 0 all roads agree; 1 they do not, or a failure; 2 wrong input or options");
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Jacobi's method for -(u_xx + u_yy) = f on n x n points, in float32", "jacobi");
  Configuration config(app);
  define(app, config, arguments);
  return run(config, argc, argv, [&] { return run(arguments); });
}
