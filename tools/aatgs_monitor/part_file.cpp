// SPDX-License-Identifier: Apache-2.0
#include "part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "text_input.hpp"

namespace aatgs::monitor {
namespace {

constexpr std::size_t head_bytes = 256;  // the run's name is among them

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

bool untouched(const struct stat& a, const struct stat& b) {
  return same_file(a, b) && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view tried, int code) {
  throw_at(path.string(), 0,
           "cannot " + std::string(tried) + ": " + std::generic_category().message(code));
}

}  // namespace

void PartFile::open() {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(path_, "open", errno);
  if (::fstat(descriptor_, &seen_) != 0) fail(path_, "open", errno);
  if (S_ISDIR(seen_.st_mode)) fail(path_, "open", EISDIR);
  regular_ = S_ISREG(seen_.st_mode);
  opened_ = true;
  if (regular_ && offset_ != 0) ::lseek(descriptor_, static_cast<off_t>(offset_), SEEK_SET);
}

std::optional<std::string_view> PartFile::next() {
  if (descriptor_ < 0) open();
  for (;;) {
    if (scanned_ < end_) {
      const void* found = std::memchr(buffer_.data() + scanned_, '\n', end_ - scanned_);
      if (found != nullptr) {
        const auto stop =
            static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
        const std::string_view line(buffer_.data() + begin_, stop - begin_);
        begin_ = scanned_ = stop + 1;
        ++number_;
        return line;
      }
      scanned_ = end_;
    }
    if (!read_on()) return std::nullopt;
  }
}

/// Whether there was more.
bool PartFile::read_on() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (end_ >= most_line_bytes) {
    throw_at(
        path_.string(), number_ + 1,
        "is longer than " + std::to_string(most_line_bytes) + " bytes, as no line of a run is");
  }
  if (buffer_.size() < end_ + chunk_bytes / 2) buffer_.resize(std::max(2 * end_, chunk_bytes));
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail(path_, "read", errno);
  note_head({buffer_.data() + end_, static_cast<std::size_t>(count)});
  end_ += static_cast<std::size_t>(count);
  offset_ += static_cast<std::uint64_t>(count);
  return count > 0;
}

std::string_view PartFile::rest() const {
  return {buffer_.data() + begin_, end_ - begin_};
}

void PartFile::note_head(std::string_view bytes) {
  if (head_.size() < head_bytes) head_ += bytes.substr(0, head_bytes - head_.size());
}

bool PartFile::has_same_head() const {
  std::array<char, head_bytes> now{};
  const ssize_t count = ::pread(descriptor_, now.data(), head_.size(), 0);
  return count >= 0 && std::string_view(now.data(), static_cast<std::size_t>(count)) == head_;
}

PartFile::Change PartFile::change() {
  if (!regular_ || !opened_) return Change::none;
  struct stat named {};
  if (::stat(path_.c_str(), &named) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) fail(path_, "look at", errno);
    return Change::gone;
  }
  if (descriptor_ < 0) {
    if (untouched(named, seen_)) return Change::none;
    const bool same = same_file(named, seen_);
    open();
    if (!same) return Change::replaced;
  }
  struct stat now {};
  if (::fstat(descriptor_, &now) != 0) fail(path_, "look at", errno);
  if (static_cast<std::uint64_t>(now.st_size) < offset_ || !has_same_head()) {
    return Change::truncated;
  }
  return same_file(named, now) ? Change::none : Change::replaced;
}

void PartFile::restart() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  opened_ = false;
  buffer_ = {};
  head_.clear();
  begin_ = scanned_ = end_ = 0;
  offset_ = number_ = 0;
}

void PartFile::close() {
  if (descriptor_ >= 0) {
    ::fstat(descriptor_, &seen_);
    ::close(descriptor_);
    descriptor_ = -1;
  }
  buffer_ = std::vector<char>(rest().begin(), rest().end());
  begin_ = scanned_ = 0;
  end_ = buffer_.size();
}

std::int64_t PartFile::written_unix_ns() const {
  struct stat now {};
  if (::stat(path_.c_str(), &now) != 0) return 0;
  return std::int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec;
}

}  // namespace aatgs::monitor
