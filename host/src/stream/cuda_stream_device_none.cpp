// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_device.hpp>

namespace aatgs {

std::shared_ptr<StreamDevice> make_gpu_stream_device(int ordinal) {
  throw DeviceError("CUDA device " + std::to_string(ordinal) +
                        " was asked for, but this build of AATGS has no CUDA: build it with "
                        "-Dgpu=true, or use make_cpu_stream_device",
                    "cudaErrorNoDevice");
}

}  // namespace aatgs
