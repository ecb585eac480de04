// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <utility>

#include "checked_device.hpp"
#include "named_error.hpp"
#include "pipeline_run.hpp"

namespace aatgs {

namespace {

PipelineOptions checked(PipelineOptions options, const StreamDevice* device) {
  detail::require_device(device, "pipeline '" + options.name + "'");
  const std::string who = "pipeline '" + options.name + "': ";
  if (options.copies < 1 || options.copies > 8) {
    throw OptionError(who + std::to_string(options.copies) +
                      " copies of each buffer: give it 1 to 8");
  }
  if (options.in_flight < 1 || options.in_flight > 256) {
    throw OptionError(who + std::to_string(options.in_flight) +
                      " iterations in flight: give it 1 to 256");
  }
  if (options.graph) options.copies = 1;
  return options;
}

}  // namespace

struct PipelineStageManager::State {
  State(std::shared_ptr<StreamDevice> on, PipelineOptions given)
      : device(std::move(on)),
        options(checked(std::move(given), device.get())),
        plan("pipeline '" + options.name + "'") {}

  void require_open() const {
    if (closed) throw UseError(plan.who() + " is closed: use it before its close");
    if (is_executing) {
      throw UseError(plan.who() + ": a stage's work uses its own pipeline: do that outside");
    }
  }
  void require_unsettled(const char* doing) const {
    require_open();
    if (run == nullptr) return;
    throw UseError(plan.who() + ": " + doing +
                   " after its first use: do it before, or make another pipeline");
  }
  detail::PipelineRun& settled() {
    require_open();
    if (run == nullptr) run = std::make_unique<detail::PipelineRun>(device, options, plan);
    return *run;
  }
  /// Tells no failure of a work, whose `TimeoutError` would be taken for that of the wait.
  detail::PipelineRun& drained(const detail::Deadline& deadline) {
    detail::PipelineRun& all = settled();
    all.wait(all.started(), deadline);
    try {
      all.synchronize(deadline);
    } catch (...) {
      detail::rethrow_named(std::current_exception(), plan.who());
    }
    return all;
  }
  detail::PipelineRun& idle(const detail::Deadline& deadline) {
    detail::PipelineRun& all = drained(deadline);
    all.throw_failure();
    return all;
  }
  detail::PlannedStage& change(const std::string& stage) {
    require_open();
    return plan.at(plan.stage(stage));
  }
  void changed(const std::string& stage) {
    if (run != nullptr) run->update(plan.stage(stage));
  }
  std::size_t checked_copy(const std::string& name, const void* memory, std::size_t bytes) const {
    const std::size_t buffer = plan.buffer(name);
    const std::size_t size = plan.buffers()[buffer].bytes;
    if (memory == nullptr || bytes > size) {
      throw UseError(plan.who() + ", buffer '" + name + "': a copy of " + std::to_string(bytes) +
                     " bytes " + (memory == nullptr ? "with a null pointer" : "beyond its end") +
                     ": it has " + std::to_string(size) + " bytes");
    }
    return buffer;
  }

  std::shared_ptr<StreamDevice> device;
  PipelineOptions options;
  detail::PipelinePlan plan;
  std::unique_ptr<detail::PipelineRun> run;
  bool is_executing = false;
  bool closed = false;
};

PipelineStageManager::PipelineStageManager(std::shared_ptr<StreamDevice> device,
                                           PipelineOptions options)
    : state_(std::make_unique<State>(std::move(device), std::move(options))) {}

PipelineStageManager::~PipelineStageManager() {
  try {
    close(state_->options.deadline);
  } catch (...) {  // nobody is left to be told
  }
}

void PipelineStageManager::add_buffer(std::string name, std::size_t bytes,
                                      PipelineBufferKind kind) {
  state_->require_unsettled("add_buffer");
  state_->plan.add_buffer({std::move(name), bytes, kind});
}

void PipelineStageManager::add_stage(PipelineStage stage) {
  state_->require_unsettled("add_stage");
  state_->plan.add_stage(std::move(stage), nullptr);
}

void PipelineStageManager::add_upload(std::string name, std::string buffer, const void* from) {
  state_->require_unsettled("add_upload");
  PipelineStage stage;
  stage.name = std::move(name);
  stage.outputs = {std::move(buffer)};
  state_->plan.add_stage(std::move(stage), const_cast<void*>(from));
}

void PipelineStageManager::add_download(std::string name, std::string buffer, void* to) {
  state_->require_unsettled("add_download");
  PipelineStage stage;
  stage.name = std::move(name);
  stage.inputs = {std::move(buffer)};
  state_->plan.add_stage(std::move(stage), to);
}

void PipelineStageManager::set_work(const std::string& stage, StageWork work) {
  detail::PlannedStage& planned = state_->change(stage);
  if (!work || planned.is_copy()) {
    throw UseError(state_->plan.who() + ", stage '" + stage + "': " +
                   (work ? "work for a stage that copies: use set_host"
                         : "an empty function as work: give it one that can be called"));
  }
  planned.stage.work = std::move(work);
  state_->changed(stage);
}

void PipelineStageManager::set_shape(const std::string& stage, const StageShape& shape) {
  state_->change(stage).stage.shape = shape;
  state_->changed(stage);
}

void PipelineStageManager::set_host(const std::string& copy_stage, void* host) {
  detail::PlannedStage& planned = state_->change(copy_stage);
  if (host == nullptr || !planned.is_copy()) {
    throw UseError(state_->plan.who() + ", stage '" + copy_stage + "': " +
                   (host == nullptr ? "null in place of memory: give it some"
                                    : "it copies nothing: use set_work"));
  }
  planned.host = host;
  state_->changed(copy_stage);
}

void PipelineStageManager::set_order(std::vector<std::string> stages) {
  state_->require_unsettled("set_order");
  state_->plan.set_order(stages);
}

std::vector<std::string> PipelineStageManager::order() const {
  std::vector<std::string> names;
  for (const std::size_t stage : state_->plan.order()) {
    names.push_back(state_->plan.stages()[stage].stage.name);
  }
  return names;
}

std::uint64_t PipelineStageManager::execute_iteration() {
  detail::PipelineRun& run = state_->settled();
  run.throw_failure();
  state_->is_executing = true;
  try {
    const std::uint64_t iteration = run.execute();
    state_->is_executing = false;
    return iteration;
  } catch (...) {
    state_->is_executing = false;
    throw;
  }
}

void PipelineStageManager::wait(std::uint64_t iteration, std::chrono::nanoseconds deadline) {
  detail::PipelineRun& run = state_->settled();
  if (iteration == 0 || iteration > run.started()) {
    throw UseError(state_->plan.who() + ": waiting for iteration " + std::to_string(iteration) +
                   ", but it has begun " + std::to_string(run.started()) +
                   ": give what execute_iteration returned");
  }
  run.wait(iteration, detail::Deadline(deadline));
  run.throw_failure();
}

void PipelineStageManager::synchronize(std::chrono::nanoseconds deadline) {
  state_->idle(detail::Deadline(deadline));
}

void PipelineStageManager::close(std::chrono::nanoseconds deadline) {
  if (state_->closed) return;
  state_->require_open();
  const detail::Deadline until(deadline);
  std::exception_ptr failure;
  if (state_->run != nullptr) {
    try {
      state_->drained(until);
    } catch (const TimeoutError&) {
      state_->closed = true;
      throw;  // something still works on the memory: it is never freed
    } catch (...) {
      failure = std::current_exception();
    }
  }
  state_->closed = true;
  if (state_->run == nullptr) return;
  state_->run->release(until);
  if (failure != nullptr) std::rethrow_exception(failure);
  state_->run->throw_failure();
}

void PipelineStageManager::write_buffer(const std::string& buffer, const void* from,
                                        std::size_t bytes) {
  const std::size_t index = state_->checked_copy(buffer, from, bytes);
  if (state_->plan.buffers()[index].kind != PipelineBufferKind::carried) {
    throw UseError(state_->plan.who() + ": writing buffer '" + buffer +
                   "', which each iteration makes anew: make it carried, or add an upload");
  }
  const detail::Deadline until(state_->options.deadline);
  detail::PipelineRun& run = state_->idle(until);
  run.copy(run.data(index), from, bytes, until);
}

void PipelineStageManager::read_buffer(const std::string& buffer, void* to, std::size_t bytes) {
  const std::size_t index = state_->checked_copy(buffer, to, bytes);
  const detail::Deadline until(state_->options.deadline);
  detail::PipelineRun& run = state_->idle(until);
  run.copy(to, run.data(index), bytes, until);
}

PipelineStats PipelineStageManager::stats() {
  return state_->settled().stats();
}
void PipelineStageManager::reset_stats() {
  state_->settled().reset_stats();
}

}  // namespace aatgs
