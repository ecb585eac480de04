// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_group.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/residency.hpp>
#include <aatgs/runtime/step.hpp>
#include <algorithm>
#include <chrono>
#include <cuda/atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aatgs {

/// Threads that a CPU residency has under these options.
inline std::uint32_t cpu_thread_count(const ContextOptions& options) {
  return options.cpu_threads != 0 ? options.cpu_threads
                                  : std::max(options.ports, std::thread::hardware_concurrency());
}

/// Host threads at the far end of the rings. `Scope::block`: each thread takes configs of its port.
/// `Scope::grid`: thread 0 takes a config, all run it together.
template <class Step, class Config, class Telemetry>
class CpuResidency final : public Residency {
 public:
  using Record = CompletionRecord<Telemetry>;

  /// Throws `Error` if the threads cannot be started.
  CpuResidency(std::unique_ptr<ResidentMemory> memory, const Step& step,
               const ContextOptions& options)
      : Residency(std::move(memory)),
        control_(this->memory().control()),
        step_(step),
        events_(this->memory().event_ring()),
        scope_(options.scope),
        count_(cpu_thread_count(options)),
        grid_(scope_ == Scope::grid ? count_ : 1, abort_) {
    for (std::uint32_t i = 0; i < count_; ++i) {
      workers_.push_back(std::make_unique<Worker>(*this, i));
    }
    start_threads();
  }
  ~CpuResidency() override { make_leave(Command::abort, std::chrono::nanoseconds::max()); }

  [[nodiscard]] std::uint32_t workers() const override { return count_; }
  [[nodiscard]] std::uint32_t workers_of_port() const override {
    if (scope_ == Scope::grid) return 1;
    const auto ports = static_cast<std::uint32_t>(memory().ports().size());
    return (count_ + ports - 1) / ports;
  }
  [[nodiscard]] std::string description() const override {
    return "cpu, " + std::string(to_string(scope_)) + " scope, " + std::to_string(count_) +
           (count_ == 1 ? " thread" : " threads");
  }

 private:
  /// All that a thread needs memory for, on lines of its own: it has nobody to tell that there is
  /// none.
  struct alignas(line_bytes) Worker {
    Worker(CpuResidency& all, std::uint32_t i)
        : own(1, all.abort_),
          group(all.scope_ == Scope::grid ? all.grid_ : own, all.scope_ == Scope::grid ? i : 0,
                step_scratch_bytes(all.step_)) {}

    CpuGroupShared own;  // block scope
    CpuGroup group;
  };

  enum class Gate { closed, open, given_up };

  /// All threads or none: in grid scope they wait for each other.
  void start_threads() {
    try {
      threads_.reserve(count_);
      for (std::uint32_t i = 0; i < count_; ++i) {
        threads_.emplace_back([this, i] {
          gate_.wait(Gate::closed);
          if (gate_ == Gate::open) run(i);
        });
      }
    } catch (const std::exception& e) {
      const std::size_t started = threads_.size();
      tell_threads(Gate::given_up);
      threads_.clear();
      throw Error("starting thread " + std::to_string(started + 1) + " of " +
                  std::to_string(count_) + " of the cpu executor failed (" + e.what() +
                  "): ask for fewer cpu_threads");
    }
    tell_threads(Gate::open);
  }
  void tell_threads(Gate gate) {
    gate_ = gate;
    gate_.notify_all();
  }
  void run(std::uint32_t i) { scope_ == Scope::grid ? run_grid(i) : run_block(i); }

  /// A thread cannot be killed: this waits for the step at work, however long the deadline.
  bool make_leave(Command command, std::chrono::nanoseconds) override {
    if (command == Command::abort) {
      order_abort();
    } else {
      store_shared(&control_.command, static_cast<std::uint32_t>(command));
    }
    const std::lock_guard lock(joining_);
    threads_.clear();
    return true;
  }

  void order_abort() override {
    abort_ = true;
    Residency::order_abort();
  }

  [[nodiscard]] Port port_of(std::uint32_t worker) const {
    const std::vector<PortMemory>& ports = memory().ports();
    return ports[worker % ports.size()].port();
  }

  [[nodiscard]] bool told_to_leave() const {
    return load_shared(&control_.command) != static_cast<std::uint32_t>(Command::run);
  }

  /// Waits for the config of `ticket`; false: leave.
  bool take(const ConfigRing& ring, std::uint64_t ticket, MessageBuffer<Config>& config,
            MessageBuffer<Record>& record) {
    for (unsigned polls = 0; !abort_ && !take_config(SingleLane{}, ring, ticket, config.words());
         ++polls) {
      if (told_to_leave()) return false;
      if (polls < hot_polls) {
        cpu_relax();
      } else {
        std::this_thread::sleep_for(nap);
      }
    }
    if (abort_) return false;
    mark_taken(ring, ticket);
    record.value() = Record{};
    record.value().taken_ns = record.value().started_ns = host_now_ns();
    return true;
  }

  void finish(const TelemetryRing& ring, std::uint32_t worker, std::uint64_t ticket,
              CpuGroupShared& shared, MessageBuffer<Record>& record) {
    Record& r = record.value();
    r.finished_ns = host_now_ns();
    if (events_.is_on() && scope_ == Scope::block) {
      note(worker, ticket, r.taken_ns, r.started_ns, r.finished_ns);
    }
    if (shared.failed.exchange(false)) {
      record.value().status = CompletionStatus::failed;
      record.value().code = shared.code;
    }
    publish_completion(SingleLane{}, ring, worker, ticket, record);
  }

  void note(std::uint32_t worker, std::uint64_t ticket, std::uint64_t taken_ns,
            std::uint64_t started_ns, std::uint64_t finished_ns) const {
    note_event(events_, {ticket, taken_ns, started_ns, finished_ns, EventKind::config,
                         static_cast<std::uint16_t>(worker), worker});
  }

  void enter(CpuGroup& group) {
    if constexpr (requires { step_.enter(group); }) step_.enter(group);
  }
  void leave(CpuGroup& group) {
    if constexpr (requires { step_.leave(group); }) step_.leave(group);
  }

  void run_block(std::uint32_t worker) {
    CpuGroupShared& shared = workers_[worker]->own;
    CpuGroup& group = workers_[worker]->group;
    MessageBuffer<Config> config;
    MessageBuffer<Record> record;
    const Port port = port_of(worker);
    cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device> next_claim(port.state->next_claim);
    enter(group);
    for (;;) {
      shared.ticket = next_claim.fetch_add(1, cuda::memory_order_relaxed);
      if (!take(port.config, shared.ticket, config, record)) break;
      step_(group, config.value(), record.value().telemetry);
      finish(port.telemetry, worker, shared.ticket, shared, record);
    }
    leave(group);
  }

  void run_grid(std::uint32_t rank) {
    CpuGroup& group = workers_[rank]->group;
    Telemetry ignored{};  // only rank 0 may write telemetry
    const Port port = port_of(0);
    enter(group);
    for (std::uint64_t ticket = port.state->next_claim;; ++ticket) {
      if (rank == 0) {
        leaving_ = !take(port.config, ticket, grid_config_, grid_record_);
        grid_.ticket = ticket;
      }
      grid_.barrier.arrive_and_wait();
      if (leaving_) break;
      const std::uint64_t started_ns = events_.is_on() ? host_now_ns() : 0;
      step_(group, grid_config_.value(), rank == 0 ? grid_record_.value().telemetry : ignored);
      if (events_.is_on()) note(rank, ticket, 0, started_ns, host_now_ns());
      grid_.barrier.arrive_and_wait();
      if (rank == 0) finish(port.telemetry, 0, ticket, grid_, grid_record_);
    }
    leave(group);
  }

  static constexpr unsigned hot_polls = 2000;
  static constexpr std::chrono::microseconds nap{20};

  ControlBlock& control_;
  Step step_;
  EventRing events_;
  Scope scope_;
  std::uint32_t count_;
  std::atomic<bool> abort_ = false;
  CpuGroupShared grid_;
  MessageBuffer<Config> grid_config_;
  MessageBuffer<Record> grid_record_;
  bool leaving_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<Gate> gate_ = Gate::closed;
  std::mutex joining_;                 // ports may be shut down at once
  std::vector<std::jthread> threads_;  // last: it must end before what it uses
};

}  // namespace aatgs
