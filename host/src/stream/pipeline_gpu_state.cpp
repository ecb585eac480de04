// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <algorithm>
#include <exception>
#include <utility>

#include "checked_device.hpp"
#include "deadline.hpp"

namespace aatgs {

namespace {

constexpr unsigned most_streams = 64;

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::vector<std::string> list_phases(const std::vector<std::string>& own) {
  std::vector<std::string> all{
      phase::reservoir,     phase::transfer_entropy, phase::active_inference,
      phase::thermodynamic, phase::quantum,          phase::memetic,
      phase::ensemble,      phase::validation,       phase::whcr};
  for (const std::string& name : own) {
    if (name.empty()) throw OptionError("phases: one without a name, give it one");
    if (std::ranges::find(all, name) != all.end()) {
      throw OptionError("phases: " + in_quotes(name) + " is known already: name each once");
    }
    all.push_back(name);
  }
  return all;
}

std::vector<Stream> make_streams(const std::shared_ptr<StreamDevice>& device,
                                 const PipelineGpuOptions& options, std::size_t phases) {
  detail::require_device(device.get(), "phases of a solver");
  if (options.streams > most_streams) {
    throw OptionError("streams = " + std::to_string(options.streams) +
                      ": give 0, for one a phase, "
                      "to " +
                      std::to_string(most_streams));
  }
  std::size_t count =
      options.streams == 0 ? phases : std::min<std::size_t>(options.streams, phases);
  if (options.stream_mode == StreamMode::sequential) count = 1;
  std::vector<Stream> streams;
  for (std::size_t i = 0; i < count; ++i) {
    streams.emplace_back(device, StreamOptions{.name = "phase stream " + std::to_string(i)});
  }
  return streams;
}

}  // namespace

std::string_view to_string(StreamMode mode) {
  return mode == StreamMode::sequential ? "sequential" : "parallel";
}

StreamMode parse_stream_mode(std::string_view text) {
  for (const StreamMode mode : {StreamMode::sequential, StreamMode::parallel}) {
    if (text == to_string(mode)) return mode;
  }
  throw OptionError("unknown stream_mode " + in_quotes(text) +
                    ": choose one of sequential, parallel");
}

PipelineGpuState::PipelineGpuState(std::shared_ptr<StreamDevice> device, PipelineGpuOptions options)
    : device_(std::move(device)),
      options_(std::move(options)),
      phases_(list_phases(options_.phases)),
      streams_(make_streams(device_, options_, phases_.size())),
      reached_(device_) {}

std::size_t PipelineGpuState::stream_number(std::string_view phase) const {
  const auto found = std::ranges::find(phases_, phase);
  if (found != phases_.end()) {
    return static_cast<std::size_t>(found - phases_.begin()) % streams_.size();
  }
  std::string list;
  for (const std::string& name : phases_) list += (list.empty() ? "" : ", ") + name;
  throw UseError("the stream of phase " + in_quotes(phase) + ", which is none of " + list +
                 ": give the solver's own phases in the options");
}

Stream& PipelineGpuState::stream(std::string_view phase) {
  return streams_[stream_number(phase)];
}

void PipelineGpuState::wait(std::string_view phase, std::string_view earlier) {
  Stream& waiting = stream(phase);
  Stream& working = stream(earlier);
  if (&waiting == &working) return;
  working.record(reached_);
  waiting.wait(reached_);
}

PhaseExecution PipelineGpuState::execution(std::string_view phase) const {
  const std::size_t number = stream_number(phase);
  return device_->is_gpu() ? PhaseExecution::gpu_stream(number)
                           : PhaseExecution::cpu_fallback("streams of " + device_->name());
}

void PipelineGpuState::synchronize(std::chrono::nanoseconds deadline) {
  const detail::Deadline until(deadline);
  std::exception_ptr first;
  for (Stream& stream : streams_) {
    try {
      stream.synchronize(until.left());
    } catch (...) {
      if (first == nullptr) first = std::current_exception();
    }
  }
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace aatgs
