// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "filter.hpp"
#include "summary.hpp"
#include "time_series.hpp"

namespace aatgs::monitor {

/// What every client gets at one moment. JSON texts are on one line.
struct Snapshot {
  std::uint64_t number = 0;  ///< counts snapshots, from 1
  std::string summary;       ///< JSON
  std::string contexts;      ///< JSON
  std::string metrics;       ///< Prometheus' text format
  std::string page;          ///< JSON of what the live page shows
};

/// Stands between the one thread that reads runs and the threads of clients, who share snapshots.
/// Memory is bounded, whatever is read and however many clients there are.
class Feed {
 public:
  static constexpr std::size_t most_records = 10'000;        ///< kept for `records_json`
  static constexpr std::size_t most_record_bytes = 4 << 20;  ///< of them

  /// `source`: what the user named.
  Feed(Filter filter, std::string source);

  // For the thread that reads.

  void take(const Line& line);
  /// Makes a snapshot, with the contexts' statistics pages as they are now, if anything is new.
  /// `problem`: why the program ends, one sentence.
  void publish(const std::string& problem = {});

  // For any thread.

  /// Lets go of all who wait, for good.
  void close();
  [[nodiscard]] std::shared_ptr<const Snapshot> latest() const;
  /// Waits for a snapshot with a higher number than this. Null: there was none in that time, or the
  /// feed is closed.
  [[nodiscard]] std::shared_ptr<const Snapshot> newer_than(std::uint64_t number,
                                                           std::chrono::milliseconds time) const;
  [[nodiscard]] bool is_closed() const;
  /// {"next":N,"oldest":M,"records":[{"seq":N,"record":{...}},...]}: kept records that passed the
  /// filters, from number `since` on, at most `limit`. They are numbered from 0 as they are read;
  /// `next` is the `since` of the next call, `oldest` the first number that is kept.
  [[nodiscard]] std::string records_json(std::uint64_t since, std::size_t limit) const;

 private:
  void chart(const Line& line);
  void keep(std::string_view text);
  [[nodiscard]] std::string page_json(const std::string& phases, const std::string& problem) const;
  [[nodiscard]] std::string recent_json() const;

  // Of the thread that reads.
  Filter filter_;
  std::string source_;
  Summary summary_;
  TimeSeries series_;  // of the run that began last
  std::string charted_;
  std::int64_t charted_start_ = 0;
  std::string contexts_;
  bool news_ = true;

  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable changed_;
  std::shared_ptr<const Snapshot> latest_;
  bool closed_ = false;
  std::deque<std::string> records_;
  std::size_t record_bytes_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace aatgs::monitor
