// SPDX-License-Identifier: Apache-2.0
#include "run_reader.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <utility>

#include "text_input.hpp"
#include "times.hpp"

namespace aatgs::monitor {

namespace fs = std::filesystem;

std::optional<FileFacts> peek(const fs::path& file, LineParser& parser) {
  PartFile part(file);
  const auto text = part.next();
  if (!text) return std::nullopt;
  try {
    const Line& line = parser.parse(*text);
    if (line.type != Line::Type::manifest) return std::nullopt;
    const Manifest& manifest = line.manifest;
    return FileFacts{std::string(manifest.run_id), manifest.part, manifest.start_unix_ns};
  } catch (const LineError&) {
    return std::nullopt;
  }
}

fs::path part_path(const fs::path& base, std::uint64_t part) {
  if (part == 0) return base;
  fs::path path = base;
  return path.replace_filename(base.stem().string() + "." + std::to_string(part) +
                               base.extension().string());
}

fs::path base_path(const fs::path& file, std::uint64_t part) {
  const std::string ending = "." + std::to_string(part);
  std::string stem = file.stem().string();
  if (part == 0 || !stem.ends_with(ending)) return file;
  stem.resize(stem.size() - ending.size());
  fs::path path = file;
  return path.replace_filename(stem + file.extension().string());
}

RunReader::RunReader(fs::path first, LineParser& parser, Say say)
    : first_(std::move(first)),
      parser_(parser),
      say_(std::move(say)),
      part_(std::make_unique<PartFile>(first_)),
      file_name_(first_.string()) {}

void RunReader::read(const Take& take) {
  const std::uint64_t before = last_.sequence;
  const std::int64_t time_before = last_.unix_ns;
  while (read_some(take)) {
  }
  const bool news = last_.sequence != before || last_.unix_ns != time_before;
  if (looks_++ > 0 && news) heard_unix_ns_ = unix_now_ns();
}

/// Whether there is more to read at once.
bool RunReader::read_some(const Take& take) {
  using Change = PartFile::Change;
  const Change change = part_->change();
  if (change == Change::truncated) {
    begin_again(part_->path(), "was truncated or written anew");
    return true;
  }
  // A part that has a successor is complete, so look for that before the last lines are read.
  const bool has_next = has_next_part();
  const bool first_look = part_->number() == 0;  // nothing is known of a next part
  if (!part_->is_closed() && !take_lines(take)) return true;
  if (change == Change::replaced) {
    begin_again(part_->path(), "was replaced");
    return true;
  }
  if (first_look && part_->number() > 0) return true;
  if (has_next) {
    say_torn("another part follows");
    part_ = std::make_unique<PartFile>(next_part());
    file_name_ = part_->path().string();
    return true;
  }
  if (change != Change::gone) {
    gone_since_.reset();
    return false;
  }
  if (is_another_run(first_)) {
    begin_again(first_, "is of a new run");
    return true;
  }
  if (!gone_since_) gone_since_ = std::chrono::steady_clock::now();
  return false;
}

/// False where the file was truncated under the reader.
bool RunReader::take_lines(const Take& take) {
  try {
    while (const auto text = part_->next()) hand_over(*text, part_->number(), take);
    return true;
  } catch (const LineError& error) {
    if (part_->change() == PartFile::Change::truncated) return false;
    throw_at(file_name_, part_->number(), error.what());
  }
}

void RunReader::hand_over(std::string_view text, std::uint64_t number, const Take& take) {
  Line& line = parser_.parse(text);
  line.file = file_name_;
  line.number = number;
  note(line);
  take(line);
}

void RunReader::note(const Line& line) {
  ++lines_;
  ended_ = line.type == Line::Type::summary;
  if (line.type == Line::Type::metric) {
    const Record& record = line.record;
    if (run_id_ != record.run_id) run_id_ = record.run_id;
    if (last_.phase != record.phase) last_.phase = record.phase;
    last_.step = record.step;
    last_.sequence = record.sequence;
    last_.unix_ns = record.unix_ns;
  } else if (line.type == Line::Type::manifest) {
    run_id_ = line.manifest.run_id;
    part_number_ = line.manifest.part;
    if (part_number_ == 0) last_ = {};
    last_.unix_ns = std::max(last_.unix_ns, line.manifest.start_unix_ns);
  } else if (line.type == Line::Type::other) {
    ++unknown_;
  }
}

void RunReader::begin_again(const fs::path& file, const std::string& reason) {
  say_(printable(file.string()) + ": " + reason + ": reading it from its beginning");
  if (file != part_->path()) part_ = std::make_unique<PartFile>(file);
  file_name_ = file.string();
  part_->restart();
  ended_ = false;
}

fs::path RunReader::next_part() const {
  return part_path(base_path(part_->path(), part_number_), part_number_ + 1);
}

bool RunReader::has_next_part() {
  const fs::path next = next_part();
  std::error_code ignored;
  if (!fs::is_regular_file(next, ignored)) return false;
  // Another run's file may lie in the way; the writer then stays in its part.
  const auto facts = peek(next, parser_);
  return facts && facts->run_id == run_id_ && facts->part == part_number_ + 1;
}

bool RunReader::is_another_run(const fs::path& file) {
  std::error_code ignored;
  if (file == part_->path() || !fs::is_regular_file(file, ignored)) return false;
  const auto facts = peek(file, parser_);
  return facts && facts->run_id != run_id_;
}

void RunReader::say_torn(const std::string& why) {
  if (part_->rest().empty()) return;
  say_(printable(file_name_) + ":" + std::to_string(part_->number() + 1) +
       ": the last line is torn and was passed over (" + why + ")");
}

void RunReader::finish(const Take& take) {
  if (!part_->rest().empty()) {
    try {
      hand_over(part_->rest(), part_->number() + 1, take);
    } catch (const LineError& error) {
      if (error.is_json || ended_) throw_at(file_name_, part_->number() + 1, error.what());
      if (lines_ == 0)
        throw_at(file_name_, 1, "has not one whole line; " + std::string(error.what()));
      say_torn("the run has no summary: it is at work, or was cut short");
    }
  }
  if (lines_ == 0) throw InputError(printable(file_name_) + ": is empty: no run has written to it");
  if (unknown_ > 0) {
    say_(printable(file_name_) + ": " + std::to_string(unknown_) +
         " lines of a type that this version does not know were passed over");
    unknown_ = 0;
  }
}

bool RunReader::is_gone_for(std::chrono::milliseconds time) const {
  return gone_since_ && std::chrono::steady_clock::now() - *gone_since_ >= time;
}

std::int64_t RunReader::last_news_unix_ns() const {
  if (heard_unix_ns_ != 0) return heard_unix_ns_;
  // The clock of another machine may be ahead of ours; a copy has a new file's time.
  const std::int64_t written = part_->written_unix_ns();
  if (last_.unix_ns == 0) return written;
  return written == 0 ? last_.unix_ns : std::min(written, last_.unix_ns);
}

std::string RunReader::last_record() const {
  if (last_.phase.empty()) return {};
  return last_.phase + ", step " + std::to_string(last_.step) + ", sequence " +
         std::to_string(last_.sequence);
}

}  // namespace aatgs::monitor
