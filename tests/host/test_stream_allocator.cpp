// SPDX-License-Identifier: Apache-2.0
// Stream-ordered memory on host threads: memory that is freed must not be reused too early, and
// misuse must be told. What is in a pool by the device's account is what no stream has freed yet.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "forwarding_device.hpp"
#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

using namespace std::chrono_literals;

template <class Error, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "not thrown";
}

std::string text_of(const void* data) {
  char text[32];
  std::snprintf(text, sizeof(text), "%p", data);
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::uint64_t used(const StreamOrderedAllocator& allocator) {
  return allocator.stats().pools.used;
}

TEST_CASE("memory is there for what its stream is given after, zero bytes and large ones too") {
  StreamOrderedAllocator allocator(make_cpu_stream_device());
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  StreamOrderedAllocator own(device);
  std::vector<int> from(100'000, 7), to(100'000);
  void* data = own.allocate(stream, 400'000);
  void* nothing = own.allocate(stream, 0);
  CHECK(nothing != nullptr);
  CHECK(nothing != data);
  CHECK(reinterpret_cast<std::uintptr_t>(data) % 256 == 0);
  stream.copy(data, from.data(), 400'000);
  stream.copy(to.data(), data, 400'000);
  own.free(stream, data);
  own.free(stream, nothing);
  stream.synchronize(patience);
  CHECK(to == from);
  CHECK(used(own) == 0);
  CHECK_THROWS_AS((void)allocator.allocate(stream, 1), UseError);  // another device
}

TEST_CASE("freed memory is not reused too early: the free comes after the work before it") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  StreamOrderedAllocator allocator(device);
  Gate gate;
  gate.hold(stream);
  void* data = allocator.allocate(stream, 1000);
  stream.set(data, 1, 1000);
  allocator.free(stream, data);
  CHECK(used(allocator) == 1000);
  CHECK(allocator.stats().all.bytes == 0);  // by the host's calls
  gate.open();
  stream.synchronize(patience);
  CHECK(used(allocator) == 0);
}

TEST_CASE("memory used in another stream: that waits for its content, and the free for that") {
  const auto device = make_cpu_stream_device();
  Stream home(device), other(device);
  StreamOrderedAllocator allocator(device);
  Gate home_gate, other_gate;
  char seen = 0;
  home_gate.hold(home);
  auto* data = static_cast<char*>(allocator.allocate(home, 1000));
  home.set(data, 42, 1000);
  allocator.use_in(data, other);
  std::this_thread::sleep_for(2ms);
  CHECK_FALSE(other.is_idle());  // it waits for the content
  other_gate.hold(other);
  other.run([&, data](StreamTarget) { seen = data[999]; });
  allocator.free(home, data);
  home_gate.open();
  std::this_thread::sleep_for(2ms);
  CHECK(used(allocator) == 1000);
  CHECK_FALSE(home.is_idle());  // the free waits for the other's use
  other_gate.open();
  home.synchronize(patience);
  CHECK(seen == 42);
  CHECK(used(allocator) == 0);
}

TEST_CASE("a last use that was told lets the free go before later work") {
  const auto device = make_cpu_stream_device();
  Stream home(device), other(device);
  StreamOrderedAllocator allocator(device);
  void* data = allocator.allocate(home, 10);
  allocator.use_in(data, other);
  other.set(data, 1, 10);
  allocator.done_in(data, other);
  Gate gate;
  gate.hold(other);
  allocator.free(home, data);
  home.synchronize(patience);
  CHECK(used(allocator) == 0);
}

TEST_CASE("a free in another stream waits for the stream of the allocation, even one that ended") {
  const auto device = make_cpu_stream_device();
  Stream other(device);
  StreamOrderedAllocator allocator(device);
  for (const bool has_ended : {false, true}) {
    CAPTURE(has_ended);
    auto home = std::make_unique<Stream>(device);
    Gate gate;
    gate.hold(*home);
    void* data = allocator.allocate(*home, 10);
    home->set(data, 1, 10);
    if (has_ended) home.reset();  // its work is still to come
    allocator.free(other, data);
    CHECK_FALSE(other.is_idle());
    CHECK(used(allocator) == 10);
    gate.open();
    other.synchronize(patience);
    CHECK(used(allocator) == 0);
  }
}

TEST_CASE("owned memory is freed at its end, after the work of its stream, even one that ended") {
  const auto device = make_cpu_stream_device();
  StreamOrderedAllocator allocator(device);
  Gate gate;
  {
    StreamMemory memory, moved;
    Stream ended(device);
    {
      memory = allocator.allocate_owned(ended, 10);
      CHECK(memory.bytes() == 10);
      gate.hold(ended);
      ended.set(memory.data(), 1, 10);
      moved = std::move(memory);
      CHECK(memory.data() == nullptr);  // NOLINT: what is tested
      CHECK(allocator.stats().all.blocks == 1);
      Stream ends = std::move(ended);
    }
  }
  CHECK(allocator.stats().all.blocks == 0);
  CHECK(used(allocator) == 10);
  gate.open();
  while (used(allocator) != 0) std::this_thread::yield();

  Stream stream(device);
  { const StreamMemory memory = allocator.allocate_owned(stream, 10); }
  stream.synchronize(patience);
  CHECK(used(allocator) == 0);
}

/// Gives the same address again at once, and lacks memory once if told to.
class SameAddressDevice : public ForwardingDevice {
 public:
  void* allocate(void*, std::size_t, void*) override {
    if (!std::exchange(lacks_, false)) return data_.data();
    throw DeviceError("lacking", "cudaErrorMemoryAllocation");
  }
  void free(void*, void*) override {}
  void trim_pool(void*, std::size_t) override { ++trims; }
  void lack() { lacks_ = true; }

  std::atomic<int> trims{0};

 private:
  std::array<char, 256> data_{};
  bool lacks_ = false;
};

TEST_CASE("an owner of memory that was freed otherwise does not free what got the same address") {
  const auto device = std::make_shared<SameAddressDevice>();
  Stream stream(device);
  StreamOrderedAllocator allocator(device);
  StreamMemory stale = allocator.allocate_owned(stream, 64);
  CHECK(allocator.free_for_stream(stream) == 1);
  const StreamMemory next = allocator.allocate_owned(stream, 64);
  CHECK(next.data() == stale.data());
  stale.free();
  CHECK(allocator.stats().all.blocks == 1);
}

/// Lets the test in before the first free and counts those that it does. Owns all memory, so that
/// what an allocator has to keep is no leak.
class WatchedDevice : public ForwardingDevice {
 public:
  void* allocate(void*, std::size_t bytes, void*) override {
    return memories_.emplace_back(std::make_unique<char[]>(bytes)).get();
  }
  void free(void* stream, void*) override {
    if (const auto once = std::exchange(on_free, nullptr)) once();
    if (is_capturing(stream)) throw UseError("a free in a captured stream");
    ++frees;
  }

  std::function<void()> on_free;
  int frees = 0;

 private:
  std::vector<std::unique_ptr<char[]>> memories_;
};

TEST_CASE("freeing all of a stream is not held up by who frees some of it meanwhile") {
  const auto device = std::make_shared<WatchedDevice>();
  Stream stream(device);
  StreamOrderedAllocator allocator(device);
  std::vector<void*> all;
  for (int i = 0; i < 3; ++i) all.push_back(allocator.allocate(stream, 64));
  device->on_free = [&] {
    for (void* data : all) {
      try {
        allocator.free(stream, data);
      } catch (const UseError&) {  // it was freed already
      }
    }
  };
  CHECK_NOTHROW((void)allocator.free_for_stream(stream));
  CHECK(allocator.stats().all.blocks == 0);
  CHECK(allocator.stats().all.frees == 3);
  CHECK(device->frees == 3);
}

TEST_CASE("before memory counts as lacking, the pools give back what they keep") {
  const auto device = std::make_shared<SameAddressDevice>();
  Stream stream(device);
  StreamOrderedAllocator allocator(device);
  device->lack();
  const StreamMemory memory = allocator.allocate_owned(stream, 64);
  CHECK(memory.data() != nullptr);
  CHECK(device->trims == 1);
}

TEST_CASE("double free, foreign pointers and closed streams are told with pointer and stream") {
  const auto device = make_cpu_stream_device();
  Stream stream(device, {.name = "worker"}), closed(device, {.name = "gone"});
  StreamOrderedAllocator allocator(device);
  CHECK_THROWS_AS(StreamOrderedAllocator(nullptr), UseError);
  CHECK_THROWS_AS(StreamOrderedAllocator(nullptr, {.pool_per_stream = true}), UseError);
  void* data = allocator.allocate(stream, 10);
  closed.close(patience);
  const auto by_closed = message_of<UseError>([&] { allocator.free(closed, data); });
  CHECK(has(by_closed, text_of(data)));
  CHECK(has(by_closed, "gone"));
  CHECK_THROWS_AS((void)allocator.allocate(closed, 1), UseError);
  CHECK(allocator.stats().all.blocks == 1);

  allocator.free(stream, data);
  const auto twice = message_of<UseError>([&] { allocator.free(stream, data); });
  CHECK(has(twice, text_of(data)));
  CHECK(has(twice, "freed already, in stream 'worker'"));

  int foreign = 0;
  const auto other = message_of<UseError>([&] { allocator.free(stream, &foreign); });
  CHECK(has(other, text_of(&foreign)));
  CHECK(has(other, "'worker'"));
  CHECK_THROWS_AS(allocator.use_in(&foreign, stream), UseError);
  CHECK_THROWS_AS(allocator.done_in(nullptr, stream), UseError);
  CHECK_THROWS_AS(allocator.free(stream, nullptr), UseError);
  stream.synchronize(patience);
  CHECK(used(allocator) == 0);
}

TEST_CASE("a captured stream neither allocates nor frees, and the memory stays in the account") {
  const auto device = make_cpu_stream_device();
  Stream stream(device), other(device);
  StreamOrderedAllocator allocator(device);
  StreamGraph graph(device);
  void* data = allocator.allocate(stream, 10);
  stream.begin_capture();
  CHECK_THROWS_AS((void)allocator.allocate(stream, 10), UseError);
  CHECK_THROWS_AS(allocator.free(stream, data), UseError);
  CHECK_THROWS_AS(allocator.free(other, data), UseError);
  stream.end_capture(graph);
  CHECK_FALSE(other.is_capturing());
  CHECK(allocator.stats().all.blocks == 1);
  CHECK(allocator.stats().all.frees == 0);
  allocator.free(other, data);
  other.synchronize(patience);
  CHECK(used(allocator) == 0);
}

TEST_CASE("a last use in a captured stream is refused, and the memory can be freed") {
  const auto device = make_cpu_stream_device();
  Stream stream(device), captured(device, {.name = "captured one"});
  StreamOrderedAllocator allocator(device);
  StreamGraph graph(device);
  void* data = allocator.allocate(stream, 10);
  allocator.use_in(data, captured);
  captured.begin_capture();
  const auto refusal = message_of<UseError>([&] { allocator.done_in(data, captured); });
  CHECK(has(refusal, text_of(data)));
  CHECK(has(refusal, "captured one"));
  captured.end_capture(graph);
  CHECK_NOTHROW(allocator.free(stream, data));
  stream.synchronize(patience);
  CHECK(used(allocator) == 0);
}

TEST_CASE("the allocator's end frees all but the memory of streams that are captured") {
  const auto device = std::make_shared<WatchedDevice>();
  Stream stream(device), captured(device);
  {
    StreamOrderedAllocator allocator(device);
    for (int i = 0; i < 8; ++i) (void)allocator.allocate(stream, 64);
    (void)allocator.allocate(captured, 64);
    captured.begin_capture();
  }
  CHECK(device->frees == 8);
  StreamGraph graph(device);
  captured.end_capture(graph);
}

TEST_CASE("a stream that ends while it is captured keeps no memory, its own or others'") {
  const auto device = make_cpu_stream_device();
  StreamOrderedAllocator allocator(device);
  const auto memory_of = [&](Stream stream, bool is_captured) {
    StreamMemory memory = allocator.allocate_owned(stream, 64);
    if (is_captured) stream.begin_capture();
    return memory;
  };
  for (const bool is_captured : {true, false}) {
    StreamMemory memory = memory_of(Stream(device), is_captured);
    memory.free();
    CHECK(allocator.stats().all.blocks == 0);
  }
}

TEST_CASE("a stream that ends in another's capture keeps its own memory only") {
  const auto device = std::make_shared<WatchedDevice>();
  StreamMemory kept, freed;
  {
    StreamOrderedAllocator allocator(device);
    Stream origin(device);
    Event begin(device);
    {
      Stream branch(device), other(device);
      kept = allocator.allocate_owned(branch, 64);
      freed = allocator.allocate_owned(other, 64);
      origin.begin_capture();
      origin.record(begin);
      branch.wait(begin);
    }
    kept.free();  // nothing tells when the branch's work before the capture is done
    freed.free();
    CHECK(allocator.stats().all.blocks == 1);
  }
  CHECK(device->frees == 1);
}

TEST_CASE("too little memory says who holds what, and the allocator goes on") {
  for (const bool per_stream : {false, true}) {
    CAPTURE(per_stream);
    const auto device = make_cpu_stream_device();
    Stream small(device, {.name = "small"}), large(device, {.name = "large"});
    StreamOrderedAllocator allocator(device, {.pool_per_stream = per_stream, .most_bytes = 1000});
    void* first = allocator.allocate(small, 100);
    void* second = allocator.allocate(large, 600);
    void* third = allocator.allocate(large, 50);
    std::string message, code;
    try {
      (void)allocator.allocate(large, 400);
    } catch (const DeviceError& error) {
      message = error.what();
      code = error.code_name();
    }
    CHECK(code == "cudaErrorMemoryAllocation");
    CHECK(has(message, "400 bytes"));
    CHECK(has(message, "100 bytes in 1 blocks by 'small'"));
    CHECK(has(message, "650 bytes in 2 blocks by 'large'"));
    CHECK(allocator.stats().all.blocks == 3);
    allocator.free(large, second);
    large.synchronize(patience);
    void* fourth = allocator.allocate(large, 400);
    for (void* data : {third, fourth}) allocator.free(large, data);
    allocator.free(small, first);
  }
}

TEST_CASE("statistics by stream, with peaks, and in the streams' own metrics") {
  const auto device = make_cpu_stream_device();
  Stream a(device, {.name = "a"}), b(device, {.name = "b"});
  StreamOrderedAllocator allocator(device);
  void* first = allocator.allocate(a, 100);
  void* second = allocator.allocate(b, 50);
  allocator.free(a, first);
  first = allocator.allocate(a, 30);
  const AllocatorStats stats = allocator.stats();
  CHECK(stats.all.bytes == 80);
  CHECK(stats.all.peak_bytes == 150);
  CHECK(stats.all.allocations == 3);
  CHECK(stats.all.frees == 1);
  REQUIRE(stats.streams.size() == 2);
  CHECK(stats.streams[0].name == "a");
  CHECK(stats.streams[0].use.bytes == 30);
  CHECK(stats.streams[0].use.peak_bytes == 100);
  CHECK(stats.streams[1].use.blocks == 1);
  CHECK(a.metrics().peak_bytes == 100);
  CHECK(b.metrics().peak_bytes == 50);
  allocator.free(b, first);
  CHECK(allocator.stats().streams[0].use.bytes == 0);  // that of the allocation
  allocator.free(b, second);
  allocator.trim();
}

TEST_CASE("10,000 cycles leave nothing behind, neither memory nor accounts of ended streams") {
  const auto device = make_cpu_stream_device();
  StreamOrderedAllocator allocator(device, {.pool_per_stream = true});
  std::uint64_t peak = 0;
  for (int s = 0; s < 10; ++s) {
    Stream stream(device);
    for (int i = 0; i < 1000; ++i) {
      void* data = allocator.allocate(stream, 256);
      allocator.free(stream, data);
    }
    stream.synchronize(patience);
    const AllocatorStats stats = allocator.stats();
    CHECK(stats.pools.used == 0);
    CHECK(stats.streams.size() <= 2);
    peak = stats.all.peak_bytes;
  }
  CHECK(peak == 256);
  CHECK(allocator.stats().all.allocations == 10'000);
}

TEST_CASE("the allocator's end frees what is left; memory that is owned may end after it") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  auto allocator = std::make_unique<StreamOrderedAllocator>(device);
  (void)allocator->allocate(stream, 100);  // the leak that ASan would tell
  StreamMemory memory = allocator->allocate_owned(stream, 100);
  allocator.reset();
  stream.set(memory.data(), 0, 100);
  memory.free();
  memory.free();
  stream.synchronize(patience);
}

TEST_CASE("several threads allocate, hand over and free") {
  const auto device = make_cpu_stream_device();
  StreamOrderedAllocator allocator(device);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int t = 0; t < 4; ++t) streams.push_back(std::make_unique<Stream>(device));
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Stream& own = *streams[t];
        Stream& next = *streams[(t + 1) % 4];
        for (int i = 0; i < 300; ++i) {
          void* data = allocator.allocate(own, 64);
          own.set(data, 1, 64);
          if (i % 3 == 0) {
            allocator.use_in(data, next);
            next.set(data, 2, 64);
          }
          if (i % 5 == 0) (void)allocator.stats();
          allocator.free(i % 2 == 0 ? own : next, data);
        }
      });
    }
  }
  for (const auto& stream : streams) stream->synchronize(patience);
  CHECK(allocator.stats().all.blocks == 0);
  CHECK(used(allocator) == 0);
}

}  // namespace
}  // namespace aatgs::test
