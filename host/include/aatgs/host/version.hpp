// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aatgs {

/// The library's version, such as "0.1.0".
[[nodiscard]] const char* library_version() noexcept;

}  // namespace aatgs
