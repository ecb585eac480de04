// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/managed_streams.hpp>
#include <string>

namespace aatgs {

const std::shared_ptr<StreamDevice>& ManagedStreams::device(const char* wanted) {
  if (!options_.async) {
    throw UseError(std::string(wanted) +
                   " of a managed context without stream management: make it with async = true");
  }
  if (device_ == nullptr) {
    device_ = on_host_ ? make_cpu_stream_device() : make_gpu_stream_device(options_.context.device);
  }
  return device_;
}

StreamPool& ManagedStreams::pool() {
  const auto& device = this->device("a stream");
  if (pool_ == nullptr) pool_ = std::make_unique<StreamPool>(device, options_.streams);
  return *pool_;
}

AsyncCoordinator& ManagedStreams::coordinator() {
  const auto& device = this->device("the coordinator");
  if (coordinator_ == nullptr) coordinator_ = std::make_unique<AsyncCoordinator>(device);
  return *coordinator_;
}

PipelineGpuState& ManagedStreams::phases() {
  const auto& device = this->device("the phases' streams");
  if (!phases_) phases_.emplace(device, options_.phases);
  return *phases_;
}

}  // namespace aatgs
