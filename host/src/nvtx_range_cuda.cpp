// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/nvtx_range.hpp>
#include <nvtx3/nvtx3.hpp>

namespace aatgs {

namespace {

struct Domain {
  static constexpr const char* name = "aatgs";
};

nvtxDomainHandle_t domain() noexcept {
  return nvtx3::domain::get<Domain>();
}

}  // namespace

NvtxRange::NvtxRange(const char* name) noexcept {
  nvtxDomainRangePushEx(domain(), nvtx3::event_attributes{name}.get());
}
NvtxRange::~NvtxRange() {
  nvtxDomainRangePop(domain());
}

}  // namespace aatgs
