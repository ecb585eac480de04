// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace aatgs::detail {

/// Ends the capture of a stream and brings `old` (null: a new one) to what was captured; one of
/// another shape is destroyed and another returned. Throws `DeviceError`; `old` is whole then.
cudaGraphExec_t end_cuda_capture(cudaStream_t stream, cudaGraphExec_t old);

}  // namespace aatgs::detail
