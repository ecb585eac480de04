// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_schedule.hpp>
#include <functional>
#include <map>
#include <queue>
#include <utility>

namespace aatgs {

std::string describe(const ScheduledOperation& operation) {
  const std::string stream = "stream '" + operation.stream + "' ";
  switch (operation.kind) {
    case ScheduledKind::run:
      return stream + "runs '" + operation.name + "'";
    case ScheduledKind::copy:
      return stream + "copies '" + operation.name + "'";
    case ScheduledKind::record:
      return stream + "records event '" + operation.name + "'";
    case ScheduledKind::wait:
      return stream + "waits for event '" + operation.name + "'";
    case ScheduledKind::barrier:
      break;
  }
  return "barrier '" + operation.name + "'";
}

ScheduledOperation& StreamSchedule::add(ScheduledKind kind, std::string stream, std::string name) {
  ScheduledOperation& operation = operations_.emplace_back();
  operation.kind = kind;
  operation.stream = std::move(stream);
  operation.name = std::move(name);
  return operation;
}

StreamSchedule& StreamSchedule::run(std::string stream, std::string name, StreamWork work) {
  add(ScheduledKind::run, std::move(stream), std::move(name)).work = std::move(work);
  return *this;
}

StreamSchedule& StreamSchedule::copy(std::string stream, std::string name, void* to,
                                     const void* from, std::size_t bytes) {
  ScheduledOperation& operation = add(ScheduledKind::copy, std::move(stream), std::move(name));
  operation.to = to;
  operation.from = from;
  operation.bytes = bytes;
  return *this;
}

StreamSchedule& StreamSchedule::record(std::string stream, std::string event) {
  add(ScheduledKind::record, std::move(stream), std::move(event));
  return *this;
}

StreamSchedule& StreamSchedule::wait(std::string stream, std::string event) {
  add(ScheduledKind::wait, std::move(stream), std::move(event));
  return *this;
}

StreamSchedule& StreamSchedule::depend(const std::string& after, const std::string& before) {
  const std::string event = before + " so far, entry " + std::to_string(operations_.size());
  return record(before, event).wait(after, event);
}

StreamSchedule& StreamSchedule::barrier() {
  add(ScheduledKind::barrier, "", std::to_string(operations_.size()));
  return *this;
}

StreamSchedule::Edges StreamSchedule::edges(
    const std::function<bool(const std::string&)>& is_recorded) const {
  Edges edges(operations_.size());
  std::map<std::string_view, std::size_t> last, recorded;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const ScheduledOperation& operation = operations_[i];
    if (operation.kind == ScheduledKind::record && !recorded.emplace(operation.name, i).second) {
      throw UseError("the schedule records event '" + operation.name + "' twice (" +
                     path_to(recorded[operation.name]) + "; " + path_to(i) +
                     "): give each record a name of its own");
    }
    if (operation.kind == ScheduledKind::run && !operation.work) {
      throw UseError(describe(operation) + ", an empty function: give it one that can be called");
    }
    if (operation.kind == ScheduledKind::barrier) {
      for (auto& [stream, before] : last) edges[std::exchange(before, i)].push_back(i);
      last.try_emplace("", i);  // for streams that begin after it
      continue;
    }
    auto before = last.find(operation.stream);
    if (before == last.end()) before = last.find("");
    if (before != last.end()) edges[before->second].push_back(i);
    last[operation.stream] = i;
  }
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    if (operations_[i].kind != ScheduledKind::wait) continue;
    const auto record = recorded.find(operations_[i].name);
    if (record != recorded.end()) {
      edges[record->second].push_back(i);
    } else if (!is_recorded || !is_recorded(operations_[i].name)) {
      throw UseError("the schedule waits for event '" + operations_[i].name +
                     "', which no stream records: " + path_to(i) +
                     "; record it, or take the wait away");
    }
  }
  return edges;
}

std::vector<std::size_t> StreamSchedule::order(
    const std::function<bool(const std::string&)>& is_recorded) const {
  const Edges later = edges(is_recorded);
  std::vector<std::size_t> waits(operations_.size(), 0);
  for (const auto& targets : later) {
    for (const std::size_t target : targets) ++waits[target];
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (waits[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  for (; !ready.empty();) {
    const std::size_t i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const std::size_t target : later[i]) {
      if (--waits[target] == 0) ready.push(target);
    }
  }
  if (order.size() == operations_.size()) return order;
  throw UseError("the schedule's streams wait for each other in a circle: " + circle(later, waits) +
                 "; take one of these waits away");
}

/// The stream's operations up to that one.
std::string StreamSchedule::path_to(std::size_t operation) const {
  std::string path;
  for (std::size_t i = 0; i <= operation; ++i) {
    const bool is_on_path = operations_[i].kind == ScheduledKind::barrier ||
                            operations_[i].stream == operations_[operation].stream;
    if (is_on_path) path += (path.empty() ? "" : " -> ") + describe(operations_[i]);
  }
  return path;
}

/// `waits`: above 0 for what is in a circle or behind one. Every such operation comes after another
/// one, so walking backwards never ends, and comes round.
std::string StreamSchedule::circle(const Edges& edges,
                                   const std::vector<std::size_t>& waits) const {
  std::vector<std::size_t> before(operations_.size(), 0);
  std::size_t at = 0;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (waits[i] == 0) continue;
    at = i;
    for (const std::size_t target : edges[i]) before[target] = i;
  }
  for (std::size_t i = 0; i < operations_.size(); ++i) at = before[at];  // now surely in it
  std::vector<std::size_t> circle{at};
  for (std::size_t i = before[at]; i != at; i = before[i]) circle.push_back(i);
  std::string text = describe(operations_[at]);
  for (auto i = circle.rbegin(); i != circle.rend(); ++i) {
    text += " -> " + describe(operations_[*i]);
  }
  return text;
}

}  // namespace aatgs
