// SPDX-License-Identifier: Apache-2.0
#include "telemetry_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

namespace aatgs {

namespace fs = std::filesystem;

namespace {

std::string reason(int code) {
  return std::generic_category().message(code);
}

int open_new(const fs::path& path, bool replace) {
  return ::open(path.c_str(),
                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0666);
}

/// A pipe or a device: opening a pipe that nobody reads fails instead of waiting.
int open_special(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor >= 0) ::fcntl(descriptor, F_SETFL, 0);
  return descriptor;
}

}  // namespace

TelemetryFile::TelemetryFile(fs::path path, bool replace)
    : path_(std::move(path)), replace_(replace) {
  std::error_code ignored;
  regular_ = !fs::is_other(path_, ignored);
  if (regular_) refuse_or_remove_old_parts();
  descriptor_ = regular_ ? open_new(path_, replace_) : open_special(path_);
  if (descriptor_ >= 0) return;
  const int code = errno;
  throw InputError(path_.string() + ": telemetry cannot be written there: " + reason(code) +
                   (code == EEXIST ? "; remove it, name another file, or allow to replace it"
                                   : "; name a file in a directory that can be written"));
}

TelemetryFile::~TelemetryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

fs::path TelemetryFile::path_of(std::uint64_t part) const {
  if (part == 0) return path_;
  fs::path path = path_;
  return path.replace_filename(path_.stem().string() + "." + std::to_string(part) +
                               path_.extension().string());
}

void TelemetryFile::refuse_or_remove_old_parts() const {
  std::error_code ignored;
  for (std::uint64_t part = 1; fs::exists(path_of(part), ignored); ++part) {
    if (!replace_) {
      throw InputError(path_of(part).string() +
                       ": is a part of an earlier run's telemetry; remove it, name another file, "
                       "or allow to replace it");
    }
    fs::remove(path_of(part), ignored);
  }
}

std::size_t TelemetryFile::append(std::string_view lines) {
  if (torn_ || descriptor_ < 0) return 0;
  std::size_t done = 0;
  int code = 0;
  while (done < lines.size() && code == 0) {
    const ssize_t count = ::write(descriptor_, lines.data() + done, lines.size() - done);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      code = count == 0 ? ENOSPC : errno;
    }
  }
  if (done < lines.size()) {
    fail("write", code);
    const std::size_t whole = lines.substr(0, done).rfind('\n') + 1;  // 0 where there is none
    torn_ = whole < done && !take_back(done - whole);
    if (torn_) error_ += "; it ends in a torn line, so nothing more is written to it";
    done = whole;
  }
  size_ += done;
  return done;
}

bool TelemetryFile::take_back(std::size_t bytes) const {
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  return end >= 0 && ::ftruncate(descriptor_, end - static_cast<off_t>(bytes)) == 0;
}

bool TelemetryFile::next_part() {
  const fs::path path = path_of(part_ + 1);
  const int next = open_new(path, replace_);
  if (next < 0) {
    return fail("opening part " + path.filename().string(), errno);
  }
  const bool closed = close();
  descriptor_ = next;
  ++part_;
  size_ = 0;
  torn_ = false;
  return closed;
}

bool TelemetryFile::close() {
  if (descriptor_ < 0) return true;
  const bool synced = sync();
  const bool closed = ::close(std::exchange(descriptor_, -1)) == 0 || fail("close", errno);
  return synced && closed;
}

void TelemetryFile::discard() {
  std::error_code ignored;
  if (regular_) fs::remove(path_, ignored);
}

bool TelemetryFile::sync() {
  return !regular_ || ::fsync(descriptor_) == 0 || fail("fsync", errno);
}

bool TelemetryFile::fail(std::string_view tried, int code) {
  error_ = path_of(part_).string() + ": " + std::string(tried) + " failed: " + reason(code);
  return false;
}

}  // namespace aatgs
