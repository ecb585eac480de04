// SPDX-License-Identifier: Apache-2.0
#include "allocator_core.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cstdio>
#include <utility>

#include "checked_device.hpp"

namespace aatgs {

std::string detail::text_of(const void* data) {
  char text[32];
  std::snprintf(text, sizeof(text), "%p", data);
  return text;
}

namespace {

MemoryPoolUse& operator+=(MemoryPoolUse& sum, const MemoryPoolUse& more) {
  sum.used += more.used;
  sum.used_peak += more.used_peak;
  sum.reserved += more.reserved;
  sum.reserved_peak += more.reserved_peak;
  return sum;
}

}  // namespace

StreamOrderedAllocator::Core::Core(std::shared_ptr<StreamDevice> on,
                                   const StreamOrderedAllocatorOptions& chosen)
    : device(detail::checked_device(std::move(on), "an allocator")),
      options(chosen),
      events(device) {
  if (!options.pool_per_stream) {
    shared_pool = device->make_pool({options.keep_bytes, options.most_bytes});
  }
}

StreamOrderedAllocator::Core::~Core() {
  for (Blocks left = std::exchange(blocks, {}); !left.empty();) {
    try {
      free_at_home(left.extract(left.begin()));
    } catch (...) {  // its stream is captured, or the device failed: it is never freed
    }
  }
  if (shared_pool != nullptr) device->destroy_pool(shared_pool);
  for (const auto& [id, home] : homes) {
    if (options.pool_per_stream) device->destroy_pool(home->pool);
  }
}

std::shared_ptr<detail::AllocatorHome> StreamOrderedAllocator::Core::home_of(
    const detail::LifeOfStream& life) {
  const std::lock_guard lock(mutex);
  if (last_home != nullptr && last_home->life->id == life->id) return last_home;
  const auto found = homes.find(life->id);
  if (found != homes.end()) return last_home = found->second;
  auto made = std::make_shared<detail::AllocatorHome>(life);
  life->want_end_event(device);
  made->pool = options.pool_per_stream ? device->make_pool({options.keep_bytes, options.most_bytes})
                                       : shared_pool;
  homes.emplace(life->id, made);
  last_home = made;
  sweep_homes();
  return made;
}

/// Forgets streams that ended and hold nothing.
void StreamOrderedAllocator::Core::sweep_homes() {
  std::erase_if(homes, [&](const auto& entry) {
    const detail::AllocatorHome& home = *entry.second;
    const std::lock_guard lock(home.life->mutex);
    if (home.life->handle != nullptr || home.use.blocks != 0) return false;
    if (options.pool_per_stream) device->destroy_pool(home.pool);
    return true;
  });
}

void* StreamOrderedAllocator::Core::allocate_or_explain(const detail::AllocatorHome& home,
                                                        void* stream, std::size_t bytes) {
  const auto is_lack = [](const DeviceError& error) {
    return error.code_name() == "cudaErrorMemoryAllocation";
  };
  try {
    return device->allocate(stream, bytes, home.pool);
  } catch (const DeviceError& error) {
    if (!is_lack(error)) throw;
  }
  trim(0);  // one pool cannot take what another keeps
  try {
    return device->allocate(stream, bytes, home.pool);
  } catch (const DeviceError& error) {
    if (!is_lack(error)) throw;
    throw DeviceError(std::string(error.what()) + ", in stream '" + home.life->name +
                          "'. Held: " + holders() + ". Free some of it, or ask for less",
                      error.code_name());
  }
}

std::string StreamOrderedAllocator::Core::holders() {
  const AllocatorStats now = stats();
  std::string text;
  for (const auto& stream : now.streams) {
    if (stream.use.blocks == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(stream.use.bytes) + " bytes in " +
            std::to_string(stream.use.blocks) + " blocks by '" + stream.name + "'";
  }
  return text.empty() ? "nothing by this allocator" : text;
}

void StreamOrderedAllocator::Core::count_allocation(AllocatorUse& use, std::size_t bytes) {
  use.bytes += bytes;
  use.peak_bytes = std::max(use.peak_bytes, use.bytes);
  ++use.blocks;
  ++use.allocations;
}

void StreamOrderedAllocator::Core::count_free(AllocatorUse& use, std::size_t bytes) {
  use.bytes -= bytes;
  --use.blocks;
  ++use.frees;
}

std::uint64_t StreamOrderedAllocator::Core::insert(
    void* data, const std::shared_ptr<detail::AllocatorHome>& home, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  count_allocation(home->use, bytes);
  count_allocation(all, bytes);
  home->life->note_allocated(static_cast<std::int64_t>(bytes));
  const std::uint64_t number = all.allocations;
  blocks[data] = {home, bytes, number, {}};
  return number;
}

void StreamOrderedAllocator::Core::refuse(const void* data, const std::string& stream) const {
  const std::string what = "memory " + detail::text_of(data) + " in stream '" + stream + "': ";
  if (const detail::StreamLife* in = recent.find(data)) {
    throw UseError(what + "it was freed already, in stream '" + in->name +
                   "'; free and use it once only");
  }
  throw UseError(what +
                 "it is not from this allocator, or was freed long ago; give it back where "
                 "it comes from");
}

StreamOrderedAllocator::Core::Blocks::node_type StreamOrderedAllocator::Core::take_out(
    Blocks::iterator found, const detail::LifeOfStream& stream) {
  auto block = blocks.extract(found);
  detail::AllocatorHome& home = *block.mapped().home;
  count_free(home.use, block.mapped().bytes);
  count_free(all, block.mapped().bytes);
  home.life->note_allocated(-static_cast<std::int64_t>(block.mapped().bytes));
  recent.add(block.key(), stream);
  return block;
}

StreamOrderedAllocator::Core::Blocks::node_type StreamOrderedAllocator::Core::extract(
    void* data, const detail::LifeOfStream& stream) {
  const std::lock_guard lock(mutex);
  const auto found = blocks.find(data);
  if (found == blocks.end()) refuse(data, stream->name);
  return take_out(found, stream);
}

std::vector<StreamOrderedAllocator::Core::Blocks::node_type>
StreamOrderedAllocator::Core::extract_all_of(const detail::LifeOfStream& stream) {
  const std::lock_guard lock(mutex);
  std::vector<Blocks::node_type> taken;
  taken.reserve(blocks.size());  // so that no block is lost half way
  for (auto next = blocks.begin(); next != blocks.end();) {
    const auto found = next++;
    if (found->second.home->life->id == stream->id) taken.push_back(take_out(found, stream));
  }
  return taken;
}

StreamOrderedAllocator::Core::Blocks::node_type StreamOrderedAllocator::Core::extract_owned(
    void* data, std::uint64_t number) {
  const std::lock_guard lock(mutex);
  const auto found = blocks.find(data);
  if (found == blocks.end() || found->second.number != number) return {};
  return take_out(found, found->second.home->life);
}

void StreamOrderedAllocator::Core::put_back(Blocks::node_type block) {
  const std::lock_guard lock(mutex);
  detail::AllocatorHome& home = *block.mapped().home;
  const std::size_t bytes = block.mapped().bytes;
  for (AllocatorUse* use : {&home.use, &all}) {
    use->bytes += bytes;
    ++use->blocks;
    --use->frees;
  }
  home.life->note_allocated(static_cast<std::int64_t>(bytes));
  blocks.insert(std::move(block));
}

void StreamOrderedAllocator::Core::order(detail::AllocatorBlock& block, std::uint64_t id,
                                         void* stream) {
  const auto wait = [&](detail::StreamLife& life) {
    if (life.id != id) life.let_wait(*device, stream, *events.lease());
  };
  wait(*block.home->life);
  for (const detail::AllocatorUser& user : block.users) {
    if (user.last_use != nullptr) {
      device->wait(stream, user.last_use->native());
    } else {
      wait(*user.life);
    }
  }
}

void StreamOrderedAllocator::Core::free_in(const detail::LifeOfStream& life, void* stream,
                                           Blocks::node_type block) {
  try {
    order(block.mapped(), life->id, stream);
    device->free(stream, block.key());
  } catch (...) {
    put_back(std::move(block));
    throw;
  }
}

void StreamOrderedAllocator::Core::free_at_home(Blocks::node_type block) {
  const detail::LifeOfStream life = block.mapped().home->life;
  try {
    if (block.mapped().users.empty()) {
      const std::lock_guard lock(life->mutex);
      if (life->handle != nullptr) return device->free(life->handle, block.key());
    }
    free_orphan(block);
  } catch (...) {
    put_back(std::move(block));
    throw;
  }
}

/// In a stream of the allocator's own, which may wait for whom it must.
void StreamOrderedAllocator::Core::free_orphan(Blocks::node_type& block) {
  {
    const std::lock_guard lock(mutex);
    if (orphans == nullptr) {
      orphans = std::make_unique<Stream>(
          device, StreamOptions{"freed by their owners", StreamPriority::low, false});
    }
  }
  order(block.mapped(), orphans->id(), orphans->handle());
  device->free(orphans->handle(), block.key());
}

detail::AllocatorUser& StreamOrderedAllocator::Core::user(void* data,
                                                          const detail::LifeOfStream& life) {
  const auto found = blocks.find(data);
  if (found == blocks.end()) refuse(data, life->name);
  auto& users = found->second.users;
  for (detail::AllocatorUser& known : users) {
    if (known.life->id == life->id) return known;
  }
  life->want_end_event(device);
  return users.emplace_back(detail::AllocatorUser{life, nullptr});
}

void StreamOrderedAllocator::Core::trim(std::size_t keep) {
  const std::lock_guard lock(mutex);
  if (shared_pool != nullptr) return device->trim_pool(shared_pool, keep);
  for (const auto& [id, home] : homes) device->trim_pool(home->pool, keep);
}

AllocatorStats StreamOrderedAllocator::Core::stats() {
  const std::lock_guard lock(mutex);
  AllocatorStats stats;
  stats.all = all;
  if (shared_pool != nullptr) stats.pools = device->pool_use(shared_pool);
  for (const auto& [id, home] : homes) {
    stats.streams.push_back({home->life->name, id, home->use});
    if (options.pool_per_stream) stats.pools += device->pool_use(home->pool);
  }
  std::sort(stats.streams.begin(), stats.streams.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return stats;
}

}  // namespace aatgs
