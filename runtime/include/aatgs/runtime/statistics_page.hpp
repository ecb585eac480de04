// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/execution_statistics.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace aatgs {

/// The page of shared memory in which a context publishes its statistics, so that `aatgs_stats` can
/// read them from outside and after a crash. Little-endian, every number aligned to its size.
///
/// There are two reports; number n goes into `reports[n % 2]`, then `published` becomes n. So there
/// is always a whole one, whenever the writer dies. A reader copies the one that `published` names
/// and takes it if `published` is still the same: the writer was then at most in the other one.

/// The same in all versions: enough to tell whose page it is.
struct StatisticsPageHeader {
  static constexpr std::uint64_t right_magic = 0x3153'5441'5453'4741;  // "AGSTATS1"
  static constexpr std::uint32_t right_version = 2;

  std::uint64_t magic;  ///< written last when the page is made
  std::uint32_t version;
  std::uint32_t bytes;          ///< of the whole page
  std::uint64_t pid_namespace;  ///< inode; in another one the pid means another process
  std::uint64_t process_start;  ///< clock ticks since boot: tells a pid that is used again
  std::uint32_t pid;
  std::uint32_t number;  ///< of the page in its process, as in its name
};

/// What stays as it is while the context lives.
struct StatisticsIdentity {
  std::uint64_t created_unix_ns;
  std::uint32_t port;
  std::uint32_t ports;
  std::uint32_t scope;             ///< `Scope`
  std::uint32_t config_policy;     ///< `ConfigPolicy`
  std::uint32_t telemetry_policy;  ///< `TelemetryPolicy`
  std::uint32_t padding;
  char program[64];  ///< name of the executable, cut
};

enum class PublishedState : std::uint32_t { open, closed, failed };

/// What is published again and again. Texts end with a 0 and are cut to fit.
struct StatisticsReport {
  std::uint64_t published_ns;  ///< the machine's monotonic clock: the heartbeat
  std::uint32_t executor;      ///< `ExecutorKind`
  PublishedState state;
  double submitted_per_second;  ///< over the last 100 ms or more before the heartbeat
  ExecutionStatistics statistics;
  char description[256];  ///< what it runs on
  char hang[1024];        ///< configs that are not back after a second without any; or the failure
};

struct StatisticsPageLayout {
  static constexpr std::uint32_t report_count = 2;

  StatisticsPageHeader header;
  StatisticsIdentity identity;
  std::uint64_t published;  ///< number of the last report; 0: none yet
  StatisticsReport reports[report_count];
};

// Whoever changes one of these sizes, or what is in them, raises the version.
static_assert(sizeof(ExecutionStatistics) == 240 && sizeof(StatisticsPageHeader) == 40);
static_assert(sizeof(StatisticsIdentity) == 96 && sizeof(StatisticsReport) == 1544);
static_assert(std::is_trivially_copyable_v<StatisticsPageLayout>);

/// Why this is not the beginning of a page that this version can read; empty if it is. `bytes`:
/// of the file.
inline std::string why_no_statistics_page(const StatisticsPageHeader& header, std::size_t bytes) {
  using H = StatisticsPageHeader;
  if (bytes < sizeof(H) || header.magic != H::right_magic) {
    return "this is no statistics page";
  }
  if (header.version != H::right_version) {
    return "layout version " + std::to_string(header.version) + ", this program reads version " +
           std::to_string(H::right_version) + ": use the aatgs_stats of that library";
  }
  if (header.bytes != sizeof(StatisticsPageLayout) || bytes < header.bytes) {
    return "the page has " + std::to_string(bytes) + " bytes instead of " +
           std::to_string(sizeof(StatisticsPageLayout)) + ": it was cut";
  }
  return {};
}

}  // namespace aatgs
