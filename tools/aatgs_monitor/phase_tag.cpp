// SPDX-License-Identifier: Apache-2.0
#include "phase_tag.hpp"

#include <aatgs/host/run_metric.hpp>
#include <array>
#include <utility>

#include "json_text.hpp"

namespace aatgs::monitor {

std::string phase_tag(std::string_view phase) {
  constexpr std::array<std::pair<std::string_view, const char*>, 5> tags{
      {{phase::reservoir, "RESERV"},
       {phase::transfer_entropy, "TE"},
       {phase::active_inference, "ACTIVE"},
       {phase::thermodynamic, "THERMO"},
       {phase::validation, "VALID"}}};
  for (const auto& [name, tag] : tags) {
    if (phase == name) return tag;
  }
  std::string tag = visible(phase);
  for (char& c : tag) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return tag;
}

std::string visible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool control =
        length == 0 || (length == 1 && (first < 0x20 || first == 0x7F)) ||
        (length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    out += control ? "?" : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace aatgs::monitor
