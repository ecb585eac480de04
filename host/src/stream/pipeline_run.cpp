// SPDX-License-Identifier: Apache-2.0
#include "pipeline_run.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <utility>

#include "named_error.hpp"

namespace aatgs::detail {

namespace {

constexpr std::size_t most_lanes_of_pipeline = 16;

/// What a work needs when its stream comes to it, which on host threads may be after a change.
struct PreparedStage {
  StageWork work;
  StageShape shape;
  std::vector<void*> inputs, outputs;
  std::string who;
  std::shared_ptr<FirstFailure> failures;  // null: what it throws is for the caller

  void operator()(StreamTarget target) const {
    const StageCall call{target, shape, inputs, outputs};
    if (failures == nullptr) return work(call);
    try {
      work(call);
    } catch (...) {
      failures->add(named(std::current_exception(), who));
    }
  }
};

}  // namespace

PipelineRun::PipelineRun(std::shared_ptr<StreamDevice> device, const PipelineOptions& options,
                         const PipelinePlan& plan)
    : device_(std::move(device)),
      options_(options),
      plan_(plan),
      order_(plan.order()),
      clock_(device_, options.graph ? 1 : order_.size(), options.in_flight),
      graph_(device_) {
  for (std::size_t i = 0; i < std::min(order_.size(), most_lanes_of_pipeline); ++i) {
    lanes_.emplace_back(device_, StreamOptions{.name = options.name + " lane " + std::to_string(i),
                                               .metrics = false});
  }
  for (std::size_t i = 0; options.graph && i <= order_.size(); ++i) captured_.emplace_back(device_);
  try {
    allocate();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    free_memory();
    rethrow_named(error, plan.who() + ", its buffers");
  }
  works_.resize(order_.size());
  for (std::size_t stage = 0; stage < works_.size(); ++stage) make_works(stage);
  uses_ = unused();
  lanes_.front().record(clock_.origin());
}

PipelineRun::~PipelineRun() = default;

std::size_t PipelineRun::copies_of(std::size_t buffer) const {
  const bool is_one = options_.graph || plan_.buffers()[buffer].kind == PipelineBufferKind::carried;
  return is_one ? 1 : options_.copies;
}
std::size_t PipelineRun::copy_of(std::size_t buffer, std::uint64_t iteration) const {
  return static_cast<std::size_t>(iteration % copies_of(buffer));
}
std::string PipelineRun::who(std::size_t stage) const {
  return plan_.who() + ", stage '" + plan_.stages()[stage].stage.name + "'";
}

void PipelineRun::allocate() {
  Stream& stream = lanes_.front();
  memory_.resize(plan_.buffers().size());
  for (std::size_t buffer = 0; buffer < memory_.size(); ++buffer) {
    const std::size_t bytes = plan_.buffers()[buffer].bytes;
    for (std::size_t copy = 0; copy < copies_of(buffer); ++copy) {
      memory_[buffer].push_back(device_->allocate(stream.handle(), bytes, nullptr));
      stream.set(memory_[buffer].back(), 0, bytes);
    }
  }
  Event zeroed(device_);
  stream.record(zeroed);
  for (Stream& lane : lanes_) {
    if (&lane != &stream) lane.wait(zeroed);
  }
}

void PipelineRun::free_memory() {
  for (auto& copies : memory_) {
    for (void* copy : std::exchange(copies, {})) device_->free(lanes_.front().handle(), copy);
  }
}

void PipelineRun::release(const Deadline& deadline) {
  free_memory();
  for (Stream& lane : lanes_) lane.close(deadline.left());
}

PipelineRun::Uses PipelineRun::unused() const {
  Uses uses(memory_.size());
  for (std::size_t buffer = 0; buffer < uses.size(); ++buffer) {
    uses[buffer].resize(copies_of(buffer));
  }
  return uses;
}

StreamWork PipelineRun::make_work(std::size_t stage, std::size_t copy) const {
  const PlannedStage& planned = plan_.stages()[stage];
  auto prepared = std::make_shared<PreparedStage>();
  prepared->work = planned.stage.work;
  prepared->shape = planned.stage.shape;
  for (const std::size_t i : planned.inputs)
    prepared->inputs.push_back(memory_[i][copy_of(i, copy)]);
  for (const std::size_t i : planned.outputs) {
    prepared->outputs.push_back(memory_[i][copy_of(i, copy)]);
  }
  prepared->who = who(stage);
  if (!device_->is_gpu()) prepared->failures = failures_;
  return [prepared](StreamTarget target) { (*prepared)(target); };
}

void PipelineRun::make_works(std::size_t stage) {
  works_[stage].clear();
  if (plan_.stages()[stage].is_copy()) return;
  for (std::size_t copy = 0; copy < options_.copies; ++copy) {
    works_[stage].push_back(make_work(stage, copy));
  }
}

void PipelineRun::update(std::size_t stage) {
  make_works(stage);
  is_stale_ = true;
}

void PipelineRun::wait_for(std::size_t lane, const Place& place) {
  if (place.event != nullptr && place.lane != lane) lanes_[lane].wait(*place.event);
}

/// Reads wait for the last write; writes for that and for the reads since.
void PipelineRun::enqueue(std::size_t position, std::uint64_t iteration, Uses& uses, Event* begin,
                          Event& end) {
  const std::size_t stage = order_[position];
  const std::size_t lane = position % lanes_.size();
  const PlannedStage& planned = plan_.stages()[stage];
  for (const std::size_t buffer : planned.inputs) {
    wait_for(lane, uses[buffer][copy_of(buffer, iteration)].written);
  }
  for (const std::size_t buffer : planned.outputs) {
    const Use& use = uses[buffer][copy_of(buffer, iteration)];
    wait_for(lane, use.written);
    for (const Place& reader : use.readers) wait_for(lane, reader);
  }
  if (begin != nullptr) lanes_[lane].record(*begin);
  give(stage, iteration, lanes_[lane]);
  lanes_[lane].record(end);
  for (const std::size_t buffer : planned.inputs) {
    auto& readers = uses[buffer][copy_of(buffer, iteration)].readers;
    std::erase_if(readers, [&](const Place& reader) { return reader.lane == lane; });
    readers.push_back({lane, &end});
  }
  for (const std::size_t buffer : planned.outputs) {
    uses[buffer][copy_of(buffer, iteration)] = {{lane, &end}, {}};
  }
}

void PipelineRun::give(std::size_t stage, std::uint64_t iteration, Stream& stream) {
  const PlannedStage& planned = plan_.stages()[stage];
  if (!planned.is_copy()) return stream.run(works_[stage][iteration % options_.copies]);
  const bool is_upload = !planned.outputs.empty();
  const std::size_t buffer = is_upload ? planned.outputs.front() : planned.inputs.front();
  void* data = memory_[buffer][copy_of(buffer, iteration)];
  const std::size_t bytes = plan_.buffers()[buffer].bytes;
  stream.copy(is_upload ? data : planned.host, is_upload ? planned.host : data, bytes);
}

std::uint64_t PipelineRun::execute() {
  clock_.refresh();
  wait(clock_.last_before_next(), Deadline(options_.deadline));
  auto& parts = clock_.next();
  if (options_.graph && is_stale_) capture();
  try {
    if (options_.graph) {
      run_graph(parts.front());
    } else {
      run_stages(parts);
    }
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    abort_iteration();
    std::rethrow_exception(error);
  }
  clock_.start();
  return clock_.started();
}

void PipelineRun::run_stages(std::deque<PipelineClock::Part>& parts) {
  const std::uint64_t iteration = clock_.started() + 1;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    try {
      enqueue(i, iteration, uses_, &parts[i].begin, parts[i].end);
    } catch (...) {
      rethrow_named(std::current_exception(), who(order_[i]));
    }
  }
}

void PipelineRun::run_graph(PipelineClock::Part& part) {
  Stream& stream = lanes_.front();
  stream.record(part.begin);
  stream.launch(graph_);
  stream.record(part.end);
}

/// Some stages of it may have been queued: when they are done nothing has to be waited for.
void PipelineRun::abort_iteration() noexcept {
  try {
    synchronize(Deadline(options_.deadline));
    uses_ = unused();
  } catch (...) {  // the error that led here is the one to tell
  }
}

void PipelineRun::capture() {
  lanes_.front().begin_capture();
  try {
    capture_stages();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    try {
      StreamGraph half(device_);
      lanes_.front().end_capture(half);
    } catch (...) {  // it says that the capture is not whole
    }
    std::rethrow_exception(error);
  }
  lanes_.front().end_capture(graph_);
  is_stale_ = false;
  ++captures_;
}

void PipelineRun::capture_stages() {
  Event& begin = captured_.back();
  lanes_.front().record(begin);
  for (std::size_t lane = 1; lane < lanes_.size(); ++lane) lanes_[lane].wait(begin);
  Uses uses = unused();
  for (std::size_t i = 0; i < order_.size(); ++i) {
    try {
      enqueue(i, 0, uses, nullptr, captured_[i]);
    } catch (...) {
      rethrow_named(std::current_exception(), who(order_[i]));
    }
  }
  // The last stages of all lanes are the last ones of the order.
  for (std::size_t i = order_.size() - lanes_.size(); i < order_.size(); ++i) {
    wait_for(0, {i % lanes_.size(), &captured_[i]});
  }
}

void PipelineRun::synchronize(const Deadline& deadline) {
  for (Stream& lane : lanes_) lane.synchronize(deadline.left());
  clock_.refresh();
}

void PipelineRun::wait(std::uint64_t iteration, const Deadline& deadline) {
  try {
    clock_.wait(iteration, deadline);
  } catch (const TimeoutError& error) {
    std::uint64_t at = iteration;
    while (at > 1 && !clock_.is_finished(at - 1)) --at;
    const std::size_t part = clock_.unfinished_part(at);
    const std::string where =
        options_.graph || part == order_.size() ? plan_.who() : who(order_[part]);
    throw TimeoutError(where + ", iteration " + std::to_string(at) + ": " + error.what());
  } catch (...) {
    rethrow_named(std::current_exception(), plan_.who());
  }
}

void PipelineRun::throw_failure() {
  if (const std::exception_ptr failure = failures_->take()) std::rethrow_exception(failure);
}

void* PipelineRun::data(std::size_t buffer) const {
  return memory_[buffer][options_.graph ? 0 : copy_of(buffer, clock_.started())];
}

void PipelineRun::copy(void* to, const void* from, std::size_t bytes, const Deadline& deadline) {
  lanes_.front().copy(to, from, bytes);
  lanes_.front().synchronize(deadline.left());
}

PipelineStats PipelineRun::stats() {
  clock_.refresh();
  PipelineStats stats;
  clock_.fill(stats);
  stats.captures = captures_;
  for (std::size_t i = 0; !options_.graph && i < order_.size(); ++i) {
    stats.stages.push_back({plan_.stages()[order_[i]].stage.name, clock_.mean_ms(i)});
  }
  return stats;
}

}  // namespace aatgs::detail
