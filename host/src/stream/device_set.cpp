// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/stream/device_set.hpp>
#include <algorithm>
#include <utility>

#include "checked_device.hpp"

namespace aatgs {

namespace {

using Devices = std::vector<std::shared_ptr<StreamDevice>>;

/// Host threads have no ordinals.
bool are_same(const StreamDevice& a, const StreamDevice& b) {
  return &a == &b || (a.is_gpu() && b.is_gpu() && a.ordinal() == b.ordinal());
}

void check_devices(const Devices& devices) {
  if (devices.empty()) throw OptionError("a DeviceSet of no devices: name at least one");
  for (std::size_t i = 0; i < devices.size(); ++i) {
    detail::require_device(devices[i].get(), "a DeviceSet's device " + std::to_string(i));
    if (devices[i]->is_gpu() != devices[0]->is_gpu()) {
      throw OptionError("a DeviceSet of " + devices[0]->name() + " and " + devices[i]->name() +
                        ", between which no events work: have a set of GPUs or one of host "
                        "threads");
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (!are_same(*devices[i], *devices[k])) continue;
      throw OptionError("a DeviceSet with " + devices[i]->name() + " twice, as device " +
                        std::to_string(k) + " and " + std::to_string(i) + ": name it once");
    }
  }
}

DeviceLink find_link(const StreamDevice& from, const StreamDevice& to, bool prefer_staged) {
  if (&from == &to) return DeviceLink::same;
  return !prefer_staged && from.can_share_with(to) ? DeviceLink::peer : DeviceLink::staged;
}

/// Of a table.
std::string cell(std::string text) {
  constexpr std::size_t width = 9;
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

}  // namespace

std::string_view to_string(DeviceLink link) {
  switch (link) {
    case DeviceLink::same:
      return "same";
    case DeviceLink::peer:
      return "peer";
    case DeviceLink::staged:
      break;
  }
  return "staged";
}

std::vector<int> all_gpus() {
  std::vector<int> ordinals;
  std::string obstacle;
  for (int i = 0; (obstacle = why_no_gpu(i)).empty(); ++i) ordinals.push_back(i);
  if (!ordinals.empty()) return ordinals;
  throw DeviceError("all GPUs were asked for, but " + obstacle, "cudaErrorNoDevice");
}

DeviceSet DeviceSet::gpus(std::span<const int> ordinals, DeviceSetOptions options) {
  Devices devices;
  for (const int ordinal : ordinals) devices.push_back(make_gpu_stream_device(ordinal));
  return DeviceSet(std::move(devices), std::move(options));
}

DeviceSet DeviceSet::cpu(std::size_t count, DeviceSetOptions options) {
  Devices devices;
  for (std::size_t i = 0; i < count; ++i) devices.push_back(make_cpu_stream_device());
  return DeviceSet(std::move(devices), std::move(options));
}

DeviceSet::DeviceSet(Devices devices, DeviceSetOptions options) : options_(std::move(options)) {
  check_devices(devices);
  for (auto& device : devices) {
    members_.push_back({device, std::make_unique<EventPool>(device), nullptr, nullptr});
  }
  for (const Member& from : members_) {
    for (const Member& to : members_) {
      ways_.push_back(
          {find_link(*from.device, *to.device, options_.prefer_staged), false, nullptr});
    }
  }
}

DeviceSet::~DeviceSet() = default;

std::size_t DeviceSet::checked(std::size_t index) const {
  if (index < members_.size()) return index;
  throw UseError("device " + std::to_string(index) + " of a DeviceSet of " +
                 std::to_string(members_.size()) + ": they are numbered from 0");
}

const std::shared_ptr<StreamDevice>& DeviceSet::device(std::size_t index) const {
  return members_[checked(index)].device;
}

StreamPool& DeviceSet::pool(std::size_t index) {
  Member& member = members_[checked(index)];
  const std::lock_guard lock(mutex_);
  if (!member.pool) member.pool = std::make_unique<StreamPool>(member.device, options_.streams);
  return *member.pool;
}

StreamOrderedAllocator& DeviceSet::memory(std::size_t index) {
  Member& member = members_[checked(index)];
  const std::lock_guard lock(mutex_);
  if (!member.memory) {
    member.memory = std::make_unique<StreamOrderedAllocator>(member.device, options_.memory);
  }
  return *member.memory;
}

DeviceLink DeviceSet::link(std::size_t from, std::size_t to) const {
  return ways_[checked(from) * size() + checked(to)].link;
}

void DeviceSet::prepare(std::size_t from, std::size_t to) {
  StreamDevice& source = *device(from);
  const StreamDevice& target = *device(to);
  const std::lock_guard lock(mutex_);
  Way& there = way(from, to);
  if (there.is_ready) return;
  if (there.link == DeviceLink::peer) source.share_with(target);
  if (there.link == DeviceLink::staged) {
    there.staged = std::make_unique<StagedLink>(members_[from].device, members_[to].device,
                                                options_.piece_bytes);
  }
  there.is_ready = true;
}

std::size_t DeviceSet::index_of(const Stream& stream) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
    return are_same(*member.device, *stream.device());
  });
  if (found != members_.end()) return static_cast<std::size_t>(found - members_.begin());
  throw UseError("copy with stream '" + stream.name() + "' of " + stream.device()->name() +
                 ", which is none of the set's " + std::to_string(size()) +
                 " devices: make the stream with DeviceSet::device");
}

void DeviceSet::copy(Stream& to_stream, void* to, Stream& from_stream, const void* from,
                     std::size_t bytes) {
  const std::size_t source = index_of(from_stream);
  const std::size_t target = index_of(to_stream);
  if (bytes == 0) return;
  prepare(source, target);
  if (const auto& staged = way(source, target).staged) {
    staged->copy(to_stream, to, from_stream, from, bytes);
  } else {
    copy_directly(source, target, to_stream, to, from_stream, from, bytes);
  }
}

/// By addresses CUDA knows whose memory it is and takes the peers' way.
void DeviceSet::copy_directly(std::size_t source, std::size_t target, Stream& to_stream, void* to,
                              Stream& from_stream, const void* from, std::size_t bytes) {
  if (&to_stream == &from_stream) return to_stream.copy(to, from, bytes);
  const auto written = members_[source].events->lease();
  from_stream.record(*written);
  to_stream.wait(*written);
  to_stream.copy(to, from, bytes);
  const auto read = members_[target].events->lease();
  to_stream.record(*read);
  from_stream.wait(*read);
}

std::string DeviceSet::describe() const {
  std::string text = cell("from\\to");
  for (std::size_t to = 0; to < size(); ++to) text += cell(std::to_string(to));
  for (std::size_t from = 0; from < size(); ++from) {
    text += "\n" + cell(std::to_string(from));
    for (std::size_t to = 0; to < size(); ++to)
      text += cell(std::string(to_string(link(from, to))));
    text += device(from)->name();
  }
  return text + "\n";
}

}  // namespace aatgs
