// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <string>
#include <vector>

namespace aatgs::detail {

struct PlannedBuffer {
  std::string name;
  std::size_t bytes = 0;
  PipelineBufferKind kind = PipelineBufferKind::iteration;
};

/// A stage with its buffers as indices. A stage without work copies from or to `host`.
struct PlannedStage {
  PipelineStage stage;
  std::vector<std::size_t> inputs, outputs;
  void* host = nullptr;

  [[nodiscard]] bool is_copy() const { return !stage.work; }
  [[nodiscard]] bool reads(std::size_t buffer) const;
  [[nodiscard]] bool writes(std::size_t buffer) const;
};

/// Buffers, stages and their order; knows nothing of devices.
class PipelinePlan {
 public:
  explicit PipelinePlan(std::string who) : who_(std::move(who)) {}

  void add_buffer(PlannedBuffer buffer);
  void add_stage(PipelineStage stage, void* host);
  void set_order(const std::vector<std::string>& stages);
  /// Indices of stages.
  [[nodiscard]] std::vector<std::size_t> order() const;

  [[nodiscard]] std::size_t buffer(const std::string& name) const;
  [[nodiscard]] std::size_t stage(const std::string& name) const;
  [[nodiscard]] const std::vector<PlannedBuffer>& buffers() const { return buffers_; }
  [[nodiscard]] const std::vector<PlannedStage>& stages() const { return stages_; }
  [[nodiscard]] PlannedStage& at(std::size_t stage) { return stages_[stage]; }
  [[nodiscard]] const std::string& who() const { return who_; }

 private:
  struct Edge {
    std::size_t to;
    std::size_t buffer;
  };
  using Edges = std::vector<std::vector<Edge>>;

  [[nodiscard]] std::vector<std::size_t> derive() const;
  [[nodiscard]] Edges edges() const;
  void add_iteration_edges(std::size_t buffer, Edges& edges) const;
  void add_carried_edges(std::size_t buffer, Edges& edges) const;
  void check(const std::vector<std::size_t>& order) const;
  [[nodiscard]] std::string circle(const Edges& edges, const std::vector<std::size_t>& waits) const;

  std::string who_;
  std::vector<PlannedBuffer> buffers_;
  std::vector<PlannedStage> stages_;
  std::vector<std::size_t> by_hand_;
};

}  // namespace aatgs::detail
