// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace aatgs {

/// Root of everything this library throws. The message says what was tried, with which value, and
/// what to do about it.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option has a value that cannot work; the message names the value and the limit.
class OptionError : public Error {
 public:
  using Error::Error;
};

/// A call that the object cannot serve in its present state, such as queueing after `shutdown`.
class UseError : public Error {
 public:
  using Error::Error;
};

/// Input made by a user is wrong: `FILE:LINE: reason`. Programs exit with status 2 on it.
class InputError : public Error {
 public:
  using Error::Error;
};

/// A deadline passed; the message says what was waited for and how far it had come.
class TimeoutError : public Error {
 public:
  using Error::Error;
};

/// The GPU or its driver refused or failed; `code_name()` is CUDA's own name of the error.
class DeviceError : public Error {
 public:
  DeviceError(const std::string& message, std::string code_name)
      : Error(message), code_name_(std::move(code_name)) {}

  /// Such as "cudaErrorNoDevice".
  [[nodiscard]] const std::string& code_name() const noexcept { return code_name_; }

 private:
  std::string code_name_;
};

}  // namespace aatgs
