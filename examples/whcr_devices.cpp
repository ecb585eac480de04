// SPDX-License-Identifier: Apache-2.0
#include "whcr_devices.hpp"

#include <aatgs/host/stream/device_set.hpp>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

namespace aatgs::examples {

namespace {

/// Empty: it is none.
std::optional<std::vector<int>> read_list(const std::string& text) {
  std::vector<int> devices;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;; ++at) {
    int device = -1;
    const auto [next, error] = std::from_chars(at, end, device);
    if (error != std::errc() || device < 0) return std::nullopt;
    devices.push_back(device);
    at = next;
    if (at == end) return devices;
    if (*at != ',') return std::nullopt;
  }
}

}  // namespace

std::string why_no_devices(const std::string& text) {
  if (text == "all" || read_list(text)) return {};
  return "'" + text + "': give 'all', or CUDA ordinals such as 0,1";
}

std::vector<int> parse_devices(const std::string& text, ExecutorKind executor) {
  if (text == "all" && is_on_host(executor)) {
    throw OptionError("--devices all with --executor " + std::string(to_string(executor)) +
                      ", which has as many as you name: name them, such as 0,1");
  }
  if (text == "all") return all_gpus();
  if (auto devices = read_list(text)) return *std::move(devices);
  throw OptionError("--devices " + why_no_devices(text));
}

void print_parts(const coloring::WhcrPortfolioResult& result) {
  for (std::size_t i = 0; i < result.parts.size(); ++i) {
    const coloring::WhcrPart& part = result.parts[i];
    std::printf("device %-6d ", part.device);
    if (!part.failure.empty()) {
      std::printf("failed: %s\n", part.failure.c_str());
      continue;
    }
    std::printf("%u conflicts, %u colors, %llu iterations in %.3f s%s\n", part.progress.conflicts,
                part.colors, static_cast<unsigned long long>(part.progress.iterations),
                part.progress.seconds,
                i == result.winner ? ": the winner" : (part.was_stopped ? ", stopped" : ""));
  }
}

nlohmann::ordered_json to_json(std::span<const coloring::WhcrPart> parts) {
  auto all = nlohmann::ordered_json::array();
  for (const coloring::WhcrPart& part : parts) {
    if (!part.failure.empty()) {
      all.push_back({{"device", part.device}, {"seed", part.seed}, {"failure", part.failure}});
      continue;
    }
    all.push_back({{"device", part.device},
                   {"executor", part.description},
                   {"seed", part.seed},
                   {"searches", part.searches},
                   {"conflicts", part.progress.conflicts},
                   {"colors", part.colors},
                   {"iterations", part.progress.iterations},
                   {"moves", part.progress.moves},
                   {"seconds", part.progress.seconds},
                   {"stopped", part.was_stopped}});
  }
  return all;
}

}  // namespace aatgs::examples
