// SPDX-License-Identifier: Apache-2.0
// Which roads stand in which class.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph_roads.cuh"
#include "launch_roads.cuh"
#include "report.hpp"
#include "resident_roads.cuh"
#include "stream_roads.cuh"

namespace aatgs::bench {

/// A road that is made when its first figure is wanted.
template <class Step>
struct Entry {
  std::string road;
  std::string what;
  std::function<std::unique_ptr<BenchRoad>(const Setup<Step>&)> make;
  bool tunes = false;   ///< the others of its class take the width in which it is fastest
  bool is_own = false;  ///< runs the step at one of its `own_shapes`
};

template <class Step>
Entry<Step> context_entry(const char* road, const char* what, ContextOptions options,
                          ExecutorKind executor, Scope scope) {
  options.executor = executor;
  options.scope = scope;
  Entry<Step> entry;
  entry.road = road;
  entry.what = what;
  entry.make = [=](const Setup<Step>& setup) {
    return std::make_unique<ContextRoad>(setup, options);
  };
  entry.is_own = true;
  return entry;
}

/// `automatic` is often on the very road that `resident` is: by turns, since the host's moods (its
/// rates differ by a third from one 10 ms to the next) would else be taken for a difference.
template <class Step>
std::vector<Entry<Step>> own_roads(const ContextOptions& ours, Scope scope) {
  return {
      context_entry<Step>(our_road, "the resident executor", ours, ExecutorKind::resident, scope),
      context_entry<Step>(automatic_road, "the automatic executor, when it has settled", ours,
                          ExecutorKind::automatic, scope)};
}

template <class Step>
Entry<Step> value_entry(unsigned in_flight, bool programmatic) {
  std::string what = "launches by value in one stream, the host polls the telemetry";
  if (programmatic) what += "; programmatic dependent launch";
  return {programmatic ? "value_pdl" : "value", what, [=](const Setup<Step>& setup) {
            return std::make_unique<ValueRoad<Step, 1>>(setup, in_flight, 1, programmatic);
          }};
}

template <class Step>
Entry<Step> streams_entry(unsigned buffers) {
  return {"streams", "streams for upload, step and download, tied by events",
          [=](const Setup<Step>& setup) {
            return std::make_unique<StreamsRoad<Step>>(setup, buffers);
          }};
}

template <class Step>
Entry<Step> graph_entry(const std::string& road, unsigned steps, unsigned in_flight,
                        GraphKind kind) {
  std::string what = std::to_string(in_flight) + (in_flight == 1 ? " graph" : " graphs") + " of " +
                     std::to_string(steps) + (steps == 1 ? " step" : " steps");
  what += kind.copy ? ", configs and telemetry copied by the graph" : ", mapped memory";
  if (kind.programmatic) what += ", programmatic dependent launch";
  return {road + (kind.copy ? "_copy" : "_mapped") + (kind.programmatic ? "_pdl" : ""), what,
          [=](const Setup<Step>& setup) {
            return std::make_unique<GraphRoad<Step>>(setup, steps, in_flight, kind);
          }};
}

template <class Step>
Entry<Step> bundle_entry(const std::string& road, unsigned bundle, unsigned in_flight, bool copy) {
  return {road + (copy ? "_copy" : "_mapped"),
          std::to_string(bundle) + " configs in one launch, " +
              (copy ? "copied there and back" : "mapped memory"),
          [=](const Setup<Step>& setup) {
            return std::make_unique<BundleRoad<Step>>(setup, bundle, in_flight, copy);
          }};
}

inline constexpr GraphKind all_graph_kinds[] = {
    {false, false}, {false, true}, {true, false}, {true, true}};

/// The best of its class, by whose width the others go.
template <class Step>
Entry<Step> tuning(Entry<Step> entry) {
  entry.tunes = true;
  return entry;
}

/// One config at a time; the other roads.
template <class Step>
std::vector<Entry<Step>> closed_roads(Scope scope, const ContextOptions& ours) {
  return {context_entry<Step>("sync", "copy, launch, copy, synchronise (executor launch)", ours,
                              ExecutorKind::launch, scope),
          context_entry<Step>("graph_sync", "the same as a graph (executor graph)", ours,
                              ExecutorKind::graph, scope),
          tuning(value_entry<Step>(4, false)),
          value_entry<Step>(4, true),
          graph_entry<Step>("graph", 1, 4, {false, false}),
          streams_entry<Step>(3)};
}

/// Steps of grid scope in a row, each beginning when the one before has ended.
template <class Step>
std::vector<Entry<Step>> fed_grid_roads(unsigned depth) {
  std::vector<Entry<Step>> roads{streams_entry<Step>(depth)};
  for (const unsigned graphs : {1U, 2U}) {
    for (const GraphKind kind : all_graph_kinds) {
      roads.push_back(
          graph_entry<Step>("graph_" + std::to_string(graphs), depth / graphs, graphs, kind));
      roads.back().tunes = graphs == 1 && kind.copy;
    }
  }
  return roads;
}

/// Steps of block scope side by side.
template <class Step>
std::vector<Entry<Step>> fed_block_roads(unsigned depth) {
  std::vector<Entry<Step>> roads{
      {"value_streams", "launches by value on many streams",
       [=](const Setup<Step>& setup) { return make_value_bundles(setup, 1, depth); }}};
  for (const unsigned launches : {1U, 2U, 4U}) {
    const unsigned bundle = depth / launches;
    if (bundle < 2) continue;
    const std::string road = "bundle_" + std::to_string(launches);
    roads.push_back(
        {road + "_value", std::to_string(bundle) + " configs in one launch, by value",
         [=](const Setup<Step>& setup) { return make_value_bundles(setup, bundle, launches); }});
    roads.push_back(bundle_entry<Step>(road, bundle, launches, false));
    roads.back().tunes = launches == 1;
  }
  return roads;
}

/// `depth` configs in flight; the other roads.
template <class Step>
std::vector<Entry<Step>> fed_roads(Scope scope, unsigned depth) {
  auto roads = scope == Scope::grid ? fed_grid_roads<Step>(depth) : fed_block_roads<Step>(depth);
  roads.push_back(value_entry<Step>(depth, false));
  roads.push_back(value_entry<Step>(depth, true));
  return roads;
}

/// All `count` configs known; the other roads.
template <class Step>
std::vector<Entry<Step>> known_roads(Scope scope, unsigned count) {
  if (scope == Scope::block) {
    return {tuning(bundle_entry<Step>("one_launch", count, 1, false)),
            bundle_entry<Step>("one_launch", count, 1, true)};
  }
  std::vector<Entry<Step>> roads;
  const unsigned steps = std::min(count, 100U);
  for (const GraphKind kind : all_graph_kinds) {
    roads.push_back(graph_entry<Step>("graph100", steps, std::min(4U, count / steps), kind));
    roads.back().tunes = kind.copy;
  }
  return roads;
}

}  // namespace aatgs::bench
