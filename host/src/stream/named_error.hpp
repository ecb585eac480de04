// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <exception>
#include <string>

namespace aatgs::detail {

/// Throws `error` again as the same kind of `Error` with `who` in front; what is no `Error` becomes
/// one.
[[noreturn]] inline void rethrow_named(const std::exception_ptr& error, const std::string& who) {
  try {
    std::rethrow_exception(error);
  } catch (const DeviceError& e) {
    throw DeviceError(who + ": " + e.what(), e.code_name());
  } catch (const TimeoutError& e) {
    throw TimeoutError(who + ": " + e.what());
  } catch (const UseError& e) {
    throw UseError(who + ": " + e.what());
  } catch (const OptionError& e) {
    throw OptionError(who + ": " + e.what());
  } catch (const std::exception& e) {
    throw Error(who + ": " + e.what());
  } catch (...) {
    throw Error(who + ": it threw what is no std::exception");
  }
}

/// The same, kept.
inline std::exception_ptr named(const std::exception_ptr& error, const std::string& who) {
  try {
    rethrow_named(error, who);
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace aatgs::detail
