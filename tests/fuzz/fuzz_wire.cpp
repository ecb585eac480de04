// SPDX-License-Identifier: Apache-2.0
// Messages of any bytes come out as they went in. A ring whose granules are overwritten with any
// bytes never yields a completion of a ticket that was not queued, nor one twice.
#include <aatgs/host/accounting.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <set>
#include <vector>

#include "fuzz.hpp"

namespace {

using namespace aatgs;
using fuzz::Bytes;
using fuzz::require;

template <std::size_t Size>
struct Payload {
  unsigned char byte[Size];
};

/// Both ways to write and both ways to read, in all pairs.
template <std::size_t Size>
void check_message(Bytes& in) {
  using Message = Payload<Size>;
  constexpr std::uint32_t granules = MessageBuffer<Message>::granules;
  const auto lap = in.take<std::uint32_t>();
  const auto other = in.take<std::uint32_t>();
  const auto sent = in.take<Message>();
  const auto check_slot = [&](const Granule* slot) {
    Message whole{};
    MessageBuffer<Message> words{};
    require(read_value(slot, lap, whole), "a message is not there");
    require(read_message(SingleLane{}, slot, granules, lap, words.words()), "a message is not there");
    require(std::memcmp(&whole, &sent, Size) == 0, "a message came out as another");
    require(std::memcmp(words.words(), &sent, Size) == 0, "a message came out as another");
    require(other == lap || !read_value(slot, other, whole), "a message of another lap was read");
  };
  std::vector<Granule> slot(granules);
  write_value(slot.data(), lap, sent);
  check_slot(slot.data());
  MessageBuffer<Message> words{};
  std::memcpy(words.words(), &sent, Size);
  slot.assign(granules, Granule{});
  write_message(SingleLane{}, slot.data(), granules, lap, words.words());
  check_slot(slot.data());
}

void check_any_message(Bytes& in) {
  switch (in.take<std::uint8_t>() % 8) {
    case 0:
      return check_message<1>(in);
    case 1:
      return check_message<11>(in);
    case 2:
      return check_message<12>(in);
    case 3:
      return check_message<13>(in);
    case 4:
      return check_message<16>(in);
    case 5:
      return check_message<28>(in);
    case 6:
      return check_message<64>(in);
    default:
      return check_message<256>(in);
  }
}

/// The rings of one port, a host that queues and reads, honest workers, and rubbish.
class Port {
 public:
  explicit Port(Bytes& in)
      : policy_(static_cast<TelemetryPolicy>(in.take<std::uint8_t>() % 3)),
        shape_(RingShape::make(1U << (in.take<std::uint8_t>() % 4),
                               MessageBuffer<CompletionRecord<Telemetry>>::granules)),
        first_(in.take<std::uint64_t>() & (~std::uint64_t{0} >> 1)),
        end_(first_),
        granules_(shape_.total_granules()),
        seen_(shape_.slots),
        guards_(shape_.slots),
        counters_(1),
        ring_{granules_.data(), seen_.data(), guards_.data(), counters_.data(), shape_, policy_},
        reader_(ring_, first_, 1U + in.take<std::uint8_t>() % 8) {
    ring_.prepare(first_);
    for (std::uint32_t i = 0; i < shape_.slots; ++i) guards_[i] = {0, shape_.lap_before(i, first_)};
  }

  void act(Bytes& in) {
    switch (in.take<std::uint8_t>() % 4) {
      case 0:
        return queue();
      case 1:
        return publish();
      case 2:
        return spoil(in);
      default:
        return read();
    }
  }

 private:
  using Telemetry = Payload<20>;

  void queue() {
    if (policy_ == TelemetryPolicy::block && !reader_.slot_is_free(end_)) return;
    if (end_ - published_ == shape_.slots) return;  // the config ring is full
    ++end_;
  }
  void publish() {
    if (first_ + published_count_ == end_) return;
    MessageBuffer<CompletionRecord<Telemetry>> record{};
    publish_completion(SingleLane{}, ring_, 0, first_ + published_count_, record);
    published_ = first_ + ++published_count_;
  }
  /// A granule, or a whole message, with any lap, or one near those in use.
  void spoil(Bytes& in) {
    const std::uint32_t slot = in.take<std::uint8_t>() % shape_.slots;
    const std::uint32_t granule = in.take<std::uint8_t>() % (shape_.granules + 1);
    const auto how = in.take<std::uint8_t>();
    const std::uint32_t lap = how < 128 ? seen_[slot] + how - 64 : in.take<std::uint32_t>();
    for (std::uint32_t i = 0; i < shape_.granules; ++i) {
      if (granule != i && granule != shape_.granules) continue;
      granules_[std::uint64_t{slot} * shape_.granules + i] = Granule::make(
          in.take<std::uint32_t>(), in.take<std::uint32_t>(), in.take<std::uint32_t>(), lap);
    }
  }
  void read() {
    Completion<Telemetry> done;
    if (!reader_.try_read(end_, done)) return;
    require(done.ticket >= first_ && done.ticket < end_, "a completion of a ticket never queued");
    require(read_.insert(done.ticket).second, "a completion twice");
    accounting_.count(done);
    require(reader_.collected_count() == read_.size(), "a wrong count of completions");
    require(reader_.collected_count() + reader_.overwritten() <= end_ - first_,
            "more completions than configs");
    require(reader_.unread(end_, true) <= shape_.slots, "more unread completions than slots");
    require(reader_.unread(end_, false) <= shape_.slots, "more unread completions than slots");
    require(accounting_.taken_to_finished.percentile(0.5) <= accounting_.taken_to_finished.max(),
            "a percentile above the most");
  }

  TelemetryPolicy policy_;
  RingShape shape_;
  std::uint64_t first_;
  std::uint64_t end_;  // next ticket to queue
  std::uint64_t published_count_ = 0;
  std::uint64_t published_ = first_;
  std::vector<Granule> granules_;
  std::vector<std::uint32_t> seen_;
  std::vector<SlotGuard> guards_;
  std::vector<WorkerCounters> counters_;
  TelemetryRing ring_;
  CompletionReader<Telemetry> reader_;
  std::set<std::uint64_t> read_;
  Accounting accounting_{1, 1};
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in(data, size);
  check_any_message(in);
  Port port(in);
  while (!in.empty()) port.act(in);
  return 0;
}
