// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "held_step.hpp"

namespace aatgs {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// An empty directory for pages, for as long as it lives.
class Pages {
 public:
  Pages() {
    std::string name = (fs::temp_directory_path() / "aatgs-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    setenv("AATGS_STATS", name.c_str(), 1);
  }
  ~Pages() {
    unsetenv("AATGS_STATS");
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::vector<PublishedContext> read() const { return read_statistics_pages(path_); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), {}));
  }

 private:
  fs::path path_;
};

StatisticsPage make_page(const ContextOptions& options = {}) {
  return {options, 0, ExecutorKind::cpu, "a test"};
}

/// All numbers tell the same, and so does the text.
void publish_number(StatisticsPage& page, std::uint64_t n) {
  ExecutionStatistics s;
  s.submitted = s.completed = s.parks = s.taken_to_finished.max_ns = n;
  s.config_ring.mean = s.telemetry_ring.peak = static_cast<double>(n);
  page.set_description(std::string(200, static_cast<char>('a' + n % 26)));
  page.publish(PublishedState::open, ExecutorKind::cpu, s);
}
bool is_whole(const StatisticsReport& report) {
  const ExecutionStatistics& s = report.statistics;
  const std::uint64_t n = s.submitted;
  return s.completed == n && s.parks == n && s.taken_to_finished.max_ns == n &&
         s.config_ring.mean == static_cast<double>(n) &&
         s.telemetry_ring.peak == static_cast<double>(n) &&
         report.description == std::string(200, static_cast<char>('a' + n % 26));
}

struct NextStep {
  template <class Group>
  void operator()(Group& group, const int& config, int& out) const {
    if (group.rank() == 0) out = config + 1;
  }
};

ContextOptions one_thread() {
  ContextOptions options;
  options.executor = ExecutorKind::cpu;
  options.cpu_threads = 1;
  options.config_slots = 64;
  options.telemetry_slots = 16;
  return options;
}

/// Runs `body` in a process of its own, which then ends by SIGKILL.
template <class Body>
void run_and_kill(const Body& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    body();
    raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

/// Changes bytes of a page's file.
template <class T>
void overwrite(const fs::path& file, std::size_t offset, const T& value) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(static_cast<std::streamoff>(offset));
  out.write(reinterpret_cast<const char*>(&value), sizeof(value));
  REQUIRE(out.good());
}

TEST_CASE("statistics page: a reader gets a torn report while the next one is written") {
  const Pages pages;
  StatisticsPage page = make_page();
  publish_number(page, 1);
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (std::uint64_t n = 2; !over; ++n) {
      publish_number(page, n);
      if (n % 16 != 0) continue;  // so many while one is read, then a chance for the reader
      for (const std::uint64_t begin = host_now_ns(); host_now_ns() - begin < 20'000;) {
      }
    }
  });
  std::uint64_t torn = 0;
  std::set<std::uint64_t> seen;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (seen.size() < 2000 && std::chrono::steady_clock::now() < end) {
    const std::vector<PublishedContext> all = pages.read();
    if (all.size() != 1 || !all[0].problem.empty()) continue;  // it may be faster than any reader
    seen.insert(all[0].report.statistics.submitted);
    if (!is_whole(all[0].report)) ++torn;
  }
  over = true;
  writer.join();
  CHECK(torn == 0);
  CHECK(seen.size() == 2000);
}

TEST_CASE(
    "statistics page: a writer that dies in the middle of a report takes the last one along") {
  const Pages pages;
  StatisticsPage page = make_page();
  publish_number(page, 7);
  publish_number(page, 8);
  // Where report 4 (the first was made with the page) would now be, half done.
  const std::size_t next = offsetof(StatisticsPageLayout, reports) + 0 * sizeof(StatisticsReport);
  overwrite(page.where(), next + offsetof(StatisticsReport, statistics), std::uint64_t{99});
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(all[0].report.statistics.submitted == 8);
  CHECK(is_whole(all[0].report));
}

TEST_CASE("statistics page: after a crash it cannot be read, or is taken for alive") {
  const Pages pages;
  run_and_kill([] {
    auto ctx = make_cpu_context<int, int>(NextStep{}, one_thread());
    for (int i = 0; i < 10; ++i) (void)ctx.execute(i);
    (void)ctx.flush(10s);
    (void)ctx.stats();
    raise(SIGKILL);
  });
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(all[0].problem.empty());
  CHECK(all[0].owner == PageOwner::dead);
  CHECK(all[0].report.statistics.submitted == 10);
  CHECK(all[0].report.statistics.config_ring.slots == 64);
  CHECK(std::string(all[0].identity.program).size() > 0);
}

TEST_CASE("statistics page: those of dead processes stay for ever, or living ones are removed") {
  const Pages pages;
  const StatisticsPage own = make_page();
  const auto leave_one = [] { run_and_kill([] { (void)new StatisticsPage(make_page()); }); };
  leave_one();
  leave_one();
  CHECK(pages.files() == 3);
  CHECK(remove_dead_statistics_pages(pages.path(), 10min) == 0);  // too young to be lost already
  CHECK(remove_dead_statistics_pages(pages.path(), 0s) == 2);
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(all[0].owner == PageOwner::alive);
}

TEST_CASE("statistics page: one from before the machine was started again stays for days") {
  const Pages pages;
  run_and_kill([] { (void)new StatisticsPage(make_page()); });
  const std::size_t last =
      offsetof(StatisticsPageLayout, reports) + sizeof(StatisticsReport);  // report 1
  const std::uint64_t later_than_now = host_now_ns() + 1'000'000'000'000;
  overwrite(pages.path() / pages.read().at(0).name, last + offsetof(StatisticsReport, published_ns),
            later_than_now);
  CHECK(remove_dead_statistics_pages(pages.path(), 10min) == 1);
}

TEST_CASE("statistics page: the first context of a process does not remove what is long dead") {
  if (host_now_ns() < 11 * 60 * std::uint64_t{1'000'000'000}) {
    MESSAGE("the clock is younger than what is long dead, so this cannot be tried");
    return;
  }
  const Pages pages;
  run_and_kill([] { (void)new StatisticsPage(make_page()); });
  const auto dead = pages.read();
  REQUIRE(dead.size() == 1);
  const std::size_t reports = offsetof(StatisticsPageLayout, reports);
  const std::size_t last = reports + sizeof(StatisticsReport);  // report 1
  overwrite(pages.path() / dead[0].name, last + offsetof(StatisticsReport, published_ns),
            std::uint64_t{1});
  bool is_pid_used_again = false;
  SUBCASE("its pid is new") {}
  SUBCASE("an earlier process with its pid left page 0") {
    is_pid_used_again = true;
  }
  // A process that has made no page yet: this program, started anew.
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (is_pid_used_again) {
      std::ofstream(pages.path() / ("aatgs-" + std::to_string(getpid()) + "-0")) << "left";
    }
    execl("/proc/self/exe", "first", "--test-case=*neither there nor says why", "--out=/dev/null",
          nullptr);
    _exit(127);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  CHECK_FALSE(fs::exists(pages.path() / dead[0].name));
}

TEST_CASE("statistics page: it is neither there nor says why") {
  const StatisticsPage page = make_page();
  CHECK(page.is_published() == fs::exists(page.where()));
  CHECK(page.is_published() != page.where().starts_with("not published: cannot make "));
}

TEST_CASE("statistics page: a pid that is used again takes a dead process' page for its own") {
  const Pages pages;
  std::string name;
  {
    const StatisticsPage page = make_page();
    name = page.where();
    fs::copy_file(name, name + ".kept");
  }
  const std::uint32_t number =
      static_cast<std::uint32_t>(std::stoul(name.substr(name.rfind('-') + 1)));
  // What an earlier process with this pid left under the next names.
  for (const std::uint32_t next : {number + 1, number + 2}) {
    const std::string left = name.substr(0, name.rfind('-') + 1) + std::to_string(next);
    fs::copy_file(name + ".kept", left);
    overwrite(left, offsetof(StatisticsPageHeader, process_start), std::uint64_t{1});
    overwrite(left, offsetof(StatisticsPageHeader, number), next);
  }
  fs::remove(name + ".kept");
  const StatisticsPage page = make_page();
  CHECK(page.is_published());
  const auto all = pages.read();
  REQUIRE(all.size() == 3);
  CHECK(all[0].owner == PageOwner::dead);
  CHECK(all[1].owner == PageOwner::dead);
  CHECK(all[2].owner == PageOwner::alive);
}

TEST_CASE("statistics page: a process in another container is taken for dead") {
  const Pages pages;
  const StatisticsPage page = make_page();
  overwrite(page.where(), offsetof(StatisticsPageHeader, pid_namespace), std::uint64_t{1});
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(all[0].owner == PageOwner::elsewhere);
  CHECK(remove_dead_statistics_pages(pages.path(), 0s) == 0);
}

TEST_CASE("statistics page: another version, a cut page or garbage crashes or fools the reader") {
  const Pages pages;
  const StatisticsPage page = make_page();
  const auto problem = [&] {
    const auto all = pages.read();
    REQUIRE(all.size() == 1);
    CHECK(all[0].owner == PageOwner::unreadable);
    return all[0].problem;
  };
  overwrite(page.where(), offsetof(StatisticsPageHeader, version), std::uint32_t{7});
  CHECK(problem() ==
        "layout version 7, this program reads version 2: use the aatgs_stats of that "
        "library");
  overwrite(page.where(), offsetof(StatisticsPageHeader, version),
            StatisticsPageHeader::right_version);
  overwrite(page.where(), offsetof(StatisticsPageHeader, pid), std::uint32_t{1});
  CHECK(problem() == "this is the page of another process, 1");
  overwrite(page.where(), offsetof(StatisticsPageHeader, pid),
            static_cast<std::uint32_t>(getpid()));
  REQUIRE(pages.read()[0].problem.empty());
  overwrite(page.where(), offsetof(StatisticsPageLayout, published), std::uint64_t{0});
  CHECK(problem() == "nothing has been published yet");
  fs::resize_file(page.where(), 1000);
  CHECK(problem().find("1000 bytes instead of") != std::string::npos);
  fs::resize_file(page.where(), 0);
  CHECK(problem() == "this is no statistics page");
  std::ofstream(page.where()) << std::string(9000, 'x');
  CHECK(problem() == "this is no statistics page");
  fs::remove(page.where());
  REQUIRE(mkfifo(page.where().c_str(), 0600) == 0);
  CHECK(problem() == "this is no statistics page");
  fs::remove(page.where());
  fs::create_symlink("the page", page.where());
  CHECK(problem().find("symbolic links") != std::string::npos);
}

TEST_CASE("statistics page: texts of a page reach the terminal with escapes, or without an end") {
  const Pages pages;
  const StatisticsPage page = make_page();
  char hostile[sizeof(StatisticsReport::hang)];
  std::memset(hostile, '\x1b', sizeof(hostile));
  const std::size_t report = offsetof(StatisticsPageLayout, reports) + sizeof(StatisticsReport);
  overwrite(page.where(), report + offsetof(StatisticsReport, hang), hostile);
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(std::string(all[0].report.hang) == std::string(sizeof(hostile) - 1, '?'));
}

TEST_CASE("statistics page: files that only look like pages are read or removed") {
  const Pages pages;
  for (const char* name : {"aatgs-", "aatgs-1", "aatgs-1-", "aatgs-1-2-3", "aatgs-x-1",
                           "aatgs--1-1", "aatgs-1-1.kept", "aatgs-99999999999-1"}) {
    std::ofstream(pages.path() / name) << "mine";
  }
  CHECK(pages.read().empty());
  std::ofstream(pages.path() / "aatgs-4000000-1") << "mine";  // no process, but no page either
  CHECK(pages.read().size() == 1);
  CHECK(remove_dead_statistics_pages(pages.path(), 0s) == 0);
  CHECK(pages.files() == 9);
}

TEST_CASE("statistics page: two contexts, or two ports, share a page") {
  const Pages pages;
  ContextOptions options = one_thread();
  auto first = make_cpu_context<int, int>(NextStep{}, options);
  options.ports = options.cpu_threads = 2;
  options.scope = Scope::block;
  auto second = make_cpu_context<int, int>(NextStep{}, options);
  for (int i = 0; i < 3; ++i) (void)first.queue(i);
  for (int i = 0; i < 5; ++i) (void)second.port(1).queue(i);
  (void)first.stats();
  (void)second.port(1).stats();
  const auto all = pages.read();
  REQUIRE(all.size() == 3);
  CHECK(all[0].report.statistics.submitted == 3);
  CHECK(all[1].report.statistics.submitted == 0);
  CHECK(all[2].report.statistics.submitted == 5);
  CHECK(all[2].identity.port == 1);
  CHECK(all[2].identity.ports == 2);
  CHECK(first.published_as() == (pages.path() / all[0].name).string());
}

TEST_CASE("statistics page: a context that ends leaves its page; a moved one takes it along") {
  const Pages pages;
  {
    auto ctx = make_cpu_context<int, int>(NextStep{}, one_thread());
    auto moved = std::move(ctx);
    CHECK(pages.files() == 1);
    CHECK(moved.shutdown(StopMode::drain));
    const auto all = pages.read();
    REQUIRE(all.size() == 1);
    CHECK(all[0].report.state == PublishedState::closed);
  }
  CHECK(pages.files() == 0);
}

TEST_CASE("statistics page: one that is to be kept goes, or lacks what came last") {
  const Pages pages;
  setenv("AATGS_STATS_KEEP", "1", 1);
  const std::uint64_t before = host_now_ns();
  {
    ContextOptions options = one_thread();
    options.ports = options.cpu_threads = 2;
    auto ctx = make_cpu_context<int, int>(NextStep{}, options);
    auto moved = std::move(ctx);
    for (int i = 0; i < 5; ++i) (void)moved.execute_batch(std::array{i});
    for (int i = 0; i < 3; ++i) (void)moved.port(1).execute_batch(std::array{i});
  }
  unsetenv("AATGS_STATS_KEEP");
  const std::uint64_t after = host_now_ns();
  const auto all = pages.read();
  REQUIRE(all.size() == 2);
  for (const PublishedContext& page : all) {
    const ExecutionStatistics& s = page.report.statistics;
    CHECK(page.report.state == PublishedState::closed);
    CHECK(s.completed == (page.identity.port == 0 ? 5 : 3));
    CHECK(before <= s.first_queued_ns);
    CHECK(s.first_queued_ns <= s.last_collected_ns);
    CHECK(s.last_collected_ns <= after);
  }
}

TEST_CASE("statistics page: a forked child removes its parent's page, or writes into it") {
  const Pages pages;
  const StatisticsPage page = make_page();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto& copy = const_cast<StatisticsPage&>(page);
    publish_number(copy, 5);
    copy.~StatisticsPage();
    _exit(0);
  }
  REQUIRE(waitpid(child, nullptr, 0) == child);
  const auto all = pages.read();
  REQUIRE(all.size() == 1);
  CHECK(all[0].report.statistics.submitted == 0);
}

TEST_CASE("statistics page: a context where none can be made fails, or does not say so") {
  const Pages pages;
  const auto where = [](bool publish) {
    ContextOptions options = one_thread();
    options.publish_statistics = publish;
    auto ctx = make_cpu_context<int, int>(NextStep{}, options);
    CHECK(ctx.execute_batch(std::array{1}).front().telemetry == 2);
    CHECK(!ctx.stats().published);
    return ctx.published_as();
  };
  CHECK(where(false) == "not published: the option publish_statistics is off");
  setenv("AATGS_STATS", "/no/such/directory", 1);
  CHECK(where(true).find("cannot make /no/such/directory/aatgs-") != std::string::npos);
  setenv("AATGS_STATS", "0", 1);
  CHECK(where(true) == "not published: AATGS_STATS is 0");
  for (const char* value : {"off", "rel", "./rel", "00"}) {
    setenv("AATGS_STATS", value, 1);
    CHECK(where(true).starts_with("not published: AATGS_STATS is '" + std::string(value) + "'"));
    CHECK_THROWS_AS(statistics_directory(), InputError);
  }
  CHECK(pages.files() == 0);
}

TEST_CASE("statistics page: a full file system ends the process, or leaves an empty page") {
  const Pages pages;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1000, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  {
    const StatisticsPage page = make_page();
    CHECK(!page.is_published());
    CHECK(page.where().find("File too large") != std::string::npos);
  }
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(pages.files() == 0);
}

/// Whether `holds` comes true while `act` is called.
template <class Act, class Holds>
bool comes_true(const Act& act, const Holds& holds) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < end) {
    act();
    if (holds()) return true;
  }
  return false;
}

TEST_CASE("statistics page: it stays as it was while a program only queues and polls") {
  const Pages pages;
  auto ctx = make_cpu_context<int, int>(NextStep{}, one_thread());
  CHECK(comes_true(
      [&] {
        for (int i = 0; i < 1000; ++i) {
          (void)ctx.try_queue(i);
          (void)ctx.poll();
        }
      },
      [&] {
        const StatisticsReport report = pages.read().at(0).report;
        return report.statistics.completed > 0 && report.submitted_per_second > 0;
      }));
}

TEST_CASE("statistics page: a wait that hangs shows no heartbeat and no hang report") {
  const Pages pages;
  std::atomic<bool> let_go = false;
  auto ctx = make_cpu_context<int, int>(test::HeldStep{&let_go}, one_thread());
  (void)ctx.queue(1);
  CHECK(comes_true([&] { (void)ctx.wait(50ms); },
                   [&] { return pages.read().at(0).report.hang[0] != '\0'; }));
  const auto page = pages.read().at(0);
  CHECK(page.report.statistics.in_flight == 1);
  CHECK(host_now_ns() - page.report.published_ns < 10'000'000'000U);
  let_go = true;
  CHECK(ctx.flush(10s));
  (void)ctx.stats();
  CHECK(pages.read().at(0).report.hang[0] == '\0');
}

}  // namespace
}  // namespace aatgs
