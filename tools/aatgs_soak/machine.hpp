// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace aatgs::soak {

/// Bytes in use on the device by all programs; empty without a GPU. Throws `DeviceError`.
std::optional<std::uint64_t> device_bytes(int device);

/// "CUDA 13.0", or "none".
std::string driver_version();

/// Bytes of this process in memory. Gives back first what the allocator holds unused.
std::uint64_t resident_bytes();

/// ISO 8601, UTC.
std::string utc_now();

}  // namespace aatgs::soak
