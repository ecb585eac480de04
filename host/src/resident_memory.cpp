// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/resident_memory.hpp>
#include <vector>

namespace aatgs {

namespace {

MemoryKind shared_with(MemoryKind workers) {
  return workers == MemoryKind::device ? MemoryKind::mapped : MemoryKind::host;
}

Memory shared(MemoryKind workers, std::uint64_t bytes, int device) {
  return {shared_with(workers), bytes, device};
}

/// The service block of a kernel writes too.
std::unique_ptr<EventRingMemory> make_events(MemoryKind workers_memory,
                                             const ContextOptions& options, std::uint32_t workers) {
  if (options.event_slots == 0) return nullptr;
  return std::make_unique<EventRingMemory>(workers_memory, options.event_slots, workers + 1,
                                           options.device);
}

template <class T>
T* as(const Memory& memory) {
  return static_cast<T*>(memory.data());
}

}  // namespace

PortMemory::PortMemory(MemoryKind workers_memory, const ContextOptions& options, MessageSizes sizes,
                       std::uint32_t workers)
    : config_shape_(RingShape::make(options.config_slots, sizes.config_granules)),
      record_shape_(RingShape::make(options.telemetry_slots, sizes.record_granules)),
      policy_(options.telemetry_policy),
      workers_(workers),
      config_(
          shared(workers_memory, config_shape_.total_granules() * sizeof(Granule), options.device)),
      taken_(shared(workers_memory, config_shape_.slots * sizeof(std::uint32_t), options.device)),
      telemetry_(
          shared(workers_memory, record_shape_.total_granules() * sizeof(Granule), options.device)),
      seen_(shared(workers_memory, record_shape_.slots * sizeof(std::uint32_t), options.device)),
      counters_(shared(workers_memory, workers * sizeof(WorkerCounters), options.device)),
      feed_(shared(workers_memory, line_bytes, options.device)),
      guards_(workers_memory, record_shape_.slots * sizeof(SlotGuard), options.device),
      state_(workers_memory, sizeof(PortState), options.device) {
  const Port shared = port();
  shared.config.prepare(options.first_ticket);
  shared.telemetry.prepare(options.first_ticket);
  tell_feed(shared, {options.first_ticket, 1});
  std::vector<SlotGuard> guards(record_shape_.slots);
  for (std::uint32_t slot = 0; slot < record_shape_.slots; ++slot) {
    guards[slot] = {0, record_shape_.lap_before(slot, options.first_ticket)};
  }
  guards_.upload(guards.data(), guards.size() * sizeof(SlotGuard));
  const auto state = PortState::starting_at(options.first_ticket);
  state_.upload(&state, sizeof(state));
}

Port PortMemory::port() const {
  const ConfigRing config{as<Granule>(config_), as<std::uint32_t>(taken_), config_shape_};
  const TelemetryRing telemetry{as<Granule>(telemetry_), as<std::uint32_t>(seen_),
                                as<SlotGuard>(guards_),  as<WorkerCounters>(counters_),
                                record_shape_,           policy_};
  return {config, telemetry, as<PortState>(state_), as<Granule>(feed_)};
}

void PortMemory::abandon() noexcept {
  for (Memory* memory :
       {&config_, &taken_, &telemetry_, &seen_, &counters_, &feed_, &guards_, &state_}) {
    memory->abandon();
  }
}

WorkerCounters PortMemory::sum_counters() const {
  WorkerCounters sum{};
  for (std::uint32_t i = 0; i < workers_; ++i) {
    const WorkerCounters& one = as<WorkerCounters>(counters_)[i];
    sum.dropped += load_shared(&one.dropped);
    sum.finished += load_shared(&one.finished);
  }
  return sum;
}

ResidentMemory::ResidentMemory(MemoryKind workers_memory, const ContextOptions& options,
                               MessageSizes sizes, std::uint32_t workers)
    : events_(make_events(workers_memory, options, workers)),
      control_(shared(workers_memory, sizeof(ControlBlock), options.device)),
      state_(workers_memory, sizeof(ResidentState), options.device) {
  for (std::uint32_t i = 0; i < options.ports; ++i) {
    ports_.emplace_back(workers_memory, options, sizes, workers);
  }
}

MemoryNeeds ResidentMemory::needs(const ContextOptions& options, MessageSizes sizes,
                                  std::uint32_t workers) {
  const std::size_t config_slot = sizes.config_granules * sizeof(Granule) + sizeof(std::uint32_t);
  const std::size_t record_slot = sizes.record_granules * sizeof(Granule) + sizeof(std::uint32_t);
  const std::size_t port = options.config_slots * config_slot +
                           options.telemetry_slots * record_slot +
                           workers * sizeof(WorkerCounters) + line_bytes;
  const std::size_t own = options.telemetry_slots * sizeof(SlotGuard) + sizeof(PortState);
  const std::size_t events =
      options.event_slots == 0 ? 0 : EventRingMemory::bytes(options.event_slots, workers + 1);
  return {options.ports * port + sizeof(ControlBlock),
          options.ports * own + sizeof(ResidentState) + events};
}

ControlBlock& ResidentMemory::control() const {
  return *as<ControlBlock>(control_);
}
ResidentState* ResidentMemory::state() const {
  return as<ResidentState>(state_);
}
EventRing ResidentMemory::event_ring() const {
  return events_ == nullptr ? EventRing{} : events_->ring();
}

}  // namespace aatgs
