// SPDX-License-Identifier: Apache-2.0
// The reader's side of the statistics pages.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <system_error>
#include <tuple>

#include "process_identity.hpp"

namespace aatgs {

namespace {

using Layout = StatisticsPageLayout;

std::string message_of(int error) {
  return std::generic_category().message(error);
}

/// Takes decimal digits off the front.
bool take_number(std::string_view& text, std::uint32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// Whether a file is named like a page: aatgs-PID-NUMBER.
bool parse_name(std::string_view name, StatisticsPageHeader& header) {
  constexpr std::string_view prefix = "aatgs-";
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  if (!take_number(name, header.pid) || !name.starts_with('-')) return false;
  name.remove_prefix(1);
  return take_number(name, header.number) && name.empty();
}

class File {
 public:
  explicit File(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)),
        error_(errno) {}
  ~File() {
    if (number_ >= 0) ::close(number_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::size_t regular_bytes() const {
    struct stat facts {};
    const bool regular = ::fstat(number_, &facts) == 0 && S_ISREG(facts.st_mode);
    return regular ? static_cast<std::size_t>(facts.st_size) : 0;
  }
  template <class T>
  bool read(T& to, std::size_t offset) const {
    return ::pread(number_, &to, sizeof(T), static_cast<off_t>(offset)) == ssize_t{sizeof(T)};
  }

 private:
  int number_;
  int error_;
};

template <std::size_t Size>
void make_printable(char (&text)[Size]) {
  text[Size - 1] = '\0';
  for (char* c = text; *c != '\0'; ++c) {
    if (*c < ' ' || *c > '~') *c = '?';
  }
}

std::string read_report(const File& file, StatisticsReport& report) {
  constexpr int most_tries = 1000;  // a report is written in a microsecond, ten times a second
  for (int i = 0; i < most_tries; ++i) {
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    if (!file.read(before, offsetof(Layout, published))) return "the page was cut";
    if (before == 0) return "nothing has been published yet";
    const std::size_t at =
        offsetof(Layout, reports) + before % Layout::report_count * sizeof(StatisticsReport);
    if (!file.read(report, at)) return "the page was cut";
    if (!file.read(after, offsetof(Layout, published))) return "the page was cut";
    report.statistics.published = true;  // whatever byte is there
    if (before == after) return {};
  }
  return "the page is written all the time";
}

PageOwner owner_of(const StatisticsPageHeader& header) {
  const std::uint64_t here = detail::own_pid_namespace();
  if (here == 0 || header.pid_namespace != here) return PageOwner::elsewhere;
  const std::uint64_t start = detail::start_of_process(header.pid);
  return start != 0 && start == header.process_start ? PageOwner::alive : PageOwner::dead;
}

/// Fills in all but the name. False: it is gone meanwhile.
bool read_page(const std::string& path, PublishedContext& page) {
  const File file(path);
  if (!file.is_open()) {
    page.problem = message_of(file.error());
    return file.error() != ENOENT;
  }
  StatisticsPageHeader header{};
  const std::size_t bytes = file.regular_bytes();
  const bool has_header = bytes >= sizeof(header) && file.read(header, 0);
  page.problem = why_no_statistics_page(header, has_header ? bytes : 0);
  if (header.magic != StatisticsPageHeader::right_magic) return true;
  const bool is_named_so = header.pid == page.header.pid && header.number == page.header.number;
  if (!is_named_so) {
    page.problem = "this is the page of another process, " + std::to_string(header.pid);
    return true;
  }
  page.header = header;
  const PageOwner owner = owner_of(header);
  if (page.problem.empty() && !file.read(page.identity, offsetof(Layout, identity))) {
    page.problem = "the page was cut";
  }
  if (page.problem.empty()) page.problem = read_report(file, page.report);
  make_printable(page.identity.program);
  make_printable(page.report.description);
  make_printable(page.report.hang);
  // A dead process' page of another version can be cleaned up all the same.
  if (page.problem.empty() || owner == PageOwner::dead) page.owner = owner;
  return true;
}

}  // namespace

std::vector<PublishedContext> read_statistics_pages(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), &::closedir);
  if (entries == nullptr) {
    throw InputError("cannot read the directory of statistics pages '" + directory +
                     "': " + message_of(errno) + "; AATGS_STATS or --directory names another one");
  }
  std::vector<PublishedContext> pages;
  while (const dirent* entry = ::readdir(entries.get())) {
    PublishedContext page;
    page.name = entry->d_name;
    if (!parse_name(page.name, page.header)) continue;
    if (read_page(directory + "/" + page.name, page)) pages.push_back(std::move(page));
  }
  std::sort(pages.begin(), pages.end(), [](const auto& a, const auto& b) {
    return std::tie(a.header.pid, a.header.number) < std::tie(b.header.pid, b.header.number);
  });
  return pages;
}

std::size_t remove_dead_statistics_pages(const std::string& directory,
                                         std::chrono::nanoseconds older_than) {
  std::size_t count = 0;
  const std::uint64_t now = host_now_ns();
  for (const PublishedContext& page : read_statistics_pages(directory)) {
    if (page.owner != PageOwner::dead) continue;
    // The clock began anew with the machine: a report from later than now is one from before that.
    const bool is_older = page.report.published_ns > now;
    const std::uint64_t age = now - page.report.published_ns;
    if (!is_older && age < static_cast<std::uint64_t>(older_than.count())) continue;
    const std::string path = directory + "/" + page.name;
    if (::unlink(path.c_str()) == 0) {
      ++count;
    } else if (errno != ENOENT) {
      throw InputError("cannot remove '" + path + "': " + message_of(errno));
    }
  }
  return count;
}

std::string_view to_string(PageOwner owner) {
  switch (owner) {
    case PageOwner::alive:
      return "alive";
    case PageOwner::dead:
      return "dead";
    case PageOwner::elsewhere:
      return "elsewhere";
    case PageOwner::unreadable:
      break;
  }
  return "unreadable";
}

std::string_view to_string(PublishedState state) {
  switch (state) {
    case PublishedState::open:
      return "open";
    case PublishedState::closed:
      return "closed";
    case PublishedState::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace aatgs
