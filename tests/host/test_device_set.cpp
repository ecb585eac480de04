// SPDX-License-Identifier: Apache-2.0
// Several devices in one program, on host threads.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/stream/device_set.hpp>
#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "forwarding_device.hpp"
#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

using Bytes = std::vector<std::uint8_t>;

Bytes pattern(std::size_t count, unsigned seed) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::uint8_t>((i * 31 + i / 256 + seed) % 251);
  }
  return bytes;
}

DeviceSetOptions staged(std::size_t piece_bytes) {
  DeviceSetOptions options;
  options.prefer_staged = true;
  options.piece_bytes = piece_bytes;
  return options;
}

/// A device that counts what it is asked for, and says that it is a GPU if it has an ordinal.
class CountingDevice final : public ForwardingDevice {
 public:
  explicit CountingDevice(int gpu = -1) : gpu_(gpu) {}
  bool is_gpu() const override { return gpu_ >= 0; }
  int ordinal() const override { return gpu_; }
  void copy(void* stream, void* to, const void* from, std::size_t bytes) override {
    if (to == nullptr) throw DeviceError("a copy to nowhere", "cudaErrorInvalidValue");
    ForwardingDevice::copy(stream, to, from, bytes);
  }
  void* allocate_pinned(std::size_t bytes) override {
    pinned += bytes;
    return ForwardingDevice::allocate_pinned(bytes);
  }
  void free_pinned(void* data) noexcept override {
    ++pinned_frees;
    ForwardingDevice::free_pinned(data);
  }
  bool is_done(void* event) override {
    ++looks;
    return ForwardingDevice::is_done(event);
  }
  bool can_share_with(const StreamDevice& other) const override {
    return reaches_peers && ForwardingDevice::is_gpu() == other.is_gpu();
  }
  void share_with(const StreamDevice&) override { ++shares; }

  bool reaches_peers = true;
  std::atomic<std::size_t> pinned{0};
  std::atomic<int> pinned_frees{0};
  std::atomic<int> shares{0};
  std::atomic<int> looks{0};

 private:
  int gpu_;
};

std::vector<std::shared_ptr<StreamDevice>> as_devices(
    const std::vector<std::shared_ptr<CountingDevice>>& devices) {
  return {devices.begin(), devices.end()};
}

TEST_CASE("device set: a device is named twice, is not there, or none is named") {
  CHECK_THROWS_AS(DeviceSet::cpu(0), OptionError);
  CHECK_THROWS_AS(DeviceSet({nullptr}), UseError);
  const auto one = make_cpu_stream_device();
  using Devices = std::vector<std::shared_ptr<StreamDevice>>;
  CHECK(contains(message_of([&] {
                   DeviceSet(Devices{one, make_cpu_stream_device(), one});
                 }),
                 "twice, as device 0 and 2"));
  const auto gpu = [](int ordinal) { return std::make_shared<CountingDevice>(ordinal); };
  CHECK(contains(message_of([&] {
                   DeviceSet(Devices{gpu(0), gpu(1), gpu(1)});
                 }),
                 "twice, as device 1 and 2"));
  CHECK_THROWS_AS(DeviceSet(Devices{one, gpu(0)}), OptionError);
  const std::vector<int> beyond{0, 4711};
  CHECK_THROWS_AS(DeviceSet::gpus(beyond), DeviceError);

  DeviceSet set = DeviceSet::cpu(2);
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { (void)set.device(2); }, [&] { (void)set.pool(2); }, [&] { (void)set.memory(2); },
           [&] { (void)set.link(0, 2); }, [&] { (void)set.link(2, 0); },
           [&] { set.prepare(0, 2); }}) {
    CHECK(contains(message_of(call), "device 2 of a DeviceSet of 2"));
  }
}

TEST_CASE("device set: a machine without GPUs is given host threads without a word") {
  std::vector<int> ordinals;
  const std::string refusal = message_of([&] { ordinals = all_gpus(); });
  const std::string obstacle = why_no_gpu(0);
  REQUIRE(ordinals.empty() == !obstacle.empty());
  if (ordinals.empty()) {
    CHECK(contains(refusal, "all GPUs were asked for, but " + obstacle));
  } else {
    CHECK(ordinals.front() == 0);
  }
}

TEST_CASE("device set: a link is another than the devices allow or the options say") {
  DeviceSet free = DeviceSet::cpu(2);
  CHECK(free.link(0, 0) == DeviceLink::same);
  CHECK(free.link(0, 1) == DeviceLink::peer);
  DeviceSet forced = DeviceSet::cpu(2, staged(64));
  CHECK(forced.link(1, 1) == DeviceLink::same);
  CHECK(forced.link(1, 0) == DeviceLink::staged);

  const std::vector devices{std::make_shared<CountingDevice>(), std::make_shared<CountingDevice>()};
  devices[0]->reaches_peers = false;  // one direction alone
  DeviceSet half(as_devices(devices));
  CHECK(half.link(0, 1) == DeviceLink::staged);
  CHECK(half.link(1, 0) == DeviceLink::peer);
  const std::string table = half.describe();
  INFO(table);
  CHECK(contains(table, "0        same     staged   forwarded host threads\n"));
  CHECK(contains(table, "1        peer     same     forwarded host threads\n"));
}

TEST_CASE("device set: bytes are lost, doubled or changed between two devices") {
  for (const bool by_host : {false, true}) {
    CAPTURE(by_host);
    DeviceSet set = DeviceSet::cpu(2, by_host ? staged(64) : DeviceSetOptions{});
    Stream here(set.device(0));
    Stream there(set.device(1));
    for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 128U, 1000U, 6400U}) {
      CAPTURE(count);
      const Bytes original = pattern(count, 7);
      Bytes copy(count + 2, 0xEE);
      set.copy(there, copy.data() + 1, here, original.data(), count);
      there.synchronize(patience);
      CHECK(std::equal(original.begin(), original.end(), copy.begin() + 1));
      CHECK(copy.front() == 0xEE);
      CHECK(copy.back() == 0xEE);
    }
    Bytes inside = pattern(500, 1);
    set.copy(here, inside.data() + 250, here, inside.data(), 250);  // one stream
    here.synchronize(patience);
    CHECK(std::equal(inside.begin(), inside.begin() + 250, inside.begin() + 250));
  }
}

/// What should not; it is given some time for it.
bool becomes_idle(const Stream& stream) {
  for (int i = 0; i < 20 && !stream.is_idle(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return stream.is_idle();
}

/// What can go wrong between two streams, one of which is held.
void check_order(DeviceSet& set) {
  constexpr std::size_t count = 300;
  Stream here(set.device(0));
  Stream there(set.device(1));
  Bytes source(count, 1);
  Bytes target(count, 0);
  const auto fill = [](Bytes& bytes, std::uint8_t value) {
    return [&bytes, value](StreamTarget) { std::fill(bytes.begin(), bytes.end(), value); };
  };

  SUBCASE("it is read before it was written") {
    Gate gate;
    gate.hold(here);
    here.run(fill(source, 2));
    set.copy(there, target.data(), here, source.data(), count);
    Bytes seen;
    there.run([&](StreamTarget) { seen = target; });
    CHECK_FALSE(becomes_idle(there));
    gate.open();
    there.synchronize(patience);
    CHECK(seen == Bytes(count, 2));
  }
  SUBCASE("it is written while the target's stream still reads what was there") {
    Gate gate;
    gate.hold(there);
    Bytes seen;
    there.run([&](StreamTarget) { seen = target; });
    set.copy(there, target.data(), here, source.data(), count);
    gate.open();
    there.synchronize(patience);
    CHECK(seen == Bytes(count, 0));
    CHECK(target == Bytes(count, 1));
  }
  SUBCASE("it is written over in the source before it was read") {
    Gate gate;
    gate.hold(there);
    set.copy(there, target.data(), here, source.data(), count);
    here.run(fill(source, 3));
    CHECK_FALSE(becomes_idle(here));
    gate.open();
    there.synchronize(patience);
    here.synchronize(patience);
    CHECK(target == Bytes(count, 1));
    CHECK(source == Bytes(count, 3));
  }
  SUBCASE("the host waits for the devices") {
    Gate gate;
    gate.hold(here);
    gate.hold(there);
    for (int i = 0; i < 3; ++i) set.copy(there, target.data(), here, source.data(), count);
    gate.open();  // it came here
    there.synchronize(patience);
    CHECK(target == source);
  }
  here.synchronize(patience);
}

TEST_CASE("device set: directly") {
  DeviceSet set = DeviceSet::cpu(2);
  check_order(set);
}
TEST_CASE("device set: through the host") {
  DeviceSet set = DeviceSet::cpu(2, staged(64));
  check_order(set);
}

TEST_CASE("device set: a large copy takes as much memory between, or new memory each time") {
  const std::vector devices{std::make_shared<CountingDevice>(), std::make_shared<CountingDevice>()};
  {
    DeviceSet set(as_devices(devices), staged(128));
    Stream here(set.device(0));
    Stream there(set.device(1));
    const Bytes source = pattern(100'000, 3);
    Bytes target(source.size());
    for (int i = 0; i < 3; ++i) {
      set.copy(there, target.data(), here, source.data(), source.size());
    }
    there.synchronize(patience);
    CHECK(target == source);
    CHECK(devices[0]->pinned + devices[1]->pinned == 256);
    CHECK(devices[0]->pinned_frees + devices[1]->pinned_frees == 0);
  }
  CHECK(devices[0]->pinned_frees + devices[1]->pinned_frees == 1);
}

TEST_CASE("device set: memory between is freed while a copy uses it") {
  const auto devices =
      std::vector{std::make_shared<CountingDevice>(), std::make_shared<CountingDevice>()};
  Stream here(devices[0]);
  Stream there(devices[1]);
  const Bytes source = pattern(1000, 5);
  Bytes target(source.size());
  Gate gate;
  gate.hold(there);
  auto set = std::make_unique<DeviceSet>(as_devices(devices), staged(600));
  set->copy(there, target.data(), here, source.data(), source.size());
  const int looks = devices[1]->looks;
  std::atomic<bool> is_gone = false;
  std::thread ending([&] {
    set.reset();
    is_gone = true;
  });
  while (!is_gone && devices[1]->looks < looks + 3) std::this_thread::yield();  // it waits
  CHECK(devices[1]->pinned_frees == 0);
  gate.open();
  ending.join();
  CHECK(is_gone);
  there.synchronize(patience);
  CHECK(target == source);
  CHECK(devices[1]->pinned_frees == 1);
}

TEST_CASE(
    "device set: what a copy that failed half way left in the memory between is overwritten") {
  const auto from = std::make_shared<CountingDevice>();
  const auto to = std::make_shared<CountingDevice>();
  StagedLink link(from, to, 8);
  Stream stuck(from), here(from), there(to);
  const Bytes wrong = pattern(8, 1), source = pattern(16, 2);
  Bytes target(16);
  Gate late, later;
  late.hold(stuck);
  later.hold(there);
  CHECK_THROWS_AS(link.copy(there, nullptr, stuck, wrong.data(), 8), DeviceError);
  // The second piece goes where the copy that failed is still to write.
  link.copy(there, target.data(), here, source.data(), 16);
  for (int i = 0; i < 20 && !here.is_idle(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // who does not wait overtakes it
  }
  late.open();
  here.synchronize(patience);
  stuck.synchronize(patience);
  later.open();
  there.synchronize(patience);
  CHECK(target == source);
}

TEST_CASE("device set: peer access is asked for at each copy, or where there is none") {
  const std::vector devices{std::make_shared<CountingDevice>(), std::make_shared<CountingDevice>()};
  DeviceSet set(as_devices(devices));
  Stream here(set.device(0));
  Stream there(set.device(1));
  const Bytes source = pattern(100, 5);
  Bytes target(source.size());
  CHECK(devices[0]->shares == 0);
  for (int i = 0; i < 3; ++i) set.copy(there, target.data(), here, source.data(), source.size());
  set.copy(here, target.data(), here, target.data(), 0);
  there.synchronize(patience);
  CHECK(devices[0]->shares == 1);  // its memory is read
  CHECK(devices[1]->shares == 0);
  CHECK(devices[0]->pinned + devices[1]->pinned == 0);
}

TEST_CASE("device set: copies both ways, of several threads, mix or wait for each other for ever") {
  constexpr std::size_t count = 2000;
  constexpr int rounds = 20;
  DeviceSet set = DeviceSet::cpu(3, staged(256));
  const auto shuttle = [&](std::size_t from, std::size_t to, unsigned seed) {
    Stream here(set.device(from));
    Stream there(set.device(to));
    const Bytes original = pattern(count, seed);
    Bytes first = original;
    Bytes second(count);
    for (int i = 0; i < rounds; ++i) {
      set.copy(there, second.data(), here, first.data(), count);
      here.set(first.data(), 0, count);
      set.copy(here, first.data(), there, second.data(), count);
      there.set(second.data(), 0, count);
    }
    here.synchronize(patience);
    there.synchronize(patience);
    return first == original;
  };
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { right += shuttle(i % 3, (i + 1 + i / 3) % 3, i) ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 4);
}

TEST_CASE("device set: a stream of elsewhere, or one that is captured, is taken") {
  DeviceSet set = DeviceSet::cpu(2, staged(64));
  Stream here(set.device(0));
  Stream there(set.device(1));
  Stream stranger(make_cpu_stream_device(), {.name = "stranger"});
  Bytes bytes(100);
  const auto copy = [&](Stream& to, Stream& from) {
    return message_of([&] { set.copy(to, bytes.data(), from, bytes.data() + 50, 50); });
  };
  CHECK(contains(copy(stranger, here), "copy with stream 'stranger'"));
  CHECK(contains(copy(there, stranger), "which is none of the set's 2 devices"));
  there.begin_capture();
  CHECK(contains(copy(there, here), "staged copy in stream '"));
  StreamGraph graph(set.device(1));
  there.end_capture(graph);
  CHECK(copy(there, here) == "nothing was thrown");
  there.synchronize(patience);
  CHECK_THROWS_AS(DeviceSet::cpu(2, staged(0)).prepare(0, 1), OptionError);
  CHECK_THROWS_AS(DeviceSet::cpu(2, staged(~std::size_t{0})).prepare(0, 1), OptionError);
}

TEST_CASE("device set: what failed before a copy is lost on the way") {
  for (const bool by_host : {false, true}) {
    DeviceSet set = DeviceSet::cpu(2, by_host ? staged(64) : DeviceSetOptions{});
    Stream here(set.device(0));
    Stream there(set.device(1));
    Bytes bytes(200);
    here.run([](StreamTarget) { throw UseError("planted"); });
    set.copy(there, bytes.data(), here, bytes.data() + 100, 100);
    CHECK(contains(message_of([&] { there.synchronize(patience); }), "planted"));
    CHECK(contains(message_of([&] { here.synchronize(patience); }), "planted"));
    set.copy(there, bytes.data(), here, bytes.data() + 100, 100);
    there.synchronize(patience);
  }
}

TEST_CASE("device set: a device has the pool or the memory of another, or a new one each time") {
  DeviceSet set = DeviceSet::cpu(2);
  for (std::size_t i = 0; i < set.size(); ++i) {
    CHECK(set.pool(i).device() == set.device(i));
    CHECK(&set.pool(i) == &set.pool(i));
    CHECK(&set.memory(i) == &set.memory(i));
    Stream& stream = set.pool(i).shared(StreamPurpose::peer_transfer);
    const StreamMemory memory = set.memory(i).allocate_owned(stream, 1000);
    CHECK(set.memory(i).stats().all.bytes == 1000);
    CHECK(set.memory(1 - i).stats().all.bytes == 0);
  }
}

}  // namespace
}  // namespace aatgs::test
