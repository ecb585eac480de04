// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/run_metric.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace aatgs {

struct TelemetryOptions {
  std::filesystem::path file;          ///< NAME.jsonl; parts after a rotation are NAME.1.jsonl, ...
  bool replace = false;                ///< false: an earlier run's file is an error
  std::string run_id;                  ///< at most 45 bytes; empty: made of the time and process id
  std::string gpu;                     ///< its name, for the manifest; empty: null
  std::string options_json;            ///< the run's options, for the manifest; empty: null
  std::uint32_t queue_records = 4096;  ///< a power of two; 0.8 KiB each
  std::uint64_t rotate_bytes = 0;      ///< a part is at most this long; 0: one part, else >= 16 KiB
  std::chrono::milliseconds flush_interval{5};  ///< how long a record waits at most to be written
};

/// What became of the records. recorded = written + dropped + lost + pending, always.
struct TelemetryStatus {
  std::uint64_t recorded = 0;      ///< calls of `record`
  std::uint64_t written = 0;       ///< are whole lines in the file
  std::uint64_t dropped = 0;       ///< the queue was full (a slow disk), or the run was finalized
  std::uint64_t lost = 0;          ///< the file refused them (a full disk)
  std::uint64_t pending = 0;       ///< are still to be written
  std::uint64_t not_json = 0;      ///< parameters or notes that were cut or were not JSON
  std::uint64_t write_errors = 0;  ///< writes, rotations and syncs that failed
  std::uint64_t parts = 0;         ///< files begun
  std::string last_error;          ///< of the file, with its name and the system's reason
  bool finalized = false;          ///< the summary is in the file and all was handed to the disk
};

/// Writes the progress of a run to a JSONL file from a thread of its own.
///
/// The file: a manifest line ("type":"manifest"), a line for each record ("type":"metric"), and
/// after `finalize` a summary ("type":"summary"). Lines are appended whole, some at a time in one
/// write(). What was written survives the end of the process, in which only the last line can be
/// torn; the disk itself is waited for (fsync) only at a rotation and in `finalize`, so a machine
/// that loses power may lose more. The file is never closed in the middle of a line by a full disk:
/// what does not fit is taken back and counted as lost, and later records are tried again.
///
/// Any thread may call any member; destruction must come last.
class TelemetryHandle {
 public:
  static constexpr std::size_t history = 1000;
  static constexpr std::chrono::milliseconds default_deadline{5000};

  /// Throws InputError if the file cannot be had or is there already, OptionError if an option
  /// cannot work.
  explicit TelemetryHandle(const TelemetryOptions& options);
  /// Finalizes if nobody tried to.
  ~TelemetryHandle();
  TelemetryHandle(const TelemetryHandle&) = delete;
  TelemetryHandle& operator=(const TelemetryHandle&) = delete;

  /// Hands a metric to the writer. Never waits, allocates, throws or makes a system call. Returns
  /// false if it was dropped, which is counted.
  bool record(const RunMetric& metric) noexcept;

  /// The last 1000 records, oldest first, with those not yet written.
  [[nodiscard]] std::vector<RunMetric> snapshot() const;

  [[nodiscard]] TelemetryStatus status() const;
  [[nodiscard]] const std::string& run_id() const noexcept;

  /// Writes what is queued and a summary, and closes the file. A disk that has not taken it all by
  /// the deadline is left to itself: the rest stays pending and `finalized` is false, as it is
  /// after a failed write of the summary. Call it when the last `record` has returned; a second
  /// call only waits again. Never throws for the disk's sake.
  TelemetryStatus finalize(std::chrono::milliseconds deadline = default_deadline);

 private:
  class Writer;
  std::shared_ptr<Writer> writer_;  // outlives this object where the disk holds its thread
};

}  // namespace aatgs
