// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>

namespace aatgs {

std::string why_no_gpu(int) {
  return "this build of AATGS has no CUDA";
}

std::string gpu_name(int device) {
  throw DeviceError(why_no_gpu(device), "cudaErrorNoDevice");
}

std::uint32_t gpu_multiprocessors(int device) {
  throw DeviceError(why_no_gpu(device), "cudaErrorNoDevice");
}

}  // namespace aatgs
