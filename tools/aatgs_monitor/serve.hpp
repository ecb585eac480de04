// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "feed.hpp"

namespace aatgs::monitor {

/// Shows a feed to browsers and programs of this machine, over HTTP on 127.0.0.1, read-only:
/// /, /events, /metrics, /api/summary, /api/records, /api/contexts. Threads of its own; at most
/// `most_streams` clients of /events at a time.
class PageServer {
 public:
  static constexpr unsigned most_streams = 32;

  /// Serves from now on. `feed` must outlive it; port 0 takes a free one. Throws InputError where
  /// the port cannot be had.
  PageServer(Feed& feed, std::uint16_t port);
  /// Closes the feed, and ends all connections.
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  [[nodiscard]] int port() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace aatgs::monitor
