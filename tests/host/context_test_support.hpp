// SPDX-License-Identifier: Apache-2.0
// What the context tests are made of: steps with known results, the memory they work on, and bounds
// on every wait.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/message.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda/atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aatgs::test {

using namespace std::chrono_literals;

inline std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// One way to run the suite.
struct Variant {
  std::string name;
  ContextOptions options;
};

/// Ends the whole program if its scope lasts too long: a resident kernel that hangs leaves with the
/// process. AATGS_TEST_WATCHDOG: seconds.
class Watchdog {
 public:
  explicit Watchdog(const std::string& what)
      : thread_([this, what](std::stop_token stop) {
          std::unique_lock lock(mutex_);
          const std::chrono::seconds limit(environment("AATGS_TEST_WATCHDOG", 120));
          if (over_.wait_for(lock, stop, limit, [] { return false; }) || stop.stop_requested()) {
            return;
          }
          std::fprintf(stderr, "FATAL: '%s' hangs\n", what.c_str());
          std::_Exit(4);
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any over_;
  std::jthread thread_;
};

/// Bounds a loop that waits for progress.
class Patience {
 public:
  bool lasts() {
    if (++rounds_ % 64 == 0) std::this_thread::yield();
    return std::chrono::steady_clock::now() - last_ < std::chrono::seconds(seconds_);
  }
  void progress() { last_ = std::chrono::steady_clock::now(); }

 private:
  std::uint64_t seconds_ = environment("AATGS_TEST_PATIENCE", 10);
  std::uint64_t rounds_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Waits until `condition()`; false: patience is over.
template <class Condition>
bool eventually(Condition condition) {
  for (Patience patience; !condition();) {
    if (!patience.lasts()) return false;
  }
  return true;
}

/// Repeatable random numbers.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t end) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 33) % end;
  }

 private:
  std::uint64_t state_;
};

AATGS_HOST_DEVICE constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E37'79B9'7F4A'7C15U;
  x = (x ^ (x >> 30)) * 0xBF58'476D'1CE4'E5B9U;
  x = (x ^ (x >> 27)) * 0x94D0'49BB'1331'11EBU;
  return x ^ (x >> 31);
}

/// Part of the hash of `value` that thread `rank` of `size` adds up: its 4-byte words, each mixed
/// with its place.
template <class T>
AATGS_HOST_DEVICE std::uint64_t part_of_hash(const T& value, std::uint32_t rank,
                                             std::uint32_t size) {
  static_assert(sizeof(T) % 4 == 0);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
  std::uint64_t sum = 0;
  for (std::uint32_t i = rank; i < sizeof(T) / 4; i += size) {
    std::uint32_t word;
    memcpy(&word, bytes + 4 * i, 4);
    sum += mix((std::uint64_t{i} << 32) | word);
  }
  return sum;
}
template <class T>
std::uint64_t hash_of(const T& value) {
  return part_of_hash(value, 0, 1);
}

/// Config or telemetry of a given size.
template <std::size_t Bytes>
struct Blob {
  std::uint32_t words[Bytes / 4];
};

template <class B>
B make_blob(std::uint64_t seed) {
  B blob{};
  const std::uint64_t hash = mix(seed);
  for (std::size_t i = 0; i < sizeof(B) / 4; ++i) {
    blob.words[i] = static_cast<std::uint32_t>(hash >> (i % 33)) + static_cast<std::uint32_t>(i);
  }
  return blob;
}

/// Every word of the telemetry follows from every word of the config.
struct HashStep {
  static constexpr unsigned block_threads = 128;

  template <class Group, class Config, class Telemetry>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Telemetry& out) const {
    const std::uint64_t hash = group.sum(part_of_hash(config, group.rank(), group.size()));
    if (group.rank() != 0) return;
    for (std::uint32_t i = 0; i < sizeof(Telemetry) / 4; ++i) out.words[i] = word(hash, i);
  }
  AATGS_HOST_DEVICE static std::uint32_t word(std::uint64_t hash, std::uint32_t i) {
    return static_cast<std::uint32_t>(hash >> (i % 33)) ^ i;
  }
};

/// Whether `out` is what `HashStep` makes of `config`.
template <class Config, class Telemetry>
bool is_echo(const Config& config, const Telemetry& out) {
  const std::uint64_t hash = hash_of(config);
  bool same = true;
  for (std::uint32_t i = 0; i < sizeof(Telemetry) / 4; ++i) {
    same = same && out.words[i] == HashStep::word(hash, i);
  }
  return same;
}

/// What `TestStep` does with a config, besides its hash.
enum class Op : std::uint32_t {
  hash,
  fail,       ///< thread `value` mod size fails with `number`
  hold,       ///< until `Word::gate` is open, or `value` ns have passed; an abort ends it too
  hold_fast,  ///< the same, but deaf to an abort
  rewrite,    ///< checks that all cells are `value`, then sets them to `value` + 1, at its very end
  collectives,  ///< checks reduce and broadcast; the broadcast root is `number` mod size
  barrier,      ///< checks `sync`, `number` times
};

struct Order {  // 256 bytes
  Op op = Op::hash;
  std::uint32_t number = 0;
  std::uint64_t value = 0;
  std::uint32_t padding[60] = {};
};
struct Report {  // 64 bytes
  std::uint64_t hash = 0;
  std::uint64_t ticket = 0;
  std::uint32_t errors = 0;      ///< checks of the step that failed
  std::uint32_t misaligned = 0;  ///< blocks whose scratch is not aligned to 16
  std::uint32_t least_uses = 0;  ///< configs that this scratch has seen: least of all blocks
  std::uint32_t most_uses = 0;
  std::uint32_t group_size = 0;
  std::uint32_t pattern[7] = {};  ///< follows from the hash
};
static_assert(sizeof(Order) == 256 && sizeof(Report) == 64);

/// Words through which host and steps talk.
enum class Word : std::uint32_t { gate, held, aborted, entered, left, count };

inline constexpr std::uint64_t longest_hold_ns = 5'000'000'000;

AATGS_HOST_DEVICE inline std::uint64_t step_clock_ns() {
#if defined(__CUDA_ARCH__)
  std::uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
#else
  std::this_thread::yield();  // it is asked in loops that wait
  return host_now_ns();
#endif
}

struct TestStep {
  static constexpr unsigned block_threads = 128;

  std::uint32_t* words;  ///< [Word::count]
  std::uint32_t* cells;  ///< [cell_count]
  std::uint32_t cell_count;

  using Atomic = cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device>;
  AATGS_HOST_DEVICE Atomic word(Word w) const { return Atomic(words[static_cast<int>(w)]); }

  AATGS_HOST_DEVICE std::size_t scratch_bytes() const { return 48; }

  template <class Group>
  AATGS_HOST_DEVICE void enter(Group& group) const {
    if (group.block_rank() != 0) return;
    group.template scratch<std::uint32_t>()[0] = 0;
    word(Word::entered).fetch_add(1);
  }
  template <class Group>
  AATGS_HOST_DEVICE void leave(Group& group) const {
    if (group.block_rank() == 0) word(Word::left).fetch_add(1);
  }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Order& order, Report& out) const {
    const std::uint64_t hash = group.sum(part_of_hash(order, group.rank(), group.size()));
    std::uint32_t errors = 0;
    if (order.op == Op::fail && group.rank() == order.value % group.size())
      group.fail(order.number);
    if (order.op == Op::hold || order.op == Op::hold_fast) hold(group, order);
    if (order.op == Op::rewrite) errors = rewrite(group, static_cast<std::uint32_t>(order.value));
    if (order.op == Op::collectives) errors = collectives(group, order.number);
    if (order.op == Op::barrier) errors = barrier(group, order.number);
    errors = group.sum(errors);

    auto* scratch = group.template scratch<std::uint32_t>();
    const bool first = group.block_rank() == 0;
    if (first) ++scratch[0];
    const std::uint32_t least = group.min(first ? scratch[0] : ~0U);
    const std::uint32_t most = group.max(first ? scratch[0] : 0U);
    const bool misaligned = reinterpret_cast<std::uintptr_t>(scratch) % 16 != 0;
    const std::uint32_t all_misaligned = group.sum(first && misaligned ? 1U : 0U);
    if (order.op == Op::rewrite) write_last(group, static_cast<std::uint32_t>(order.value) + 1);
    if (group.rank() != 0) return;
    out.hash = hash;
    out.ticket = group.ticket();
    out.errors = errors;
    out.misaligned = all_misaligned;
    out.least_uses = least;
    out.most_uses = most;
    out.group_size = group.size();
    for (std::uint32_t i = 0; i < 7; ++i) out.pattern[i] = HashStep::word(hash, i);
  }

  /// One thread.
  template <class Group>
  AATGS_HOST_DEVICE void wait_for_gate(Group& group, const Order& order) const {
    word(Word::held).fetch_add(1);
    const std::uint64_t begin = step_clock_ns();
    while (word(Word::gate).load() == 0 && step_clock_ns() - begin < order.value) {
      if (order.op == Op::hold && group.stop_requested()) {
        word(Word::aborted).fetch_add(1);
        break;
      }
    }
  }

 private:
  template <class Group>
  AATGS_HOST_DEVICE void hold(Group& group, const Order& order) const {
    if (group.rank() == 0) wait_for_gate(group, order);
    group.sync();
  }

  template <class Group>
  AATGS_HOST_DEVICE std::uint32_t rewrite(Group& group, std::uint32_t expected) const {
    std::uint32_t errors = 0;
    for (std::uint32_t i = group.rank(); i < cell_count; i += group.size()) {
      const std::uint32_t other = (i + 37 * expected) % cell_count;  // another thread wrote it
      if (cells[other] != expected) ++errors;
    }
    return errors;
  }
  /// No collective call comes after it: only the end of the step can wait for the last, slow
  /// thread.
  template <class Group>
  AATGS_HOST_DEVICE void write_last(Group& group, std::uint32_t value) const {
    const std::uint64_t begin = step_clock_ns();
    while (group.rank() + 1 == group.size() && step_clock_ns() - begin < 20'000) {
    }
    for (std::uint32_t i = group.rank(); i < cell_count; i += group.size()) cells[i] = value;
  }

  /// Sum, least and greatest of rank mod 16 + 1, exact in every type.
  template <class T, class Group>
  AATGS_HOST_DEVICE static std::uint32_t reductions(Group& group) {
    const std::uint32_t n = group.size();
    const std::uint32_t rest = n % 16;
    const T value = static_cast<T>(group.rank() % 16 + 1);
    const T sum = static_cast<T>(n / 16 * 136 + rest * (rest + 1) / 2);
    std::uint32_t errors = 0;
    if (group.sum(value) != sum) ++errors;
    if (group.min(value) != T{1}) ++errors;
    if (group.max(value) != static_cast<T>(n < 16 ? n : 16)) ++errors;
    return errors;
  }

  struct LastOf {
    AATGS_HOST_DEVICE std::uint64_t operator()(std::uint64_t a, std::uint64_t b) const {
      return a > b ? a : b;
    }
  };

  template <class Group>
  AATGS_HOST_DEVICE static std::uint32_t collectives(Group& group, std::uint32_t number) {
    std::uint32_t errors =
        reductions<int>(group) + reductions<float>(group) + reductions<double>(group);
    const std::uint32_t last = group.size() - 1;
    const std::uint64_t mine = (std::uint64_t{1} << 40) + group.rank();
    if (group.reduce(mine, LastOf{}) != (std::uint64_t{1} << 40) + last) ++errors;
    if (group.broadcast(group.rank()) != 0) ++errors;
    const std::uint32_t roots[] = {number % group.size(), last, 0, group.size() / 2};
    for (const std::uint32_t root : roots) {
      if (group.broadcast(group.rank() * 2.5, root) != root * 2.5) ++errors;
    }
    return errors;
  }

  template <class Group>
  AATGS_HOST_DEVICE std::uint32_t barrier(Group& group, std::uint32_t rounds) const {
    if (group.size() > cell_count) return 1;
    std::uint32_t errors = 0;
    const std::uint32_t slot = group.rank();
    for (std::uint32_t round = 1; round <= rounds; ++round) {
      const std::uint32_t other = (slot + 131 * round) % group.size();
      cells[slot] = round;
      group.sync();
      if (cells[other] != round) ++errors;
      group.sync();
    }
    return errors;
  }
};

/// What of a `TestStep` can be had without a barrier, for graphs of steps.
struct LooseTestStep {
  static constexpr unsigned block_threads = 128;
  static constexpr bool grid_sync = false;

  TestStep base;

  template <class Group>
  AATGS_HOST_DEVICE void enter(Group& group) const {
    if (group.block_rank() == 0) base.word(Word::entered).fetch_add(1);
  }
  template <class Group>
  AATGS_HOST_DEVICE void leave(Group& group) const {
    if (group.block_rank() == 0) base.word(Word::left).fetch_add(1);
  }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Order& order, Report& out) const {
    if (order.op == Op::fail && group.rank() == order.value % group.size())
      group.fail(order.number);
    if (order.op == Op::rewrite) rewrite(group, static_cast<std::uint32_t>(order.value));
    if (group.rank() != 0) return;
    if (order.op == Op::hold || order.op == Op::hold_fast) base.wait_for_gate(group, order);
    out.hash = part_of_hash(order, 0, 1);
    out.ticket = group.ticket();
    out.group_size = group.size();
    for (std::uint32_t i = 0; i < 7; ++i) out.pattern[i] = HashStep::word(out.hash, i);
  }

 private:
  /// Fails unless one half of the cells are all `expected`; sets the other half to one more, the
  /// last thread late.
  template <class Group>
  AATGS_HOST_DEVICE void rewrite(Group& group, std::uint32_t expected) const {
    const std::uint32_t half = base.cell_count / 2;
    const std::uint32_t* from = base.cells + expected % 2 * half;
    std::uint32_t* to = base.cells + (expected + 1) % 2 * half;
    for (std::uint32_t i = group.rank(); i < half; i += group.size()) {
      if (from[(i + 37 * expected) % half] != expected) group.fail(expected + 1);
    }
    const std::uint64_t begin = step_clock_ns();
    while (group.rank() + 1 == group.size() && step_clock_ns() - begin < 20'000) {
    }
    for (std::uint32_t i = group.rank(); i < half; i += group.size()) to[i] = expected + 1;
  }
};

/// The same for a `HashStep`: its first thread does all of it.
struct LooseHashStep {
  static constexpr unsigned block_threads = 128;
  static constexpr bool grid_sync = false;

  template <class Group, class Config, class Telemetry>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Telemetry& out) const {
    if (group.rank() != 0) return;
    const std::uint64_t hash = part_of_hash(config, 0, 1);
    for (std::uint32_t i = 0; i < sizeof(Telemetry) / 4; ++i) {
      out.words[i] = HashStep::word(hash, i);
    }
  }
};

inline LooseTestStep loose(const TestStep& step) {
  return {step};
}
inline LooseHashStep loose(const HashStep&) {
  return {};
}

/// Orders that are told apart by their number in a run.
inline Order hash_order(std::uint64_t i) {
  Order order;
  order.value = mix(i);
  for (std::uint32_t k = 0; k < 60; ++k) order.padding[k] = static_cast<std::uint32_t>(mix(i + k));
  return order;
}
inline Order make_order(Op op, std::uint32_t number = 0, std::uint64_t value = 0) {
  Order order;
  order.op = op;
  order.number = number;
  order.value = value;
  return order;
}
inline Order hold_order() {
  return make_order(Op::hold, 0, longest_hold_ns);
}

/// Whether `report` is whole and belongs to `order`.
inline bool is_report_of(const Order& order, const Report& report) {
  bool same = report.hash == hash_of(order);
  for (std::uint32_t i = 0; i < 7; ++i) {
    same = same && report.pattern[i] == HashStep::word(report.hash, i);
  }
  return same;
}

using TestContext = GpuExecutionContext<Order, Report>;

/// The memory that a `TestStep` works on, where the executor of the options runs.
class StepMemory {
 public:
  explicit StepMemory(const ContextOptions& options, std::uint32_t cell_count = 4096)
      : words_(memory_of(options.executor), static_cast<std::size_t>(Word::count)),
        cells_(memory_of(options.executor), cell_count),
        on_host_(memory_of(options.executor) == MemoryKind::host) {}

  TestStep step() {
    return {words_.data(), cells_.data(), static_cast<std::uint32_t>(cells_.size())};
  }
  Buffer<std::uint32_t>& cells() { return cells_; }

  /// Beside running steps.
  void set(Word word, std::uint32_t value) {
    const auto i = static_cast<std::size_t>(word);
    if (on_host_) {
      TestStep::Atomic(words_.data()[i]).store(value);
    } else {
      words_.upload(std::span<const std::uint32_t>(&value, 1), i);
    }
  }
  std::uint32_t get(Word word) {
    const auto i = static_cast<std::size_t>(word);
    if (on_host_) return TestStep::Atomic(words_.data()[i]).load();
    std::uint32_t value = 0;
    words_.download(std::span<std::uint32_t>(&value, 1), i);
    return value;
  }
  /// Waits until `count` steps hold.
  bool wait_for_held(std::uint32_t count) {
    return eventually([&] { return get(Word::held) >= count; });
  }

 private:
  Buffer<std::uint32_t> words_;
  Buffer<std::uint32_t> cells_;
  bool on_host_;
};

/// What went wrong in a run in which each config should come back once.
struct Tally {
  std::uint64_t returned = 0, missing = 0, twice = 0, foreign = 0, torn = 0, not_ok = 0;

  [[nodiscard]] bool clean() const { return missing + twice + foreign + torn + not_ok == 0; }
};
inline std::ostream& operator<<(std::ostream& out, const Tally& t) {
  return out << t.returned << " returned, " << t.missing << " missing, " << t.twice << " twice, "
             << t.foreign << " with a foreign ticket, " << t.torn << " torn, " << t.not_ok
             << " not ok";
}

/// Ticks off completions of the tickets from `first` on.
class Checklist {
 public:
  Checklist(std::uint64_t first, std::uint64_t count) : first_(first), seen_(count) {}

  template <class Telemetry, class IsRight>
  void tick(const Completion<Telemetry>& done, IsRight is_right) {
    const std::uint64_t i = done.ticket - first_;
    ++tally_.returned;
    if (i >= seen_.size()) {
      ++tally_.foreign;
      return;
    }
    if (seen_[i]) ++tally_.twice;
    seen_[i] = true;
    if (!done.ok()) ++tally_.not_ok;
    if (!is_right(i, done.telemetry)) ++tally_.torn;
  }
  [[nodiscard]] Tally tally() const {
    Tally result = tally_;
    for (const bool seen : seen_) result.missing += seen ? 0 : 1;
    return result;
  }
  [[nodiscard]] std::uint64_t returned() const { return tally_.returned; }
  [[nodiscard]] const std::vector<bool>& seen() const { return seen_; }

 private:
  std::uint64_t first_;
  std::vector<bool> seen_;
  Tally tally_;
};

/// Runs `count` configs through `try_queue` and `poll`, checking each completion.
template <class C, class T, class Make, class IsRight>
Tally run_all(GpuExecutionContext<C, T>& ctx, std::uint64_t first, std::uint64_t count, Make make,
              IsRight is_right) {
  Checklist list(first, count);
  std::uint64_t queued = 0;
  C next = make(0);
  for (Patience patience; list.returned() < count && patience.lasts();) {
    while (queued < count && ctx.try_queue(next)) {
      next = make(++queued);
      patience.progress();
    }
    while (auto done = ctx.poll()) {
      list.tick(*done, is_right);
      patience.progress();
    }
  }
  return list.tally();
}

}  // namespace aatgs::test
