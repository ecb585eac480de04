// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>

#include "gpu_memory.hpp"

namespace aatgs::gpu {

namespace {
[[noreturn]] void refuse() {
  throw DeviceError("this build of AATGS has no CUDA: build it with -Dgpu=true to use GPU memory",
                    "cudaErrorNoDevice");
}
}  // namespace

CopyStream::CopyStream(int device) : device_(device) {
  refuse();
}
CopyStream::~CopyStream() = default;
void* CopyStream::allocate(std::size_t) {
  refuse();
}
void CopyStream::release(void*) noexcept {}
void CopyStream::copy(void*, const void*, std::size_t) {
  refuse();
}
void* allocate_mapped(std::size_t, int) {
  refuse();
}
void release_mapped(void*, int) noexcept {}

}  // namespace aatgs::gpu
