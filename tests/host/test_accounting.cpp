// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/accounting.hpp>
#include <vector>

namespace aatgs {
namespace {

TEST_CASE("utilisation: now, mean or peak is not a share of the slots") {
  UtilizationSampler sampler(8);
  const RingUtilization empty = sampler.read(0);
  CHECK(empty.slots == 8);
  CHECK(empty.now == 0);
  CHECK(empty.mean == 0);
  CHECK(empty.peak == 0);
  for (const std::uint32_t occupied : {2U, 6U, 100U, 0U}) sampler.sample(occupied);  // 100 is full
  const RingUtilization found = sampler.read(4);
  CHECK(found.now == 0.5);
  CHECK(found.mean == doctest::Approx(0.5));
  CHECK(found.peak == 1);
  CHECK(sampler.read(9).now == 1);
  sampler.clear();
  CHECK(sampler.read(8).mean == 0);
  CHECK(sampler.read(8).peak == 0);
  CHECK(sampler.read(8).now == 1);
}

TEST_CASE("queue times: a forgotten ticket gets the time of another one") {
  QueueTimes times(5);  // room for at least 5
  for (std::uint64_t t = 100; t < 105; ++t) times.set(t, 1000 + t);
  for (std::uint64_t t = 100; t < 105; ++t) CHECK(times.get(t) == 1000 + t);
  times.set(100 + 8, 7);
  CHECK(times.get(108) == 7);
  CHECK(times.get(100) == 0);
  CHECK(times.get(99) == 0);
}

TEST_CASE("accounting: a failed config counts as completed, or its latency is not measured") {
  Accounting accounting(4, 4);
  Completion<int> done;
  done.ticket = 3;
  done.taken_ns = 100;
  done.finished_ns = 350;
  accounting.queue_times.set(3, TickClock::now());
  accounting.count(done);
  done.ticket = 4;  // its queue time is not known
  done.status = CompletionStatus::failed;
  accounting.count(done);
  CHECK(accounting.completed == 1);
  CHECK(accounting.failed == 1);
  CHECK(accounting.taken_to_finished.count() == 2);
  CHECK(accounting.taken_to_finished.max() == 250);
  CHECK(accounting.queue_to_visible.count() == 1);
}

TEST_CASE("accounting: the time at work is that of other configs than the first and the last") {
  Accounting accounting(4, 4);
  CHECK(accounting.moment(accounting.first_queued) == 0);
  const auto pass = [] {
    const std::uint64_t begin = host_now_ns();
    while (host_now_ns() - begin < 2'000'000) cpu_relax();
    return host_now_ns();
  };
  pass();  // so that the rate of the ticks is known
  std::vector<std::uint64_t> between = {host_now_ns()};
  for (std::uint64_t ticket = 0; ticket < 3; ++ticket) {
    accounting.note_queued(ticket, TickClock::now());
    between.push_back(pass());
    Completion<int> done;
    done.ticket = ticket;
    accounting.count(done);
  }
  constexpr std::uint64_t slack = 1'000'000;
  const std::uint64_t first = accounting.moment(accounting.first_queued);
  const std::uint64_t last = accounting.moment(accounting.last_collected);
  CHECK(first + slack >= between[0]);
  CHECK(first + slack <= between[1]);
  CHECK(last + slack >= between[3]);
  CHECK(last <= host_now_ns());
}

}  // namespace
}  // namespace aatgs
