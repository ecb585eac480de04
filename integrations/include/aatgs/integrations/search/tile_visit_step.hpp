// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/integrations/search/tile_search.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs::search {

/// A tile of a graph: `vertices` consecutive ones. All distances within it are settled in scratch;
/// then those outside that are now nearer get word, and their tiles a task each, unless one is on
/// its way. A distance may be settled again when a shorter way is found; at the end every one is
/// the least (label correcting, as Bellman and Ford).
///
/// A tile is one task's at a time. Others write to its `inbox` only, then to its state; when it is
/// busy its task sees that before it ends, and goes on.
struct TileVisitStep {
  static constexpr unsigned block_threads = 256;
  static constexpr std::uint32_t vertices = TileRoom::vertices;
  static constexpr std::uint32_t unreached = 0x7FFF'FFFFU;
  static constexpr std::uint32_t busy = 1;
  static constexpr std::uint32_t has_mail = 2;
  struct Config {
    std::uint32_t tile;
  };

  const std::uint32_t* rims;        ///< [tiles] the first so many vertices have outside neighbours
  const std::uint32_t* starts;      ///< [tiles + 1] of a tile's edges, multiples of 4
  const std::uint32_t* offsets;     ///< [tiles][vertices + 4] of a vertex's edges in its tile's
  const std::uint32_t* neighbours;  ///< [starts[tiles]] coded as in `TileRoom`
  std::uint32_t* inbox;             ///< [tiles][vertices] the least distance that others have sent
  std::uint32_t* settled;           ///< [tiles][vertices] as the tile's last task left it
  std::uint32_t* states;            ///< [tiles] of the two bits above

  [[nodiscard]] std::size_t scratch_bytes() const { return sizeof(TileRoom); }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    TileRoom& room = *group.template scratch<TileRoom>();
    const std::uint32_t tile = config.tile;
    open_mail(group, room, tile);
    const std::uint32_t start = starts[tile];
    const std::uint32_t edges = starts[tile + 1] - start;
    copy(group, room.offsets, offsets + std::size_t{tile} * TileRoom::offset_words,
         TileRoom::offset_words);
    const std::uint32_t rim = rims[tile];
    const bool near = edges <= TileRoom::near_edges;
    if (near) copy(group, room.neighbours, neighbours + start, edges);
    group.sync();
    take_first(group, room, tile);
    do {
      group.sync();
      if (group.rank() < tile_lanes) {
        near ? settle_tile(room, room.neighbours, group.rank())
             : settle_tile(room, neighbours + start, group.rank());
      }
      group.sync();
      hand_on(group, room, tile, near ? room.neighbours : neighbours + start, rim);
      group.sync();
      if (group.rank() == 0) room.again = try_to_end(tile) ? 0 : 1;
      group.sync();
      if (room.again == 0) return;
      open_mail(group, room, tile);
      group.sync();
      take_more(group, room, tile);
    } while (true);
  }

 private:
  using Word = cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device>;

  /// From here on mail that comes is noticed.
  template <class Group>
  AATGS_HOST_DEVICE void open_mail(Group& group, TileRoom& room, std::uint32_t tile) const {
    for (std::uint32_t i = group.rank(); i < TileRoom::most_receivers; i += group.size()) {
      room.receivers[i] = TileRoom::nobody;
    }
    if (group.rank() != 0) return;
    room.listed = room.letter_count = room.long_count = 0;
    Word(states[tile]).fetch_and(~has_mail, cuda::memory_order_acquire);
  }

  /// False: there is mail.
  [[nodiscard]] AATGS_HOST_DEVICE bool try_to_end(std::uint32_t tile) const {
    std::uint32_t state = busy;
    return Word(states[tile])
        .compare_exchange_strong(state, 0, cuda::memory_order_release, cuda::memory_order_relaxed);
  }

  template <class Group>
  AATGS_HOST_DEVICE static void copy(Group& group, std::uint32_t* to, const std::uint32_t* from,
                                     std::uint32_t words) {
    struct alignas(16) Four {
      std::uint32_t words[4];
    };
    for (std::uint32_t i = group.rank(); i < words / 4; i += group.size()) {
      reinterpret_cast<Four*>(to)[i] = reinterpret_cast<const Four*>(from)[i];
    }
  }

  /// Calls `use(i, word i)` for the words of a tile, which others may be writing.
  template <class Group, class Use>
  AATGS_HOST_DEVICE static void each(Group& group, const std::uint32_t* all, std::uint32_t tile,
                                     const Use& use) {
    const auto* from = reinterpret_cast<const Granule*>(all + std::size_t{tile} * vertices);
    constexpr std::uint32_t batch = 4;
    for (std::uint32_t i = group.rank(); i < vertices / 4; i += batch * group.size()) {
      Granule words[batch];
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) {
        const std::uint32_t at = i + k * group.size();
        if (at < vertices / 4) words[k] = load_granule(from + at);
      }
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) {
        const std::uint32_t at = i + k * group.size();
        if (at >= vertices / 4) continue;
        use(4 * at, static_cast<std::uint32_t>(words[k].low));
        use(4 * at + 1, static_cast<std::uint32_t>(words[k].low >> 32));
        use(4 * at + 2, static_cast<std::uint32_t>(words[k].high));
        use(4 * at + 3, static_cast<std::uint32_t>(words[k].high >> 32));
      }
    }
  }

  template <class Group>
  AATGS_HOST_DEVICE void take_first(Group& group, TileRoom& room, std::uint32_t tile) const {
    // No other task writes them, so plain loads, which overlap with those of the mail.
    copy(group, room.before, settled + std::size_t{tile} * vertices, vertices);
    each(group, inbox, tile, [&](std::uint32_t i, std::uint32_t distance) {
      const std::uint32_t old = room.before[i];
      room.keys[i] = distance < old ? 2 * distance + 1 : 2 * old;
      if (distance < old) list(room, i);
    });
  }

  /// A thread takes the mail of the vertices whose distances it took before.
  template <class Group>
  AATGS_HOST_DEVICE void take_more(Group& group, TileRoom& room, std::uint32_t tile) const {
    each(group, inbox, tile, [&](std::uint32_t i, std::uint32_t distance) {
      if (2 * distance >= room.keys[i]) return;
      room.keys[i] = 2 * distance + 1;
      list(room, i);
    });
  }

  AATGS_HOST_DEVICE static void list(TileRoom& room, std::uint32_t i) {
    room.list[TileWord{room.listed}.fetch_add(1)] = static_cast<std::uint16_t>(i);
  }

  /// Stores what has changed, and tells the vertices outside. In several goes, so that the trips to
  /// memory of all letters overlap, and each tile is told once.
  template <class Group>
  AATGS_HOST_DEVICE void hand_on(Group& group, TileRoom& room, std::uint32_t tile,
                                 const std::uint32_t* edges, std::uint32_t rim) const {
    for (std::uint32_t i = group.rank(); i < vertices; i += group.size()) {
      const std::uint32_t distance = room.keys[i] / 2;
      if (distance == room.before[i]) continue;
      room.before[i] = distance;
      Word(settled[std::size_t{tile} * vertices + i]).store(distance, cuda::memory_order_relaxed);
      if (i < rim && !leave_to_all(room, i)) write_letters(group, room, edges, i, 0, 1);
    }
    group.sync();
    const std::uint32_t long_count =
        room.long_count < TileRoom::most_long ? room.long_count : TileRoom::most_long;
    for (std::uint32_t i = 0; i < long_count; ++i) {
      write_letters(group, room, edges, room.long_rows[i], group.rank(), group.size());
    }
    group.sync();
    const std::uint32_t count =
        room.letter_count < TileRoom::most_letters ? room.letter_count : TileRoom::most_letters;
    for (std::uint32_t i = group.rank(); i < count; i += group.size()) {
      send(group, room, room.letters[i]);
    }
    group.sync();
    for (std::uint32_t i = group.rank(); i < TileRoom::most_receivers; i += group.size()) {
      if (room.receivers[i] != TileRoom::nobody) tell(group, room.receivers[i]);
    }
  }

  AATGS_HOST_DEVICE static bool leave_to_all(TileRoom& room, std::uint32_t v) {
    if (room.offsets[v + 1] - room.offsets[v] <= TileRoom::long_row) return false;
    const std::uint32_t slot = TileWord{room.long_count}.fetch_add(1);
    if (slot >= TileRoom::most_long) return false;
    room.long_rows[slot] = v;
    return true;
  }

  /// Every `size`-th edge of a vertex from the `rank`-th on.
  template <class Group>
  AATGS_HOST_DEVICE void write_letters(Group& group, TileRoom& room, const std::uint32_t* edges,
                                       std::uint32_t v, std::uint32_t rank,
                                       std::uint32_t size) const {
    const std::uint32_t end = room.offsets[v + 1];
    for (std::uint32_t e = room.offsets[v] + rank; e < end; e += size) {
      const std::uint32_t w = edges[e];
      if ((w & TileRoom::outside) == 0) continue;
      const TileRoom::Letter letter{w & ~TileRoom::outside, room.before[v] + 1};
      const std::uint32_t slot = TileWord{room.letter_count}.fetch_add(1);
      if (slot < TileRoom::most_letters) {
        room.letters[slot] = letter;
      } else {
        send(group, room, letter);
      }
    }
  }

  /// Others may be told late: after a sync.
  template <class Group>
  AATGS_HOST_DEVICE void send(Group& group, TileRoom& room, const TileRoom::Letter& letter) const {
    const std::uint32_t there = Word(settled[letter.to]).load(cuda::memory_order_relaxed);
    const Word box(inbox[letter.to]);
    const std::uint32_t sent = box.load(cuda::memory_order_relaxed);
    if (there <= letter.distance || sent <= letter.distance) return;
    if (box.fetch_min(letter.distance, cuda::memory_order_relaxed) <= letter.distance) return;
    const std::uint32_t tile = letter.to / vertices;
    for (std::uint32_t& receiver : room.receivers) {
      const std::uint32_t noted = TileWord{receiver}.replace(TileRoom::nobody, tile);
      if (noted == TileRoom::nobody || noted == tile) return;
    }
    tell(group, tile);
  }

  template <class Group>
  AATGS_HOST_DEVICE void tell(Group& group, std::uint32_t tile) const {
    const std::uint32_t state =
        Word(states[tile]).fetch_or(busy | has_mail, cuda::memory_order_release);
    if ((state & busy) == 0) group.template spawn<TileVisitStep>({tile});
  }
};

}  // namespace aatgs::search
