// SPDX-License-Identifier: Apache-2.0
#include "watch.hpp"

#include <cstdio>

namespace aatgs::soak {

namespace {

constexpr std::chrono::milliseconds look_every{100};
constexpr std::chrono::seconds tell_every{10};

std::string text(std::uint64_t value) {
  return std::to_string(value);
}

/// Beside the thread that is stuck: the figures may be of slightly different moments.
std::string describe(const ExecutionStatistics& s) {
  return "submitted " + text(s.submitted) + ", completed " + text(s.completed) + ", failed " +
         text(s.failed) + ", dropped " + text(s.dropped) + ", in flight " + text(s.in_flight) +
         ", parks " + text(s.parks) + ", config ring " + std::to_string(s.config_ring.now) +
         " full, telemetry ring " + std::to_string(s.telemetry_ring.now) + " unread";
}

}  // namespace

Watch::Watch(std::chrono::milliseconds stall, OnStuck on_stuck)
    : stall_(stall),
      on_stuck_(std::move(on_stuck)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Watch::begin(const std::string& part, const std::string& unit, std::uint64_t goal) {
  const std::lock_guard lock(mutex_);
  part_ = part;
  unit_ = unit;
  goal_ = goal;
  advanced_ = 0;
  begun_ = told_ = moved_ = Clock::now();
}

void Watch::end() {
  const std::lock_guard lock(mutex_);
  part_.clear();
  about_.clear();
}

void Watch::note(const std::string& about) {
  const std::lock_guard lock(mutex_);
  about_ = about;
}

std::uint64_t Watch::collected() const {
  std::uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.collected.load(std::memory_order_relaxed);
  return sum;
}

void Watch::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, look_every, [] { return false; }) && !stop.stop_requested()) {
    if (part_.empty()) continue;
    const auto now = Clock::now();
    const std::uint64_t seen = collected() + advanced_;
    if (seen != last_seen_) {
      last_seen_ = seen;
      moved_ = now;
    }
    if (now - moved_ > stall_) return on_stuck_(where());
    if (now - told_ > tell_every) tell_progress(now);
  }
}

void Watch::tell_progress(Clock::time_point now) {
  told_ = now;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const auto done = static_cast<double>(advanced_);
  const double rate = done / seconds;
  const double left = static_cast<double>(goal_) - done;
  std::fprintf(stderr, "%s: %llu of %llu %s, %.3g per second, %.0f s to go, %llu errors\n",
               part_.c_str(), static_cast<unsigned long long>(advanced_),
               static_cast<unsigned long long>(goal_), unit_.c_str(), rate,
               rate > 0 ? left / rate : 0.0, static_cast<unsigned long long>(errors_));
}

std::string Watch::where() const {
  std::string report = part_ + ": no progress for " + std::to_string(stall_.count()) +
                       " ms, after " + text(advanced_) + " of " + text(goal_) + " " + unit_ +
                       "\n  " + about_ + "\n";
  for (std::uint32_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    const SoakContext* port = cell.port;
    const Ledger* ledger = cell.ledger;
    if (port == nullptr || ledger == nullptr) continue;
    report += "  port " + text(i) + ": " + cell.doing.load() + ", next ticket " +
              text(ledger->next()) + ", " + text(ledger->submitted()) + " submitted, " +
              text(ledger->open()) + " not back, the oldest of them ticket " +
              text(ledger->oldest_open()) + "\n    " + describe(port->stats()) + "\n    " +
              port->hang_report() + "\n";
  }
  return report;
}

}  // namespace aatgs::soak
