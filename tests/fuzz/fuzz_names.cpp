// SPDX-License-Identifier: Apache-2.0
// Any text is the name of an executor or a scope, as it is printed, or an OptionError.
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>

#include "fuzz.hpp"

namespace {

template <class Parse>
void check(std::string_view text, Parse parse) {
  using aatgs::fuzz::require;
  try {
    require(to_string(parse(text)) == text, "a name is read as another one");
  } catch (const aatgs::OptionError& error) {
    const std::string_view shown = text.substr(0, text.find('\0'));  // `what` ends there
    require(std::string_view(error.what()).find(shown) != std::string_view::npos,
            "an error without the name");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, aatgs::parse_executor);
  check(text, aatgs::parse_scope);
  return 0;
}
