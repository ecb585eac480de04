// SPDX-License-Identifier: Apache-2.0
#include "latency_sampler.hpp"

namespace aatgs::detail {

LatencySampler::Pair* LatencySampler::begin() {
  if (device_.is_capturing(stream_)) return nullptr;
  const std::lock_guard lock(mutex_);
  collect();
  for (Pair& pair : pairs_) {
    if (pair.state != Pair::State::free) continue;
    if (pair.begin == nullptr) pair.begin = device_.make_event(true);
    if (pair.end == nullptr) pair.end = device_.make_event(true);
    device_.record(stream_, pair.begin);
    pair.state = Pair::State::open;
    return &pair;
  }
  return nullptr;
}

void LatencySampler::end(Pair& pair) {
  const std::lock_guard lock(mutex_);
  pair.state = Pair::State::free;
  device_.record(stream_, pair.end);
  pair.state = Pair::State::ended;
}

void LatencySampler::cancel(Pair& pair) {
  const std::lock_guard lock(mutex_);
  pair.state = Pair::State::free;
}

void LatencySampler::collect() {
  for (Pair& pair : pairs_) {
    if (pair.state != Pair::State::ended || !device_.is_done(pair.end)) continue;
    pair.state = Pair::State::free;
    total_.time += device_.elapsed(pair.begin, pair.end);
    ++total_.count;
  }
}

LatencySampler::Total LatencySampler::total() {
  const std::lock_guard lock(mutex_);
  collect();
  return total_;
}

void LatencySampler::destroy() noexcept {
  const std::lock_guard lock(mutex_);
  for (Pair& pair : pairs_) {
    if (pair.begin != nullptr) device_.destroy_event(pair.begin);
    if (pair.end != nullptr) device_.destroy_event(pair.end);
    pair = {};
  }
}

}  // namespace aatgs::detail
