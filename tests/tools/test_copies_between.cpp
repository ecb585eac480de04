// SPDX-License-Identifier: Apache-2.0
// What aatgs_bench copies between two GPUs, on host threads.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <atomic>
#include <memory>
#include <string>

#include "copies_between.hpp"
#include "forwarding_device.hpp"

namespace aatgs::bench {
namespace {

constexpr std::size_t bytes = 4096;

/// A device one of whose copies brings nothing: the one of this number, from 0.
class LosingDevice final : public test::ForwardingDevice {
 public:
  explicit LosingDevice(int lost) : lost_(lost) {}
  void copy(void* stream, void* to, const void* from, std::size_t size) override {
    if (number_++ != lost_) ForwardingDevice::copy(stream, to, from, size);
  }
  bool can_share_with(const StreamDevice&) const override { return true; }

 private:
  const int lost_;
  std::atomic<int> number_ = 0;
};

/// Device 1 of these has four copies of a check and a sample each: what arrives, its way to the
/// host, what is sent back; and what arrives in the sample.
DeviceSet losing(int lost, DeviceSetOptions options = {}) {
  return DeviceSet({std::make_shared<LosingDevice>(-1), std::make_shared<LosingDevice>(lost)},
                   options);
}

TEST_CASE("copies between GPUs: a rate without a unit, or of one way only") {
  for (const bool staged : {false, true}) {
    DeviceSetOptions options;
    options.prefer_staged = staged;
    DeviceSet set = DeviceSet::cpu(2, options);
    CopiesBetween copies(set, bytes);
    copies.check();
    const auto begin = std::chrono::steady_clock::now();
    const double gb_s = copies.gb_s(3);
    const std::chrono::duration<double, std::nano> all = std::chrono::steady_clock::now() - begin;
    CHECK(gb_s >= 2.0 * 3 * bytes / all.count());
    copies.check();
  }
}

TEST_CASE("copies between GPUs: copies that bring nothing are rated") {
  DeviceSet set = losing(0);
  CopiesBetween copies(set, bytes);
  CHECK_THROWS_WITH_AS(copies.check(), doctest::Contains("(peer) brought other bytes"), Error);
}

TEST_CASE("copies between GPUs: bytes of an earlier copy pass for those of a later one") {
  DeviceSet set = losing(4);
  CopiesBetween copies(set, bytes);
  copies.check();
  (void)copies.gb_s(1);
  CHECK_THROWS_AS(copies.check(), Error);
}

TEST_CASE("copies between GPUs: a piece of a staged copy is missing, which is not seen") {
  DeviceSetOptions options;
  options.prefer_staged = true;
  options.piece_bytes = bytes / 4;
  DeviceSet set = losing(3, options);
  CopiesBetween copies(set, bytes);
  CHECK_THROWS_WITH_AS(copies.check(), doctest::Contains("(staged) brought other bytes"), Error);
}

TEST_CASE("copies between GPUs: only one way is looked at") {
  DeviceSet set({std::make_shared<LosingDevice>(1), std::make_shared<LosingDevice>(-1)});
  CopiesBetween copies(set, bytes);
  CHECK_THROWS_AS(copies.check(), Error);
}

}  // namespace
}  // namespace aatgs::bench
