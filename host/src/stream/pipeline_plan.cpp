// SPDX-License-Identifier: Apache-2.0
#include "pipeline_plan.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace aatgs::detail {

namespace {

template <class All, class Name>
std::size_t find(const All& all, const std::string& name, const std::string& who, const char* kind,
                 const Name& name_of) {
  const auto found = std::ranges::find(all, name, name_of);
  if (found != all.end()) return static_cast<std::size_t>(found - all.begin());
  std::string names;
  for (const auto& one : all) names += (names.empty() ? "'" : ", '") + name_of(one) + "'";
  throw UseError(who + " has no " + kind + " '" + name +
                 "': " + (names.empty() ? "it has none" : "it has " + names));
}

const std::string& name_of_buffer(const PlannedBuffer& buffer) {
  return buffer.name;
}
const std::string& name_of_stage(const PlannedStage& stage) {
  return stage.stage.name;
}

bool contains(const std::vector<std::size_t>& all, std::size_t one) {
  return std::ranges::find(all, one) != all.end();
}

}  // namespace

bool PlannedStage::reads(std::size_t buffer) const {
  return contains(inputs, buffer);
}
bool PlannedStage::writes(std::size_t buffer) const {
  return contains(outputs, buffer);
}

std::size_t PipelinePlan::buffer(const std::string& name) const {
  return find(buffers_, name, who_, "buffer", name_of_buffer);
}
std::size_t PipelinePlan::stage(const std::string& name) const {
  return find(stages_, name, who_, "stage", name_of_stage);
}

void PipelinePlan::add_buffer(PlannedBuffer buffer) {
  if (std::ranges::find(buffers_, buffer.name, &PlannedBuffer::name) != buffers_.end()) {
    throw UseError(who_ + " has a buffer '" + buffer.name + "' already: give this another name");
  }
  if (buffer.bytes == 0) {
    throw UseError(who_ + ": buffer '" + buffer.name + "' of 0 bytes: give it a size");
  }
  buffers_.push_back(std::move(buffer));
}

void PipelinePlan::add_stage(PipelineStage stage, void* host) {
  const std::string what = who_ + ", stage '" + stage.name + "'";
  if (std::ranges::find(stages_, stage.name, name_of_stage) != stages_.end()) {
    throw UseError(what + " is there already: give this another name");
  }
  if (!stage.work && host == nullptr) {
    throw UseError(what + " has nothing to do: give it work, or memory to copy");
  }
  PlannedStage planned;
  for (const std::string& name : stage.inputs) planned.inputs.push_back(buffer(name));
  for (const std::string& name : stage.outputs) planned.outputs.push_back(buffer(name));
  planned.stage = std::move(stage);
  planned.host = host;
  stages_.push_back(std::move(planned));
  by_hand_.clear();  // it would lack this stage
}

void PipelinePlan::set_order(const std::vector<std::string>& stages) {
  std::vector<std::size_t> order;
  for (const std::string& name : stages) {
    order.push_back(stage(name));
    if (std::ranges::count(order, order.back()) == 1) continue;
    throw UseError(who_ + ": the order names stage '" + name + "' twice: name each once");
  }
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (contains(order, i)) continue;
    throw UseError(who_ + ": the order lacks stage '" + stages_[i].stage.name + "': name all");
  }
  check(order);
  by_hand_ = std::move(order);
}

std::vector<std::size_t> PipelinePlan::order() const {
  if (stages_.empty()) throw UseError(who_ + " has no stages: add one");
  return by_hand_.empty() ? derive() : by_hand_;
}

/// Nobody may read what this iteration has not written yet.
void PipelinePlan::check(const std::vector<std::size_t>& order) const {
  for (std::size_t at = 0; at < order.size(); ++at) {
    const PlannedStage& reader = stages_[order[at]];
    for (const std::size_t buffer : reader.inputs) {
      if (buffers_[buffer].kind == PipelineBufferKind::carried) continue;
      const bool is_written =
          std::any_of(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(at),
                      [&](std::size_t before) { return stages_[before].writes(buffer); });
      if (is_written) continue;
      throw UseError(who_ + ": in this order stage '" + reader.stage.name + "' reads buffer '" +
                     buffers_[buffer].name +
                     "' before any stage wrote it: put who writes it first, or make it carried");
    }
  }
}

void PipelinePlan::add_iteration_edges(std::size_t buffer, Edges& edges) const {
  std::vector<std::size_t> writers;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (stages_[i].writes(buffer)) writers.push_back(i);
  }
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (!stages_[i].reads(buffer)) continue;
    const bool is_alone = writers.empty() || (writers.size() == 1 && writers.front() == i);
    if (is_alone) {
      throw UseError(who_ + ": stage '" + stages_[i].stage.name + "' reads buffer '" +
                     buffers_[buffer].name +
                     "', which no other stage writes: add one, or an upload, or make it carried");
    }
  }
  if (writers.size() > 1) {
    throw UseError(who_ + ": stages '" + stages_[writers[0]].stage.name + "' and '" +
                   stages_[writers[1]].stage.name + "' both write buffer '" +
                   buffers_[buffer].name + "': say by set_order who comes first");
  }
  for (std::size_t i = 0; i < stages_.size() && !writers.empty(); ++i) {
    if (stages_[i].reads(buffer)) edges[writers.front()].push_back({i, buffer});
  }
}

void PipelinePlan::add_carried_edges(std::size_t buffer, Edges& edges) const {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    for (std::size_t j = i + 1; j < stages_.size(); ++j) {
      const bool share =
          (stages_[i].writes(buffer) && (stages_[j].reads(buffer) || stages_[j].writes(buffer))) ||
          (stages_[i].reads(buffer) && stages_[j].writes(buffer));
      if (share) edges[i].push_back({j, buffer});
    }
  }
}

PipelinePlan::Edges PipelinePlan::edges() const {
  Edges edges(stages_.size());
  for (std::size_t buffer = 0; buffer < buffers_.size(); ++buffer) {
    if (buffers_[buffer].kind == PipelineBufferKind::carried) {
      add_carried_edges(buffer, edges);
    } else {
      add_iteration_edges(buffer, edges);
    }
  }
  return edges;
}

std::vector<std::size_t> PipelinePlan::derive() const {
  const Edges later = edges();
  std::vector<std::size_t> waits(stages_.size(), 0);
  for (const auto& targets : later) {
    for (const Edge& edge : targets) ++waits[edge.to];
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (waits[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const Edge& edge : later[order.back()]) {
      if (--waits[edge.to] == 0) ready.push(edge.to);
    }
  }
  if (order.size() == stages_.size()) return order;
  throw UseError(who_ + ": the stages wait for each other in a circle: " + circle(later, waits) +
                 "; make one of these buffers carried, or set_order");
}

/// As in `TaskPlan`: what waits comes after something that waits, so walking backwards comes round.
std::string PipelinePlan::circle(const Edges& edges, const std::vector<std::size_t>& waits) const {
  std::vector<std::pair<std::size_t, std::size_t>> before(stages_.size());  // stage, buffer
  std::size_t at = 0;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (waits[i] == 0) continue;
    at = i;
    for (const Edge& edge : edges[i]) before[edge.to] = {i, edge.buffer};
  }
  for (std::size_t i = 0; i < stages_.size(); ++i) at = before[at].first;  // now surely in it
  std::string text = "'" + stages_[at].stage.name + "'";
  for (std::size_t i = at, step = 0; step == 0 || i != at; ++step) {
    const auto [stage, buffer] = before[i];
    text = "'" + stages_[stage].stage.name + "' -(" + buffers_[buffer].name + ")-> " + text;
    i = stage;
  }
  return text;
}

}  // namespace aatgs::detail
