// SPDX-License-Identifier: Apache-2.0
// Any text is a coloring of exactly n vertices, or an InputError. The first byte is n.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <sstream>

#include "fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  using aatgs::fuzz::require;
  const std::size_t n = data[0];
  std::istringstream in(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  try {
    const auto colors = aatgs::coloring::read_coloring(in, "c.txt", n);
    require(colors.size() == n, "a coloring of another size");
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(std::string_view(error.what()).starts_with("c.txt:"), "an error without its file");
  }
  return 0;
}
