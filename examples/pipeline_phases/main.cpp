// SPDX-License-Identifier: Apache-2.0
// pipeline_phases: four independent phases of a solver, in one stream or each in its own, as the
// table [gpu] of a configuration file says.
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "gpu_table.hpp"
#include "phased_search.hpp"
#include "program.hpp"

namespace {

using aatgs::StreamMode;
using aatgs::coloring::NamedGraph;
using aatgs::program::Configuration;
using pipeline_phases::Pass;
using pipeline_phases::PhasedSearch;

struct Settings {
  std::string graph = "gnp:1000:0.05:1";
  std::string json;
  std::uint32_t passes = 11;
  bool host_threads = false;
  bool compare = false;
  aatgs::ContextOptions context;  // the device alone
  aatgs::PipelineGpuOptions gpu;
  pipeline_phases::SearchOptions search;
};

/// The passes of one mode.
struct Run {
  StreamMode mode;
  std::uint32_t replicas;
  std::size_t streams_used;
  Pass median;
};

void define(CLI::App& app, Configuration& config, Settings& s) {
  const auto whole = aatgs::program::whole_number();
  auto table = config.table("search");
  table.add({"graph", "--graph"}, s.graph, aatgs::coloring::graph_spec_help());
  table.add({"colors", "--colors"}, s.search.colors, "number of colors")
      ->check(whole & CLI::Range(1, 65'536));
  table.add({"sweeps", "--sweeps"}, s.search.sweeps, "over all vertices, in each phase")
      ->check(whole & CLI::Range(1, 1'000'000));
  table
      .add({"replicas", "--replicas"}, s.search.replicas,
           "colorings of each phase; 0: a quarter of the SMs, 1 on host threads")
      ->check(whole & CLI::Range(0, 65'536));
  table.add({"seed", "--seed"}, s.search.seed, "of all colorings")->check(whole);
  table.add({"passes", "--passes"}, s.passes, "of all phases; the median one is told")
      ->check(whole & CLI::Range(1, 1'000'000));
  aatgs::program::GpuTable(config, s.context).device().phases(s.gpu);
  app.add_flag("--host-threads", s.host_threads, "on host threads, as where there is no GPU");
  app.add_flag("--compare", s.compare, "the same work in both modes, and what parallel gains");
  app.add_option("--json", s.json, "write the report for machines")->type_name("FILE");
  app.footer(
      "Examples:\n  pipeline_phases --config pipeline_phases.toml\n"
      "  pipeline_phases --stream-mode sequential\n"
      "  pipeline_phases --compare --streams 2\n"
      "Exit status: 0 measured; 1 a failure; 2 wrong input or options");
}

std::shared_ptr<aatgs::StreamDevice> find_device(const Settings& s) {
  const std::string obstacle = s.host_threads ? "asked for" : aatgs::why_no_gpu(s.context.device);
  auto device = obstacle.empty() ? aatgs::make_gpu_stream_device(s.context.device)
                                 : aatgs::make_cpu_stream_device();
  std::printf("device        %s%s\n", device->name().c_str(),
              obstacle.empty() ? "" : (" (" + obstacle + ")").c_str());
  return device;
}

/// Every pass must find the same, and what it says of it must be true.
void check(const NamedGraph& g, const Settings& s, const Pass& pass, const Pass& first) {
  const auto seen = aatgs::coloring::verify_coloring(g.graph, pass.best, s.search.colors);
  if (seen.conflicts != pass.conflicts || seen.out_of_range != 0 || pass.best != first.best) {
    throw aatgs::Error("a pass found " + std::to_string(pass.conflicts) + " conflicts, the first " +
                       std::to_string(first.conflicts) + ", and on the host there are " +
                       std::to_string(seen.conflicts) + ": phases did not wait for each other");
  }
}

Run measure(const NamedGraph& g, const Settings& s,
            const std::shared_ptr<aatgs::StreamDevice>& device, StreamMode mode) {
  aatgs::PipelineGpuOptions gpu = s.gpu;
  gpu.stream_mode = mode;
  PhasedSearch search(g.graph, device, gpu, s.search);
  Pass first = search.run();  // loads the kernels, and is not measured
  std::vector<Pass> passes;
  for (std::uint32_t i = 0; i < s.passes; ++i) {
    passes.push_back(search.run());
    check(g, s, passes.back(), first);
    passes.back().best = {};  // as the first one's, and there may be many
  }
  const auto middle = passes.begin() + (s.passes - 1) / 2;
  std::nth_element(passes.begin(), middle, passes.end(),
                   [](const Pass& a, const Pass& b) { return a.us < b.us; });
  middle->best = std::move(first.best);
  return {mode, search.replicas(), search.streams_used(), std::move(*middle)};
}

void print(const Settings& s, const Run& run) {
  std::printf("mode          %s, kernels in %zu stream%s\n",
              std::string(to_string(run.mode)).c_str(), run.streams_used,
              run.streams_used == 1 ? "" : "s");
  std::printf("%-8s %11s %6s %9s %12s\n", "phase", "temperature", "stream", "conflicts", "us");
  for (const auto& phase : run.median.phases) {
    std::printf("%-8s %11.2f %6zu %9u %12.1f\n", phase.name.c_str(), phase.temperature,
                phase.stream, phase.conflicts, phase.us);
  }
  std::printf("pass          %.1f us, median of %u; %.2f phases at a time\n", run.median.us,
              s.passes, run.median.at_once());
  std::printf("best          %llu conflicts, checked\n",
              static_cast<unsigned long long>(run.median.conflicts));
  aatgs::program::flush_output();
}

nlohmann::ordered_json to_json(const Run& run) {
  auto phases = nlohmann::ordered_json::array();
  for (const auto& phase : run.median.phases) {
    phases.push_back({{"name", phase.name},
                      {"stream", phase.stream},
                      {"conflicts", phase.conflicts},
                      {"us", phase.us}});
  }
  return {{"mode", to_string(run.mode)},     {"streams_used", run.streams_used},
          {"replicas", run.replicas},        {"pass_us", run.median.us},
          {"at_once", run.median.at_once()}, {"conflicts", run.median.conflicts},
          {"phases", std::move(phases)}};
}

void write_json(const Settings& s, const NamedGraph& g, const std::vector<Run>& runs) {
  nlohmann::ordered_json document = {
      {"format", "aatgs-phases"}, {"version", 1}, {"graph", g.name}, {"runs", {}}};
  document["runs"] = nlohmann::ordered_json::array();
  for (const Run& run : runs) document["runs"].push_back(to_json(run));
  aatgs::program::write_file(s.json, document.dump(2) + "\n");
}

int run(const Settings& s) {
  aatgs::program::require_distinct({{"--graph", s.graph}, {"--json", s.json}});
  aatgs::program::require_writable(s.json);
  const NamedGraph g = aatgs::coloring::load_graph(s.graph);
  for (const std::string& warning : g.warnings) std::cerr << "pipeline_phases: " << warning << "\n";
  std::printf("graph         %s: %u vertices, %zu edges, %u colors\n", g.name.c_str(),
              g.graph.vertex_count(), g.graph.edge_count(), s.search.colors);
  const auto device = find_device(s);
  std::vector<StreamMode> modes{s.gpu.stream_mode};
  if (s.compare) modes = {StreamMode::sequential, StreamMode::parallel};
  std::vector<Run> runs;
  for (const StreamMode mode : modes) {
    runs.push_back(measure(g, s, device, mode));
    print(s, runs.back());
  }
  if (s.compare) {
    check(g, s, runs.back().median, runs.front().median);
    std::printf("gain          %.2f x by parallel phases\n",
                runs.front().median.us / runs.back().median.us);
  }
  write_json(s, g, runs);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Four independent phases of a solver, in one stream or side by side",
               "pipeline_phases");
  Configuration config(app);
  define(app, config, settings);
  return run(config, argc, argv, [&] { return run(settings); });
}
