// SPDX-License-Identifier: Apache-2.0
#include "run_source.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "text_input.hpp"
#include "times.hpp"

namespace aatgs::monitor {

namespace fs = std::filesystem;

RunSource::RunSource(fs::path path, Say say)
    : path_(std::move(path)), say_(std::move(say)), begun_unix_ns_(unix_now_ns()) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (!fs::exists(status)) {
    throw InputError(printable(path_.string()) + ": " +
                     (error ? error.message() : "No such file or directory") +
                     ": name the file of a run's telemetry, or a directory with such files");
  }
  is_directory_ = fs::is_directory(status);
  is_pipe_ = !is_directory_ && !fs::is_regular_file(status);
  if (!is_directory_) runs_[path_].reader = std::make_unique<RunReader>(path_, parser_, say_);
}

InputError RunSource::no_run() const {
  return InputError(printable(path_.string()) +
                    ": has no run: none of its *.jsonl files begins with a manifest");
}

void RunSource::look(const Take& take, bool last) {
  if (is_directory_ && !frozen_) find_runs();
  std::vector<std::pair<std::int64_t, RunReader*>> in_order;
  for (const auto& [base, run] : runs_) in_order.emplace_back(run.start_unix_ns, run.reader.get());
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [start, reader] : in_order) {
    reader->read(take);
    if (last) reader->finish(take);
    if (last || (is_directory_ && reader->ended())) reader->close();
  }
  if (last && runs_.empty()) throw no_run();
  const bool empty = std::all_of(runs_.begin(), runs_.end(),
                                 [](const auto& entry) { return entry.second.reader->is_empty(); });
  if (empty && !said_empty_) {
    say_(printable(path_.string()) + ": no line of a run yet: waiting for one");
  }
  said_empty_ = empty;
  drop_gone_runs();
}

void RunSource::find_runs() {
  std::error_code error;
  // By the run's first file, the first of its parts that is there.
  std::map<fs::path, std::pair<FileFacts, fs::path>> found;
  for (fs::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
    const fs::path& file = at->path();
    if (file.extension() != ".jsonl" || !at->is_regular_file(error) || others_.contains(file)) {
      error.clear();
      continue;
    }
    if (runs_.contains(file)) continue;
    std::optional<FileFacts> facts;
    try {
      facts = peek(file, parser_);
    } catch (const InputError& e) {
      say_(std::string(e.what()) + ": it is left out");
      others_.insert(file);
    }
    if (!facts) continue;
    const fs::path base = base_path(file, facts->part);
    const auto known = found.find(base);
    if (known == found.end() || known->second.first.part > facts->part) {
      found[base] = {*facts, file};
    }
  }
  if (error) {
    throw InputError(printable(path_.string()) + ": cannot read the directory: " + error.message());
  }
  for (auto& [base, what] : found) {
    if (runs_.contains(base)) continue;
    auto& [facts, file] = what;
    runs_[base] = {facts.start_unix_ns, std::make_unique<RunReader>(file, parser_, say_)};
  }
}

void RunSource::drop_gone_runs() {
  std::erase_if(runs_, [&](const auto& entry) {
    if (!entry.second.reader->is_gone_for(gone_after)) return false;
    const std::string message =
        printable(entry.second.reader->path().string()) + ": has disappeared: removed or renamed";
    if (!is_directory_) throw InputError(message);
    say_(message);
    return true;
  });
}

bool RunSource::ended() const {
  if (is_directory_) return false;
  return is_pipe_ || runs_.begin()->second.reader->ended();
}

std::optional<std::string> RunSource::stalled(std::chrono::nanoseconds after) const {
  const RunReader* latest = nullptr;
  std::int64_t news = 0;
  for (const auto& [base, run] : runs_) {
    if (run.reader->ended()) continue;
    const std::int64_t time = run.reader->last_news_unix_ns();
    if (latest == nullptr || time > news)
      std::tie(latest, news) = std::pair{run.reader.get(), time};
  }
  // A directory without any run is waited for as long.
  if (latest == nullptr && !runs_.empty()) return std::nullopt;
  const std::int64_t age = unix_now_ns() - (latest == nullptr ? begun_unix_ns_ : news);
  if (age < after.count()) return std::nullopt;
  const std::string last = latest == nullptr ? "" : latest->last_record();
  return printable((latest == nullptr ? path_ : latest->path()).string()) +
         ": stalled: no new record for " + show_duration(age) + ", and no summary; the last was " +
         (last.empty() ? "none" : printable(last));
}

void RunSource::keep_newest() {
  if (!is_directory_) return;
  find_runs();
  const auto newest = std::max_element(
      runs_.begin(), runs_.end(),
      [](const auto& a, const auto& b) { return a.second.start_unix_ns < b.second.start_unix_ns; });
  if (newest == runs_.end()) throw no_run();
  const fs::path kept = newest->first;
  if (runs_.size() > 1)
    say_(printable(kept.string()) + " is the run of " + std::to_string(runs_.size()) +
         " that began last");
  std::erase_if(runs_, [&](const auto& entry) { return entry.first != kept; });
  frozen_ = true;
}

}  // namespace aatgs::monitor
