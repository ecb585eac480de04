// SPDX-License-Identifier: Apache-2.0
#include "feed.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <algorithm>
#include <utility>

#include "contexts.hpp"
#include "feed_json.hpp"
#include "json_text.hpp"
#include "times.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

constexpr std::size_t shown_records = 20;
constexpr std::size_t most_shown_bytes = 1 << 16;
constexpr std::size_t most_contexts = 64;

std::vector<PublishedContext> read_contexts() {
  try {
    const std::string directory = statistics_directory();
    if (directory.empty()) return {};
    auto pages = read_statistics_pages(directory);
    pages.resize(std::min(pages.size(), most_contexts));
    return pages;
  } catch (const InputError&) {
    return {};  // there are none to show
  }
}

std::string numbered(std::uint64_t number, const std::string& record) {
  return "{\"seq\":" + std::to_string(number) + ",\"record\":" + record + "}";
}

}  // namespace

Feed::Feed(Filter filter, std::string source)
    : filter_(std::move(filter)),
      source_(std::move(source)),
      latest_(std::make_shared<Snapshot>()) {
  publish();
}

void Feed::take(const Line& line) {
  const bool is_record = line.type == Line::Type::metric;
  if (is_record && !filter_.passes(line.record)) return;
  news_ = true;
  summary_.add(line);
  chart(line);
  if (is_record) keep(line.text);
}

void Feed::chart(const Line& line) {
  const bool begins = line.type == Line::Type::manifest && line.manifest.run_id != charted_ &&
                      line.manifest.start_unix_ns >= charted_start_;
  const bool is_record = line.type == Line::Type::metric;
  if (begins || (is_record && charted_.empty())) {
    charted_ = begins ? line.manifest.run_id : line.record.run_id;
    charted_start_ = begins ? line.manifest.start_unix_ns : 0;
    series_ = {};
  }
  if (is_record && line.record.run_id == charted_) series_.add(line.record);
}

void Feed::keep(std::string_view text) {
  std::string record(text);
  // A blank to JSON, but the end of a line to readers of server-sent events.
  std::replace(record.begin(), record.end(), '\r', ' ');
  const std::scoped_lock lock(mutex_);
  record_bytes_ += record.size();
  records_.push_back(std::move(record));
  ++next_;
  while (records_.size() > most_records ||
         (record_bytes_ > most_record_bytes && records_.size() > 1)) {
    record_bytes_ -= records_.front().size();
    records_.pop_front();
  }
}

void Feed::publish(const std::string& problem) {
  const auto pages = read_contexts();
  const std::uint64_t now_ns = host_now_ns();
  std::string contexts = contexts_json(pages, now_ns);
  if (!news_ && problem.empty() && contexts == contexts_) return;
  contexts_ = std::move(contexts);
  news_ = false;

  auto snapshot = std::make_shared<Snapshot>();
  const std::string phases = show_summary(summary_, Format::jsonl, unix_now_ns());
  snapshot->summary = summary_json(summary_, phases, Summary::most);
  snapshot->contexts = contexts_;
  snapshot->metrics = prometheus_text(summary_) + contexts_prometheus(pages, now_ns);
  snapshot->page = page_json(phases, problem);
  const std::scoped_lock lock(mutex_);
  snapshot->number = latest_->number + 1;
  latest_ = std::move(snapshot);
  changed_.notify_all();
}

std::string Feed::page_json(const std::string& phases, const std::string& problem) const {
  constexpr std::size_t shown_rows = 200;
  std::string out = "{\"source\":";
  append_string(out, source_);
  append_string(out += ",\"problem\":", problem);
  out += ",\"summary\":" + summary_json(summary_, phases, shown_rows);
  out += ",\"series\":" + series_json(series_, charted_);
  out += ",\"contexts\":" + contexts_;
  return out + ",\"recent\":" + recent_json() + "}";
}

std::string Feed::recent_json() const {
  const std::scoped_lock lock(mutex_);
  std::size_t bytes = 0, count = 0;
  while (count < std::min(shown_records, records_.size())) {
    bytes += records_[records_.size() - 1 - count].size();
    if (bytes > most_shown_bytes) break;
    ++count;
  }
  std::string out;
  for (std::size_t i = 1; i <= count; ++i) {
    out += (out.empty() ? "" : ",") + numbered(next_ - i, records_[records_.size() - i]);
  }
  return "[" + out + "]";
}

void Feed::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::shared_ptr<const Snapshot> Feed::latest() const {
  const std::scoped_lock lock(mutex_);
  return latest_;
}

std::shared_ptr<const Snapshot> Feed::newer_than(std::uint64_t number,
                                                 std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  // The last one, which tells why, is still for all.
  changed_.wait_for(lock, time, [&] { return closed_ || latest_->number > number; });
  return latest_->number > number ? latest_ : nullptr;
}

bool Feed::is_closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

std::string Feed::records_json(std::uint64_t since, std::size_t limit) const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t oldest = next_ - records_.size();
  std::uint64_t at = std::clamp(since, oldest, next_);
  std::string out;
  for (; at < next_ && limit > 0; ++at, --limit) {
    out += (out.empty() ? "" : ",") + numbered(at, records_[at - oldest]);
  }
  return "{\"next\":" + std::to_string(at) + ",\"oldest\":" + std::to_string(oldest) +
         ",\"records\":[" + out + "]}";
}

}  // namespace aatgs::monitor
