// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <cstdint>

namespace aatgs::device {

/// One warp of the last block of a resident kernel: passes the host's words on to the workers, so
/// that only it polls for them over the bus, and parks the kernel. Lane i looks after port i.
class Service {
 public:
  __device__ explicit Service(const ResidentArgs& args)
      : args_(args),
        port_(args.ports[WarpLanes::rank() < args.port_count ? WarpLanes::rank() : 0]),
        mine_(WarpLanes::rank() < args.port_count),
        first_(load_shared(&port_.state->near.taken)),
        arrived_(now()),
        quiet_since_(arrived_) {}

  /// Until the workers have left.
  __device__ void run() {
    serve();
    if (args_.events.is_on() && WarpLanes::rank() == 0) {
      note_block(args_.events, EventKind::presence, args_.launch, 0, arrived_, timer_ns());
    }
  }

 private:
  static constexpr std::uint32_t nap_ns = 200;
  /// Longer than a host's store can wait in its store buffer.
  static constexpr std::uint64_t store_drain_ns = 50'000;

  __device__ void serve() {
    announce(Presence::running);
    if (args_.bounded) return run_bounded();
    for (;;) {
      // Both at once: one trip over the bus.
      const std::uint32_t ordered = load_shared(&args_.control->command);
      const Granule feed = load_granule(port_.feed);
      const auto command = static_cast<Command>(__shfl_sync(~0U, ordered, 0));
      if (mine_) pass_on(feed);
      if (command == Command::leave || command == Command::abort) return see_off(command);
      if (has_done_its_share()) {
        announce(Presence::parking);
        return see_off(Command::yield);
      }
      if (should_park(command)) return see_off(Command::leave);
      __nanosleep(nap_ns);
    }
  }

  __device__ Command read_command() const {
    return static_cast<Command>(__shfl_sync(~0U, load_shared(&args_.control->command), 0));
  }

  /// The host launches such a kernel again for what it queues later.
  __device__ void run_bounded() {
    see_off(Command::leave);
    announce(Presence::parking);
  }

  /// Tells the workers to leave; steps still at work may have to be told of an abort, too.
  __device__ void see_off(Command command) {
    order(command);
    while (!WarpLanes::all(load_shared(&args_.state->exited) == args_.workers)) {
      if (read_command() == Command::abort) order(Command::abort);
      __nanosleep(nap_ns);
    }
  }

  /// Rings and claims outlive the launch, so that there is nothing to wait for.
  __device__ bool has_done_its_share() const {
    if (args_.leave_after == 0) return false;
    return !WarpLanes::all(load_shared(&port_.state->near.taken) - first_ < args_.leave_after);
  }

  /// The same for all lanes.
  __device__ static std::uint64_t now() { return __shfl_sync(~0U, timer_ns(), 0); }

  __device__ void pass_on(const Granule& feed) {
    store_granule(&port_.state->near.feed, feed);
    store_granule(&port_.state->far.feed, feed);
  }

  /// Whether to leave now. Leaving is announced first and the rings looked at once more: the host
  /// publishes a config and then looks at the announcement, without a fence between, which would
  /// cost every config 20 ns; so the last look waits until a store from before the host's look has
  /// surely arrived (Morrison and Afek, Temporally Bounding TSO, ASPLOS 2015). Should the bound
  /// ever fail, the host's next poll sees the announcement and relaunches.
  __device__ bool should_park(Command command) {
    const std::uint64_t taken = load_shared(&port_.state->near.taken);
    const bool idle = WarpLanes::all(taken == load_shared(&port_.state->near.finished));
    const bool moved = !WarpLanes::all(taken == taken_);
    if (!idle || moved) {
      taken_ = taken;
      quiet_since_ = now();
      return false;
    }
    if (command != Command::park &&
        (args_.park_after_ns == 0 || now() - quiet_since_ < args_.park_after_ns)) {
      return false;
    }
    announce(Presence::parking);
    full_fence();
    for (const std::uint64_t begin = now(); now() - begin < store_drain_ns;) {
      if (!still_quiet()) return stay();
    }
    return still_quiet() || stay();
  }

  /// Of a config that was taken meanwhile, and whose slot may hold a later one, `taken` tells.
  __device__ bool still_quiet() const {
    return WarpLanes::all(!config_in_sight(port_.config, taken_) &&
                          load_shared(&port_.state->near.taken) == taken_);
  }

  __device__ bool stay() {
    announce(Presence::running);
    quiet_since_ = now();
    return false;
  }

  __device__ void announce(Presence presence) const {
    if (WarpLanes::rank() != 0) return;
    store_shared(&args_.control->presence, pack_presence(args_.launch, presence));
  }

  __device__ void order(Command command) const {
    if (WarpLanes::rank() == 0) {
      store_shared(&args_.state->order, static_cast<std::uint32_t>(command));
    }
  }

  const ResidentArgs& args_;
  const Port& port_;
  bool mine_;
  std::uint64_t first_;
  std::uint64_t taken_ = no_ticket;
  std::uint64_t arrived_;
  std::uint64_t quiet_since_;
};

}  // namespace aatgs::device
