// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/staged_link.hpp>
#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "poll_until.hpp"

namespace aatgs {

namespace {

/// Also if its device has failed, which does no more then.
bool is_over(const Event& event) {
  try {
    return !event.was_recorded() || event.device()->is_done(event.native());
  } catch (const DeviceError&) {
    return true;
  }
}

void require_no_capture(const Stream& stream) {
  if (!stream.is_capturing()) return;
  throw UseError("staged copy in stream '" + stream.name() +
                 "', which is captured: the memory between is shared with other copies, so copy "
                 "before the capture or after it");
}

}  // namespace

StagedLink::StagedLink(std::shared_ptr<StreamDevice> from, std::shared_ptr<StreamDevice> to,
                       std::size_t piece_bytes)
    : device_(to),
      piece_bytes_(piece_bytes),
      pieces_{Piece{Event(from), Event(to)}, Piece{Event(from), Event(to)}} {
  constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / 2;
  if (piece_bytes == 0 || piece_bytes > most) {
    throw OptionError("staged copies in pieces of " + std::to_string(piece_bytes) +
                      " bytes: give at least 1, better some MiB, and at most " +
                      std::to_string(most));
  }
  memory_ = static_cast<std::byte*>(device_->allocate_pinned(pieces_.size() * piece_bytes));
}

StagedLink::~StagedLink() {
  const bool is_free = detail::poll_until(std::chrono::seconds(10), [&] {
    return std::all_of(pieces_.begin(), pieces_.end(), [](const Piece& piece) {
      return is_over(piece.filled) && is_over(piece.emptied);
    });
  });
  if (is_free) device_->free_pinned(memory_);
}

void StagedLink::copy(Stream& to_stream, void* to, Stream& from_stream, const void* from,
                      std::size_t bytes) {
  require_no_capture(to_stream);
  require_no_capture(from_stream);
  const std::lock_guard lock(mutex_);
  for (std::size_t done = 0; done < bytes; done += piece_bytes_) {
    carry(to_stream, static_cast<std::byte*>(to) + done, from_stream,
          static_cast<const std::byte*>(from) + done, std::min(piece_bytes_, bytes - done));
  }
}

/// One piece's worth.
void StagedLink::carry(Stream& to_stream, void* to, Stream& from_stream, const void* from,
                       std::size_t bytes) {
  Piece& piece = pieces_[turn_];
  std::byte* between = memory_ + turn_ * piece_bytes_;
  turn_ = (turn_ + 1) % pieces_.size();
  // Not for what is over: its failures are somebody else's and have been told. What was emptied was
  // filled before, but for a copy that failed half way.
  if (!is_over(piece.filled)) from_stream.wait(piece.filled);
  if (!is_over(piece.emptied)) from_stream.wait(piece.emptied);
  from_stream.copy(between, from, bytes);
  from_stream.record(piece.filled);
  to_stream.wait(piece.filled);
  to_stream.copy(to, between, bytes);
  to_stream.record(piece.emptied);
}

}  // namespace aatgs
