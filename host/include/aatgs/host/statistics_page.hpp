// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <aatgs/runtime/statistics_page.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// Where pages lie: /dev/shm, or the directory that the environment variable AATGS_STATS names
/// (beginning with '/'). Empty if AATGS_STATS is 0: nothing is published. Throws `InputError` for
/// any other value.
std::string statistics_directory();

/// A context's page of live statistics, named aatgs-PID-NUMBER; removed with this object, unless
/// the environment says AATGS_STATS_KEEP=1, for whoever reads it after the program. If it cannot be
/// had, everything here does nothing, and `where` tells. The first page of a process removes those
/// whose process has been gone for ten minutes. For the thread that uses the context.
class StatisticsPage {
 public:
  StatisticsPage(const ContextOptions& options, std::uint32_t port, ExecutorKind executor,
                 std::string_view description);
  ~StatisticsPage();
  StatisticsPage(const StatisticsPage&) = delete;
  StatisticsPage& operator=(const StatisticsPage&) = delete;

  [[nodiscard]] bool is_published() const { return layout_ != nullptr; }
  /// Whether it stays when this object goes.
  [[nodiscard]] bool is_kept() const { return kept_; }
  /// The page's path, or one sentence on why there is none.
  [[nodiscard]] const std::string& where() const { return where_; }

  /// Whether the last report is a tenth of a second old. By a clock that costs 5 ns.
  [[nodiscard]] bool is_due() const noexcept;
  /// Whether nothing has come back for a second, as far as was published, with configs in flight.
  [[nodiscard]] bool is_stuck() const noexcept;

  /// Go into the next report; the text of a hang until something comes back.
  void set_description(std::string_view text) noexcept;
  void set_hang(std::string_view text) noexcept;
  void publish(PublishedState state, ExecutorKind executor,
               const ExecutionStatistics& statistics) noexcept;

 private:
  bool open(const std::string& directory);
  void write_header();
  void note_progress(const ExecutionStatistics& statistics, std::uint64_t now) noexcept;

  static constexpr std::chrono::nanoseconds interval = std::chrono::milliseconds(100);
  static constexpr std::uint64_t stuck_after_ns = 1'000'000'000;

  std::string where_;
  bool kept_ = false;
  StatisticsPageLayout* layout_ = nullptr;  // shared
  StatisticsPageHeader header_{};
  StatisticsIdentity identity_{};
  StatisticsReport report_{};  // the next one
  std::uint64_t published_ = 0;
  std::chrono::nanoseconds due_{0};
  std::uint64_t rate_since_ns_ = 0, rate_since_submitted_ = 0;
  std::uint64_t progress_ns_ = 0, progress_returned_ = 0;
};

/// What became of the process that a page belongs to.
enum class PageOwner {
  alive,
  dead,        ///< gone, or its pid is another process now
  elsewhere,   ///< in another container (pid namespace): cannot be told from here
  unreadable,  ///< the page cannot be read
};

/// A page as it was read. All texts in it are printable ASCII and end with a 0; a number or
/// enumerator may be anything, as whoever can write to the directory can write a page.
struct PublishedContext {
  std::string name;
  PageOwner owner = PageOwner::unreadable;
  std::string problem;  ///< one sentence why the rest is empty; of a page that can be read: empty
  StatisticsPageHeader header{};
  StatisticsIdentity identity{};
  StatisticsReport report{};
};

/// All pages of the directory, by pid and number. Never maps them: they may be cut meanwhile.
/// Throws `InputError` if the directory cannot be read.
std::vector<PublishedContext> read_statistics_pages(const std::string& directory);

/// Removes the pages of dead processes whose last report is at least this old, or surely from
/// before the machine was last started; returns how many. Throws `InputError` if the directory
/// cannot be read, or a page not removed.
std::size_t remove_dead_statistics_pages(const std::string& directory,
                                         std::chrono::nanoseconds older_than);

std::string_view to_string(PageOwner owner);
std::string_view to_string(PublishedState state);

}  // namespace aatgs
