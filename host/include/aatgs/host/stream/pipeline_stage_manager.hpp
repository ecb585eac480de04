// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace aatgs {

/// As a kernel launch takes it.
struct StageShape {
  std::array<unsigned, 3> grid{1, 1, 1};
  std::array<unsigned, 3> block{1, 1, 1};
  std::size_t shared_bytes = 0;
};

/// What the work of a stage is given: where to launch, and its buffers in the order it named them.
struct StageCall {
  StreamTarget target;
  StageShape shape;
  std::span<void*const> inputs, outputs;

  template <class T>
  [[nodiscard]] const T* input(std::size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <class T>
  [[nodiscard]] T* output(std::size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
};
using StageWork = std::function<void(const StageCall&)>;

/// A buffer in both `inputs` and `outputs` is changed in place.
struct PipelineStage {
  std::string name;
  StageShape shape;
  std::vector<std::string> inputs, outputs;
  StageWork work;
};

enum class PipelineBufferKind : std::uint8_t {
  iteration,  ///< made anew by each iteration; has copies, so that iterations can overlap
  carried,    ///< one, which keeps what it holds; zeros at first
};

struct PipelineOptions {
  std::string name = "pipeline";  ///< for messages
  unsigned copies = 2;            ///< of `iteration` buffers, 1 to 8: iterations that can overlap
  unsigned in_flight = 16;        ///< iterations that the host may be ahead, 1 to 256
  /// Captures an iteration once and launches that: the cheapest for small stages. Stages still run
  /// side by side; iterations follow each other, there is one copy of each buffer, and statistics
  /// are of whole iterations.
  bool graph = false;
  std::chrono::nanoseconds deadline =
      std::chrono::seconds(60);  ///< for room, and of the destructor
};

struct PipelineStageStats {
  std::string name;
  double mean_ms = 0;
};

/// From timed events, since the first iteration or `reset_stats`.
struct PipelineStats {
  std::uint64_t iterations = 0;            ///< finished and measured
  double mean_ms = 0;                      ///< of an iteration, first start to last end
  double iterations_per_second = 0;        ///< from the first start to the last end of all
  double utilisation = 0;                  ///< share of that time in which a stage ran
  double overlap = 0;                      ///< share of the time at work in which several did
  std::uint64_t captures = 0;              ///< of the graph: the first, and updates of it
  std::vector<PipelineStageStats> stages;  ///< in the order in which they run; not of a graph
};

/// Stages that pass buffers on, over and over. Stages that need nothing of each other run side by
/// side, and iteration k + 1 starts while k is still in later stages, as far as the buffers allow:
/// each stage waits, on the device, for those that wrote what it reads and for those that still
/// read what it writes.
///
/// Buffers and stages are added first; the first call that runs, waits, copies or asks for
/// statistics settles them. One thread at a time. Wrong use throws `UseError`, errors name the
/// pipeline and the stage. A work that throws ends its iteration on a GPU, where it throws from
/// `execute_iteration`; on host threads the next call that runs or waits tells it.
class PipelineStageManager {
 public:
  /// Throws `OptionError`.
  explicit PipelineStageManager(std::shared_ptr<StreamDevice> device, PipelineOptions options = {});
  ~PipelineStageManager();  ///< waits, `deadline` at most
  PipelineStageManager(const PipelineStageManager&) = delete;
  PipelineStageManager& operator=(const PipelineStageManager&) = delete;

  void add_buffer(std::string name, std::size_t bytes,
                  PipelineBufferKind kind = PipelineBufferKind::iteration);
  void add_stage(PipelineStage stage);
  /// Stages that copy a whole buffer from or to the host's memory, pinned on a GPU.
  void add_upload(std::string name, std::string buffer, const void* from);
  void add_download(std::string name, std::string buffer, void* to);

  /// For iterations from now on; a graph is updated, not made again.
  void set_work(const std::string& stage, StageWork work);
  void set_shape(const std::string& stage, const StageShape& shape);
  void set_host(const std::string& copy_stage, void* host);

  /// By hand, instead of the one that follows from the buffers: who writes comes before who reads;
  /// who shares a carried buffer comes as added. All stages, and nobody may read what is not
  /// written yet.
  void set_order(std::vector<std::string> stages);
  /// Throws `UseError` that shows the path of a circle, or names a buffer that nobody writes, or
  /// that several write without an order by hand.
  [[nodiscard]] std::vector<std::string> order() const;

  /// Queues one and returns its number, 1, 2, 3...; waits only while `in_flight` are. This and
  /// `wait`: `TimeoutError` names the stage that is not done.
  std::uint64_t execute_iteration();
  void wait(std::uint64_t iteration, std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  void synchronize(std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  /// Waits and ends it; later calls throw `UseError`.
  void close(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  /// Waits for all iterations and copies to or from the buffer, as the last one left it.
  void write_buffer(const std::string& buffer, const void* from, std::size_t bytes);
  void read_buffer(const std::string& buffer, void* to, std::size_t bytes);

  /// What is known of finished iterations; does not wait.
  [[nodiscard]] PipelineStats stats();
  void reset_stats();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aatgs
