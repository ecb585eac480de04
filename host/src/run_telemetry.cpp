// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/run_telemetry.hpp>
#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "json_text.hpp"
#include "metric_lines.hpp"
#include "metric_queue.hpp"
#include "stream/deadline.hpp"
#include "telemetry_file.hpp"

namespace aatgs {

namespace {

constexpr std::size_t batch_records = 64;
constexpr std::size_t batch_bytes = 64 * 1024;  // of one write()
constexpr std::uint64_t least_part_bytes = 16 * 1024;

std::int64_t unix_now_ns() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

std::string made_run_id() {
  std::string time;
  append_utc(time, unix_now_ns());
  return time.substr(1, 26) + "Z-" + std::to_string(::getpid());
}

std::string line_of(const TelemetryOptions& options, const ManifestFacts& facts) {
  std::string line;
  append_manifest(line, options, facts);
  return line;
}

/// `options` with a run id; throws OptionError on what cannot work.
TelemetryOptions checked(TelemetryOptions options) {
  if (options.run_id.empty()) options.run_id = made_run_id();
  if (options.run_id.size() > decltype(RunMetric::run_id)::capacity) {
    throw OptionError("run_id = \"" + options.run_id + "\" is longer than 45 bytes: shorten it");
  }
  if (!std::has_single_bit(options.queue_records) || options.queue_records < 2) {
    throw OptionError("queue_records = " + std::to_string(options.queue_records) +
                      " is not a power of two of at least 2: choose one, such as 4096");
  }
  if (options.flush_interval <= std::chrono::milliseconds(0)) {
    throw OptionError("flush_interval = " + std::to_string(options.flush_interval.count()) +
                      " ms is not above 0: give 1 ms or more, such as 5");
  }
  if (!options.options_json.empty() && !is_json(options.options_json)) {
    throw OptionError("options_json = " + options.options_json.substr(0, 200) +
                      " is not one JSON value: give the run's options as JSON, or nothing");
  }
  const std::uint64_t least =
      std::max<std::uint64_t>(least_part_bytes, 2 * line_of(options, {}).size());
  if (options.rotate_bytes != 0 && options.rotate_bytes < least) {
    throw OptionError("rotate_bytes = " + std::to_string(options.rotate_bytes) +
                      " leaves a part no room: give 0 (never rotate) or at least " +
                      std::to_string(least));
  }
  return options;
}

}  // namespace

/// The far end of the queue: a thread that formats and writes. Lives until both the handle and the
/// thread are done with it.
class TelemetryHandle::Writer {
 public:
  explicit Writer(const TelemetryOptions& options)
      : options_(checked(options)),
        queue_(options_.queue_records),
        file_(options_.file, options_.replace),
        history_(TelemetryHandle::history),
        rotate_at_(options_.rotate_bytes) {
    buffer_.reserve(2 * batch_bytes);
    line_.reserve(least_part_bytes);
    batch_.reserve(batch_records);
  }

  static void start(const std::shared_ptr<Writer>& self) {
    try {
      self->thread_ = std::thread([self] { self->run(); });
    } catch (const std::system_error& e) {
      self->file_.discard();  // it would keep the next run out
      throw Error("starting the telemetry writer's thread failed: " + std::string(e.what()) +
                  "; let the process have more threads");
    }
  }

  bool record(const RunMetric& metric) noexcept { return queue_.push(metric); }
  [[nodiscard]] const std::string& run_id() const noexcept { return options_.run_id; }

  [[nodiscard]] std::vector<RunMetric> snapshot() const {
    std::vector<RunMetric> all;
    all.reserve(history_.size() + queue_.capacity());
    const std::lock_guard lock(reading_);
    const std::uint64_t kept = std::min<std::uint64_t>(taken_, history_.size());
    for (std::uint64_t i = taken_ - kept; i < taken_; ++i) {
      all.push_back(history_[i % history_.size()]);
    }
    std::uint64_t sequence = next_sequence_;
    queue_.peek(queue_.capacity(), [&](const RunMetric& metric, std::uint64_t drops) {
      sequence += drops;
      all.push_back(stamped(metric, sequence++));
    });
    if (all.size() > history_.size()) {
      all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(history_.size()));
    }
    return all;
  }

  [[nodiscard]] TelemetryStatus status() const {
    TelemetryStatus status;
    status.written = written_.load();
    status.lost = lost_.load();
    status.dropped = queue_.dropped();
    const std::uint64_t pushed = queue_.pushed();
    status.pending = pushed - status.written - status.lost;
    status.recorded = pushed + status.dropped;
    status.not_json = not_json_.load();
    const std::lock_guard lock(state_);
    status.write_errors = write_errors_;
    status.parts = parts_;
    status.last_error = last_error_;
    status.finalized = finalized_;
    return status;
  }

  void stop(std::chrono::milliseconds deadline) {
    queue_.close();
    std::unique_lock lock(state_);
    stopping_ = true;
    changed_.notify_all();
    changed_.wait_until(lock, detail::Deadline(deadline).at(), [&] { return done_; });
  }

  /// Leaves the thread to itself where the disk holds it.
  void end(std::chrono::milliseconds deadline) {
    if (!is_stopping()) stop(deadline);
    bool done = false;
    {
      const std::lock_guard lock(state_);
      done = done_;
    }
    done ? thread_.join() : thread_.detach();
  }

 private:
  void run() {
    // A signal is the program's business; a pipe without a reader is an error like others.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);

    bool good = false;
    std::string failure;
    try {
      good = write_all();
    } catch (const std::exception& e) {
      failure = "the telemetry writer ended early: " + std::string(e.what());
    }
    const bool closed = file_.close();
    const std::lock_guard lock(state_);
    if (!closed) count_error();
    if (!failure.empty()) last_error_ = failure;
    finalized_ = good && closed;
    done_ = true;
    changed_.notify_all();
  }

  bool write_all() {
    begin_buffer();
    flush();
    for (bool last = false; !last;) {
      last = wait_for_stop();
      while (take_batch()) write_batch();
    }
    return write_summary();
  }

  bool is_stopping() {
    const std::lock_guard lock(state_);
    return stopping_;
  }

  bool wait_for_stop() {
    std::unique_lock lock(state_);
    const detail::Deadline next_flush(options_.flush_interval);
    return changed_.wait_until(lock, next_flush.at(), [&] { return stopping_; });
  }

  [[nodiscard]] RunMetric stamped(RunMetric metric, std::uint64_t sequence) const {
    metric.sequence = sequence;
    metric.unix_ns = start_.start_unix_ns +
                     static_cast<std::int64_t>(metric.monotonic_ns - start_.start_monotonic_ns);
    metric.run_id = run_id_text_;
    return metric;
  }

  /// Moves some metrics from the queue to the history and the batch.
  bool take_batch() {
    batch_.clear();
    const std::lock_guard lock(reading_);
    const auto take = [&](const RunMetric& metric, std::uint64_t drops) {
      next_sequence_ += drops;
      batch_.push_back(stamped(metric, next_sequence_++));
      history_[taken_++ % history_.size()] = batch_.back();
    };
    queue_.release(queue_.peek(batch_records, take));
    return !batch_.empty();
  }

  void write_batch() {
    for (const RunMetric& metric : batch_) {
      phases_.add(metric.phase);
      line_.clear();
      not_json_ += append_metric(line_, metric);
      add_line();
      ++buffered_records_;
      if (buffer_.size() >= batch_bytes) flush();
    }
    flush();
  }

  bool write_summary() {
    RunMetric stamp;
    stamp.monotonic_ns = host_now_ns();
    {
      const std::lock_guard lock(reading_);
      next_sequence_ += queue_.take_untold();
      stamp = stamped(stamp, next_sequence_);
    }
    line_.clear();
    append_summary(line_, stamp, status(), phases_);
    add_line();
    return flush();
  }

  void begin_buffer() {
    start_.part = file_.part();
    append_manifest(buffer_, options_, start_);
    buffered_manifest_ = true;
  }

  /// Puts `line_` into the buffer, in a part that has room for it.
  void add_line() {
    if (is_too_long() && file_.is_regular()) {
      flush();
      if (is_too_long()) rotate();
    }
    // A part that has nothing yet, also because the disk was full, begins with a manifest.
    if (file_.size() == 0 && buffer_.empty()) begin_buffer();
    buffer_ += line_;
  }

  [[nodiscard]] bool is_too_long() const {
    return rotate_at_ != 0 && file_.size() + buffer_.size() + line_.size() > rotate_at_;
  }

  void rotate() {
    const std::uint64_t before = file_.part();
    const bool good = file_.next_part();
    // Where there is no next part this one grows.
    rotate_at_ =
        file_.part() == before ? rotate_at_ + options_.rotate_bytes : options_.rotate_bytes;
    const std::lock_guard lock(state_);
    if (!good) count_error();
    parts_ = file_.part() + 1;
  }

  /// One write(); whether all of the buffer is in the file.
  bool flush() {
    if (buffer_.empty()) return true;
    const std::size_t kept = file_.append(buffer_);
    const bool good = kept == buffer_.size();
    const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(kept);
    auto lines = static_cast<std::uint64_t>(std::count(buffer_.begin(), end, '\n'));
    if (buffered_manifest_ && lines > 0) --lines;
    const std::uint64_t records = std::min(lines, buffered_records_);
    written_ += records;
    lost_ += buffered_records_ - records;
    buffer_.clear();
    buffered_records_ = 0;
    buffered_manifest_ = false;
    if (!good) {
      const std::lock_guard lock(state_);
      count_error();
    }
    return good;
  }

  /// With `state_` held.
  void count_error() {
    ++write_errors_;
    last_error_ = file_.error();
  }

  const TelemetryOptions options_;
  const FixedText<45> run_id_text_{options_.run_id};
  ManifestFacts start_{unix_now_ns(), host_now_ns(), 0};
  MetricQueue queue_;
  TelemetryFile file_;
  std::thread thread_;

  // What is taken from the queue.
  mutable std::mutex reading_;  // never held while a disk is waited for
  std::vector<RunMetric> history_;
  std::uint64_t taken_ = 0;
  std::uint64_t next_sequence_ = 0;

  // The thread's own.
  std::vector<RunMetric> batch_;
  PhaseCounts phases_;
  std::string line_;
  std::string buffer_;  // whole lines
  std::uint64_t buffered_records_ = 0;
  bool buffered_manifest_ = false;
  std::uint64_t rotate_at_;

  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<std::uint64_t> lost_ = 0;
  std::atomic<std::uint64_t> not_json_ = 0;

  mutable std::mutex state_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool done_ = false;
  bool finalized_ = false;
  std::uint64_t write_errors_ = 0;
  std::uint64_t parts_ = 1;
  std::string last_error_;
};

TelemetryHandle::TelemetryHandle(const TelemetryOptions& options)
    : writer_(std::make_shared<Writer>(options)) {
  Writer::start(writer_);
}

TelemetryHandle::~TelemetryHandle() {
  writer_->end(default_deadline);
}

bool TelemetryHandle::record(const RunMetric& metric) noexcept {
  return writer_->record(metric);
}

std::vector<RunMetric> TelemetryHandle::snapshot() const {
  return writer_->snapshot();
}

TelemetryStatus TelemetryHandle::status() const {
  return writer_->status();
}

const std::string& TelemetryHandle::run_id() const noexcept {
  return writer_->run_id();
}

TelemetryStatus TelemetryHandle::finalize(std::chrono::milliseconds deadline) {
  writer_->stop(deadline);
  return writer_->status();
}

}  // namespace aatgs
