// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <thread>
#include <utility>

#include "ring_test_support.hpp"

namespace aatgs {
namespace {

using test::Bytes;

/// One of several lanes, run after one another.
struct FakeLane {
  std::uint32_t lane;
  std::uint32_t lanes;
  [[nodiscard]] std::uint32_t rank() const { return lane; }
  [[nodiscard]] std::uint32_t size() const { return lanes; }
  [[nodiscard]] static bool all(bool flag) { return flag; }
};

constexpr std::uint32_t lap = 77;

/// Whether the slot holds the bytes as the wire format says, without the code under test.
bool wire_is_right(const std::vector<Granule>& slot, const unsigned char* value, std::size_t size) {
  bool right = slot.size() == (size + 11) / 12;
  for (std::size_t i = 0; i < slot.size(); ++i) {
    unsigned char raw[16];
    std::memcpy(raw, &slot[i], 16);
    std::uint32_t found_lap;
    std::memcpy(&found_lap, raw + 12, 4);
    right = right && found_lap == lap;
    for (std::size_t b = 0; b < 12; ++b) {
      const std::size_t at = 12 * i + b;
      right = right && raw[b] == (at < size ? value[at] : 0);
    }
  }
  return right;
}

/// Through the wire by value and by words, whole and by 32 lanes. On the heap, so that
/// AddressSanitizer sees a byte read or written beyond the end.
template <std::size_t Size>
bool round_trips() {
  using T = Bytes<Size>;
  constexpr std::uint32_t granules = MessageBuffer<T>::granules;
  const auto value = std::make_unique<T>(T::of(Size));
  std::vector<Granule> slot(granules);
  write_value(slot.data(), lap, *value);
  bool right = wire_is_right(slot, value->byte, Size);

  const auto read = std::make_unique<T>();
  right = right && read_value(slot.data(), lap, *read) && *read == *value;
  right = right && !read_value(slot.data(), lap + 1, *read);

  MessageBuffer<T> buffer{};
  MessageBuffer<T> by_lanes{};
  right = right && read_message(SingleLane{}, slot.data(), granules, lap, buffer.words());
  std::vector<Granule> written(granules);
  for (std::uint32_t i = 0; i < 32; ++i) {
    const FakeLane lane{i, 32};
    right = right && read_message(lane, slot.data(), granules, lap, by_lanes.words());
    write_message(lane, written.data(), granules, lap, buffer.words());
  }
  return right && buffer.value() == *value && by_lanes.value() == *value &&
         wire_is_right(written, value->byte, Size);
}

template <std::size_t First, std::size_t... I>
void check_range(std::index_sequence<I...>) {
  const std::pair<std::size_t, bool> results[] = {{First + I, round_trips<First + I>()}...};
  for (const auto& [size, right] : results) {
    CAPTURE(size);
    CHECK(right);
  }
}

TEST_CASE("message: some size is cut, padded with rubbish, or runs over its end") {
  check_range<1>(std::make_index_sequence<50>{});
  check_range<250>(std::make_index_sequence<8>{});
  check_range<379>(std::make_index_sequence<13>{});  // where 32 lanes need a second round
  check_range<996>(std::make_index_sequence<6>{});
  check_range<4084>(std::make_index_sequence<13>{});
}

TEST_CASE("message: a size needs one granule too few or too many") {
  for (std::size_t size = 1; size <= max_message_bytes; ++size) {
    const std::size_t granules = granules_for(size);
    CHECK(granules * 12 >= size);
    CHECK((granules - 1) * 12 < size);
  }
}

TEST_CASE("message: one that is only partly written is taken for whole") {
  using T = Bytes<500>;
  const T value = T::of(3);
  constexpr std::uint32_t granules = MessageBuffer<T>::granules;
  std::vector<Granule> whole(granules);
  write_value(whole.data(), lap, value);
  for (std::uint32_t missing = 0; missing < granules; ++missing) {
    CAPTURE(missing);
    std::vector<Granule> slot = whole;
    slot[missing] = Granule::make(1, 2, 3, lap - 1);
    MessageBuffer<T> buffer;
    T read;
    CHECK_FALSE(read_message(SingleLane{}, slot.data(), granules, lap, buffer.words()));
    CHECK_FALSE(read_value(slot.data(), lap, read));
  }
}

TEST_CASE("message: a payload of zeros is taken for nothing") {
  using T = Bytes<40>;
  const T zeros{};
  std::vector<Granule> slot(MessageBuffer<T>::granules);
  T read = T::of(1);
  CHECK_FALSE(read_value(slot.data(), lap, read));
  write_value(slot.data(), lap, zeros);
  CHECK(read_value(slot.data(), lap, read));
  CHECK(read == zeros);
}

TEST_CASE("granule: payload or lap land in the wrong bits") {
  const Granule g = Granule::make(0x11111111, 0x22222222, 0x33333333, 0xFFFFFFFF);
  CHECK(g.low == 0x22222222'11111111U);
  CHECK(g.high == 0xFFFFFFFF'33333333U);
  CHECK(g.lap() == 0xFFFFFFFF);
  alignas(16) Granule stored;
  store_granule(&stored, g);
  const Granule loaded = load_granule(&stored);
  CHECK(loaded.low == g.low);
  CHECK(loaded.high == g.high);
  std::uint32_t words[3];
  unpack_granule(loaded, words);
  CHECK(words[0] == 0x11111111);
  CHECK(words[1] == 0x22222222);
  CHECK(words[2] == 0x33333333);
}

TEST_CASE("granule: a reader sees half of a store") {
  constexpr std::uint32_t stores = 1'000'000;
  alignas(16) Granule shared;
  std::jthread writer([&] {
    for (std::uint32_t i = 1; i <= stores; ++i) store_granule(&shared, Granule::make(i, i, i, i));
  });
  std::uint64_t torn = 0;
  for (std::uint32_t seen = 0; seen < stores;) {
    const Granule g = load_granule(&shared);
    std::uint32_t words[3];
    unpack_granule(g, words);
    if (words[0] != g.lap() || words[1] != g.lap() || words[2] != g.lap()) ++torn;
    if (g.lap() < seen) ++torn;
    seen = g.lap();
  }
  CHECK(torn == 0);
}

}  // namespace
}  // namespace aatgs
