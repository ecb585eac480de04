// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace aatgs::detail {

/// Throws `UseError` for null. `who` wants the device, for the message.
inline void require_device(const StreamDevice* device, std::string_view who) {
  if (device != nullptr) return;
  throw UseError(std::string(who) + ": null in place of a device: make one first");
}

/// The same, for what initialises a member.
inline std::shared_ptr<StreamDevice> checked_device(std::shared_ptr<StreamDevice> device,
                                                    std::string_view who) {
  require_device(device.get(), who);
  return device;
}

}  // namespace aatgs::detail
