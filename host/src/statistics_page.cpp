// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "process_identity.hpp"

namespace aatgs {

namespace {

/// Numbers the pages of this process. Contexts that know nothing of each other share it.
std::uint32_t next_number() {
  static std::atomic<std::uint32_t> next = 0;
  return next++;
}

template <std::size_t Size>
void copy_text(char (&to)[Size], std::string_view text) noexcept {
  const std::size_t length = std::min(text.size(), Size - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, Size - length);
}

/// Copies by words that are each whole for a reader, none of them before what was stored earlier.
template <class T>
void copy_words(T& to, const T& from) noexcept {
  static_assert(sizeof(T) % 8 == 0 && alignof(T) == 8);
  auto* words = reinterpret_cast<std::uint64_t*>(&to);
  for (std::size_t i = 0; i < sizeof(T) / 8; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, reinterpret_cast<const char*>(&from) + 8 * i, 8);
    // Not a release fence before the loop: ThreadSanitizer knows none. Free on x86.
    std::atomic_ref(words[i]).store(word, std::memory_order_release);
  }
}

std::uint64_t unix_now_ns() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

bool is_to_be_kept() {
  const char* value = std::getenv("AATGS_STATS_KEEP");
  return value != nullptr && std::string_view(value) == "1";
}

/// Those that are long dead; once in a process, with its first page.
void remove_old_pages(const std::string& directory) {
  static std::atomic_flag is_done;
  if (is_done.test_and_set()) return;
  try {
    remove_dead_statistics_pages(directory, std::chrono::minutes(10));
  } catch (const InputError&) {  // others' pages may stay: this context has nothing to do with them
  } catch (const std::bad_alloc&) {
  }
}

/// A new file under the first free number, which goes into the page's path.
int create(const std::string& directory, std::uint32_t pid, std::uint32_t& number,
           std::string& path) {
  constexpr int most_tries = 1000;  // that many pages left behind under a pid used again
  int file = -1;
  for (int i = 0; i < most_tries && file < 0; ++i) {
    number = next_number();
    path = directory + "/aatgs-" + std::to_string(pid) + "-" + std::to_string(number);
    file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0 && errno != EEXIST) break;
  }
  return file;
}

}  // namespace

std::string statistics_directory() {
  const char* value = std::getenv("AATGS_STATS");
  if (value == nullptr || *value == '\0') return "/dev/shm";
  if (std::string_view(value) == "0") return {};
  if (*value == '/') return value;
  throw InputError("AATGS_STATS is '" + std::string(value) +
                   "': give 0 for no statistics, or the directory of the pages as /DIR");
}

StatisticsPage::StatisticsPage(const ContextOptions& options, std::uint32_t port,
                               ExecutorKind executor, std::string_view description) {
  if (!options.publish_statistics) {
    where_ = "not published: the option publish_statistics is off";
    return;
  }
  std::string directory;
  try {
    directory = statistics_directory();
  } catch (const InputError& e) {  // what the context is for goes on without it
    where_ = "not published: " + std::string(e.what());
    return;
  }
  if (directory.empty()) {
    where_ = "not published: AATGS_STATS is 0";
    return;
  }
  identity_.created_unix_ns = unix_now_ns();
  identity_.port = port;
  identity_.ports = options.ports;
  identity_.scope = static_cast<std::uint32_t>(options.scope);
  identity_.config_policy = static_cast<std::uint32_t>(options.config_policy);
  identity_.telemetry_policy = static_cast<std::uint32_t>(options.telemetry_policy);
  copy_text(identity_.program, program_invocation_short_name);
  if (!open(directory)) return;
  kept_ = is_to_be_kept();
  set_description(description);
  write_header();
  ExecutionStatistics nothing_yet;
  nothing_yet.config_ring.slots = options.config_slots;
  nothing_yet.telemetry_ring.slots = options.telemetry_slots;
  nothing_yet.published = true;
  publish(PublishedState::open, executor, nothing_yet);
}

StatisticsPage::~StatisticsPage() {
  if (layout_ == nullptr) return;
  ::munmap(layout_, sizeof(*layout_));
  // A forked child has a copy of this object, but the page is its parent's.
  const bool is_ours = static_cast<std::uint32_t>(::getpid()) == header_.pid;
  if (is_ours && !kept_) ::unlink(where_.c_str());
}

bool StatisticsPage::open(const std::string& directory) {
  header_.pid = static_cast<std::uint32_t>(::getpid());
  remove_old_pages(directory);  // first: they may take the room
  std::string path;
  const int file = create(directory, header_.pid, header_.number, path);
  int error = file < 0 ? errno : 0;
  void* memory = MAP_FAILED;
  if (file >= 0) {
    // Takes the memory now: a write into a full file system would end the process.
    error = ::posix_fallocate(file, 0, sizeof(StatisticsPageLayout));
    if (error == 0) {
      memory = ::mmap(nullptr, sizeof(StatisticsPageLayout), PROT_READ | PROT_WRITE, MAP_SHARED,
                      file, 0);
      if (memory == MAP_FAILED) error = errno;
    }
    ::close(file);
  }
  if (memory == MAP_FAILED) {
    if (file >= 0) ::unlink(path.c_str());
    where_ = "not published: cannot make " + path + ": " + std::generic_category().message(error);
    return false;
  }
  where_ = std::move(path);  // a copy could find no memory, and would leave the file behind
  layout_ = static_cast<StatisticsPageLayout*>(memory);
  return true;
}

void StatisticsPage::write_header() {
  header_.version = StatisticsPageHeader::right_version;
  header_.bytes = sizeof(StatisticsPageLayout);
  header_.pid_namespace = detail::own_pid_namespace();
  header_.process_start = detail::start_of_process(header_.pid);
  copy_words(layout_->identity, identity_);
  copy_words(layout_->header, header_);
  header_.magic = StatisticsPageHeader::right_magic;
  std::atomic_ref(layout_->header.magic).store(header_.magic, std::memory_order_release);
}

void StatisticsPage::set_description(std::string_view text) noexcept {
  copy_text(report_.description, text);
}

void StatisticsPage::set_hang(std::string_view text) noexcept {
  copy_text(report_.hang, text);
}

bool StatisticsPage::is_due() const noexcept {
  if (layout_ == nullptr) return false;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) >= due_;
}

bool StatisticsPage::is_stuck() const noexcept {
  return report_.statistics.in_flight > 0 && host_now_ns() - progress_ns_ >= stuck_after_ns;
}

void StatisticsPage::note_progress(const ExecutionStatistics& s, std::uint64_t now) noexcept {
  const std::uint64_t returned = s.completed + s.failed + s.dropped;
  if (returned != progress_returned_ || s.in_flight == 0) {
    progress_returned_ = returned;
    progress_ns_ = now;
    if (report_.state != PublishedState::failed) report_.hang[0] = '\0';
  }
  const std::uint64_t since = now - rate_since_ns_;
  if (since < static_cast<std::uint64_t>(interval.count())) return;
  if (rate_since_ns_ != 0 && s.submitted >= rate_since_submitted_) {
    report_.submitted_per_second =
        static_cast<double>(s.submitted - rate_since_submitted_) * 1e9 / static_cast<double>(since);
  }
  rate_since_ns_ = now;
  rate_since_submitted_ = s.submitted;
}

void StatisticsPage::publish(PublishedState state, ExecutorKind executor,
                             const ExecutionStatistics& s) noexcept {
  if (layout_ == nullptr || static_cast<std::uint32_t>(::getpid()) != header_.pid) return;
  const std::uint64_t now = host_now_ns();
  report_.state = state;
  report_.executor = static_cast<std::uint32_t>(executor);
  note_progress(s, now);
  report_.statistics = s;
  report_.published_ns = now;
  due_ = std::chrono::nanoseconds(now) + interval;
  ++published_;
  // Nobody sees this report's words before the number of the last one: copy_words releases each.
  copy_words(layout_->reports[published_ % StatisticsPageLayout::report_count], report_);
  std::atomic_ref(layout_->published).store(published_, std::memory_order_release);
}

}  // namespace aatgs
