// SPDX-License-Identifier: Apache-2.0
// Any bytes as ContextOptions are an OptionError, or a CPU context can be made of them, is used for
// some configs, and accounts for each. Contexts that are accepted but large are not made here.
#include <aatgs/host/make_cpu_context.hpp>
#include <set>

#include "fuzz.hpp"

namespace {

using namespace aatgs;
using fuzz::Bytes;
using fuzz::require;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct Echo {
  template <class Group>
  void operator()(Group& group, const std::uint64_t& in, std::uint64_t& out) const {
    if (group.rank() != 0) return;
    if (in % 5 == 4) group.fail(static_cast<std::uint32_t>(in));
    out = in * 3 + 1;
  }
};
using Context = GpuExecutionContext<std::uint64_t, std::uint64_t>;

/// Half of them powers of two in range, else hardly an input would come far.
std::uint32_t take_slots(Bytes& in) {
  const auto how = in.take<std::uint8_t>();
  return how < 128 ? 1U << (how % 21) : in.take<std::uint32_t>();
}

template <class Enum>
Enum take_enum(Bytes& in, int count) {
  const auto how = in.take<std::uint8_t>();
  return static_cast<Enum>(how < 250 ? how % count : in.take<std::int32_t>());
}

nanoseconds take_duration(Bytes& in) {
  const auto how = in.take<std::uint8_t>();
  return nanoseconds(how < 128 ? how : in.take<std::int64_t>());
}

ContextOptions take_options(Bytes& in) {
  ContextOptions o;
  o.executor = in.take<std::uint8_t>() < 128 ? ExecutorKind::cpu : take_enum<ExecutorKind>(in, 6);
  o.scope = take_enum<Scope>(in, 2);
  o.config_slots = take_slots(in);
  o.telemetry_slots = take_slots(in);
  o.config_policy = take_enum<ConfigPolicy>(in, 2);
  o.telemetry_policy = take_enum<TelemetryPolicy>(in, 3);
  o.queue_deadline = take_duration(in);
  o.step_deadline = take_duration(in);
  o.park_after = take_duration(in);
  o.device = in.take<std::uint8_t>() < 128 ? 0 : in.take<std::int32_t>();
  o.workers = in.take<std::uint32_t>();
  o.cpu_threads = in.take<std::uint8_t>() < 128 ? 1 : in.take<std::uint32_t>();
  o.ports = in.take<std::uint8_t>() < 128 ? 1 : in.take<std::uint32_t>();
  o.hot_window = in.take<std::uint32_t>();
  o.first_ticket = in.take<std::uint64_t>();
  return o;
}

bool is_known(const ContextOptions& o) {
  return to_string(o.executor) != "unknown" && to_string(o.scope) != "unknown" &&
         (o.config_policy == ConfigPolicy::block || o.config_policy == ConfigPolicy::reject) &&
         o.telemetry_policy >= TelemetryPolicy::block &&
         o.telemetry_policy <= TelemetryPolicy::overwrite_oldest;
}

bool is_small(const ContextOptions& o) {
  constexpr std::uint64_t most_slots = 1U << 12;
  return cpu_thread_count(o) <= 4 && std::uint64_t{o.config_slots} * o.ports <= most_slots &&
         std::uint64_t{o.telemetry_slots} * o.ports <= most_slots;
}

/// Queues, some with room only once earlier ones are collected, and collects.
void use(Context& context, const ContextOptions& o, Bytes& in) {
  const std::size_t wanted = in.take<std::uint8_t>() % 40;
  std::set<std::uint64_t> open;
  const auto collect = [&](const Completion<std::uint64_t>& done) {
    require(open.erase(done.ticket) == 1, "a completion of a ticket that is not in flight");
    const std::uint64_t sent = done.ticket - o.first_ticket;
    require(done.telemetry == sent * 3 + 1, "the telemetry of another config");
    require(done.ok() == (sent % 5 != 4), "a step that failed is ok, or the other way about");
  };
  for (std::size_t i = 0; i < wanted; ++i) {
    const QueueResult result = open.empty() ? context.queue(i) : context.try_queue(i);
    if (!result) {
      require(!open.empty(), "an empty context has no room");
      if (const auto done = context.wait(10s)) collect(*done);
      --i;
      continue;
    }
    require(result.ticket == o.first_ticket + i, "a ticket out of order");
    open.insert(result.ticket);
  }
  require(context.flush(10s), "a flush that does not end");
  while (const auto done = context.poll()) collect(*done);
  const ExecutionStatistics s = context.stats();
  require(s.submitted == wanted && s.in_flight == 0, "configs that are not accounted for");
  require(s.submitted == s.completed + s.failed + s.dropped, "a sum that does not add up");
  require(s.dropped == open.size(), "losses that are not counted");
  require(s.dropped == 0 || o.telemetry_policy != TelemetryPolicy::block, "a loss under `block`");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in(data, size);
  const ContextOptions options = take_options(in);
  try {
    check_options(options);
    require(options.ports >= 1 && options.ports <= max_ports, "a number of ports out of range");
    require(is_known(options), "a value that is no enumerator");
    if (!is_small(options)) return 0;
    Context context = make_cpu_context<std::uint64_t, std::uint64_t>(Echo{}, options);
    for (std::uint32_t i = 0; i < options.ports; ++i) use(context.port(i), options, in);
    require(context.shutdown(StopMode::drain, 10s), "a shutdown that does not end");
  } catch (const OptionError& error) {
    fuzz::require_one_line(error.what());
  }
  return 0;
}
