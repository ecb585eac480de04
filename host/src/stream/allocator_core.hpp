// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "stream_life.hpp"

namespace aatgs {

namespace detail {

using LifeOfStream = std::shared_ptr<StreamLife>;

/// For messages.
std::string text_of(const void* data);

/// The account of a stream in which memory was allocated.
struct AllocatorHome {
  explicit AllocatorHome(LifeOfStream of) : life(std::move(of)) {}

  LifeOfStream life;
  void* pool = nullptr;
  AllocatorUse use;
};

/// Another stream that uses a block: a free waits for the event, or where there is none for what
/// the stream was given until then.
struct AllocatorUser {
  LifeOfStream life;
  EventPool::Lease last_use;
};

struct AllocatorBlock {
  std::shared_ptr<AllocatorHome> home;
  std::size_t bytes = 0;
  std::uint64_t number = 0;  ///< of the allocation: pointers come again
  std::vector<AllocatorUser> users;
};

/// Pointers freed last, so that a double free is called that.
class RecentFrees {
 public:
  void add(void* data, const LifeOfStream& in) { entries_[next_++ % entries_.size()] = {data, in}; }
  /// Null: not among them.
  [[nodiscard]] const StreamLife* find(const void* data) const {
    for (const Entry& entry : entries_) {
      if (entry.data == data && entry.in != nullptr) return entry.in.get();
    }
    return nullptr;
  }

 private:
  struct Entry {
    const void* data = nullptr;
    LifeOfStream in;
  };
  std::array<Entry, 64> entries_;
  std::size_t next_ = 0;
};

}  // namespace detail

/// Device calls are made without the mutex, so that one stream's do not hold up another's.
struct StreamOrderedAllocator::Core {
  using Blocks = std::unordered_map<void*, detail::AllocatorBlock>;

  Core(std::shared_ptr<StreamDevice> on, const StreamOrderedAllocatorOptions& chosen);
  ~Core();

  std::shared_ptr<detail::AllocatorHome> home_of(const detail::LifeOfStream& life);
  void free_orphan(Blocks::node_type& block);
  void* allocate_or_explain(const detail::AllocatorHome& home, void* stream, std::size_t bytes);
  /// Returns the number of the allocation.
  std::uint64_t insert(void* data, const std::shared_ptr<detail::AllocatorHome>& home,
                       std::size_t bytes);
  /// Takes the block out of the account, to be freed in `stream`. Throws `UseError` if it is not
  /// there.
  Blocks::node_type extract(void* data, const detail::LifeOfStream& stream);
  /// The same of all that was allocated in `stream`, at once: what is listed and taken out later
  /// may have been freed by then, and be another's.
  std::vector<Blocks::node_type> extract_all_of(const detail::LifeOfStream& stream);
  /// The same of an owner; empty if it was freed already.
  Blocks::node_type extract_owned(void* data, std::uint64_t number);
  void put_back(Blocks::node_type block);
  /// Frees when `stream` comes to it; the block is in the account again if that throws.
  void free_in(const detail::LifeOfStream& life, void* stream, Blocks::node_type block);
  /// The same in the stream of the allocation, or in `orphans` after what was in that.
  void free_at_home(Blocks::node_type block);
  /// Makes `stream` wait for all that was done with the block.
  void order(detail::AllocatorBlock& block, std::uint64_t id, void* stream);
  detail::AllocatorUser& user(void* data, const detail::LifeOfStream& life);
  void trim(std::size_t keep);
  AllocatorStats stats();

  const std::shared_ptr<StreamDevice> device;
  const StreamOrderedAllocatorOptions options;
  EventPool events;
  std::mutex mutex;
  void* shared_pool = nullptr;
  AllocatorUse all;
  std::unordered_map<std::uint64_t, std::shared_ptr<detail::AllocatorHome>> homes;
  std::shared_ptr<detail::AllocatorHome> last_home;
  Blocks blocks;
  detail::RecentFrees recent;
  std::unique_ptr<Stream> orphans;  ///< where memory of ended streams is freed

 private:
  [[noreturn]] void refuse(const void* data, const std::string& stream) const;
  Blocks::node_type take_out(Blocks::iterator found, const detail::LifeOfStream& stream);
  void sweep_homes();
  void count_allocation(AllocatorUse& use, std::size_t bytes);
  void count_free(AllocatorUse& use, std::size_t bytes);
  std::string holders();
};

}  // namespace aatgs
