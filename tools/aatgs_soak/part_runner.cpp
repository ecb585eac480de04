// SPDX-License-Identifier: Apache-2.0
#include "part_runner.hpp"

#include <aatgs/host/host_clock.hpp>

#include "machine.hpp"

namespace aatgs::soak {

namespace {

void sample_memory(const Settings& settings, const std::string& about, PartResult& part) {
  if (const auto bytes = device_bytes(settings.device)) part.device.add(*bytes, about);
  part.host.add(resident_bytes(), about);
}

std::string last_step_of(const MemorySeries& series) {
  const auto& step = series.last_step();
  if (!step) return {};
  return "; the last step, of " + std::to_string(step->bytes()) + " bytes, came after piece " +
         std::to_string(step->piece) + ": " + step->about;
}

void check_memory(const char* name, const MemorySeries& series, std::uint64_t limit_mib,
                  Tally& tally) {
  const auto growth = series.growth();
  const auto limit = static_cast<std::int64_t>(limit_mib << 20);
  if (!growth || *growth <= limit) return;
  tally.blame(&Tally::other, std::string(name) + " memory grew by " + std::to_string(*growth) +
                                 " bytes, more than " + std::to_string(limit) + ", at " +
                                 std::to_string(series.slope()) + " bytes for each context" +
                                 last_step_of(series));
}

}  // namespace

PartResult run_part(const Soak& soak, PartResult part,
                    const std::function<Piece(std::uint64_t left)>& next) {
  const std::uint64_t begin = host_now_ns();
  const auto seconds = [&] { return static_cast<double>(host_now_ns() - begin) / 1e9; };
  soak.watch.begin(part.name, part.unit, part.goal);
  sample_memory(soak.settings, {}, part);
  while (part.done < part.goal && part.tally.errors() == 0 && seconds() < soak.settings.seconds) {
    const Piece piece = next(part.goal - part.done);
    part.tally += piece.tally;
    part.done += piece.done;
    soak.watch.advance(piece.done);
    sample_memory(soak.settings, piece.about, part);
  }
  soak.watch.end();
  part.seconds = seconds();
  check_memory("device", part.device, soak.settings.growth_mib, part.tally);
  check_memory("host", part.host, soak.settings.growth_mib, part.tally);
  return part;
}

}  // namespace aatgs::soak
