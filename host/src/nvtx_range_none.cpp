// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/nvtx_range.hpp>

namespace aatgs {

NvtxRange::NvtxRange(const char*) noexcept {}
NvtxRange::~NvtxRange() = default;

}  // namespace aatgs
