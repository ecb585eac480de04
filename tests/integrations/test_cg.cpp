// SPDX-License-Identifier: Apache-2.0
// The conjugate gradient suite on host threads, and the step by itself.
#include <aatgs/host/cpu_group.hpp>
#include <aatgs/integrations/linear/cg_chip_step.hpp>

#include "cg_suite.hpp"

namespace aatgs::linear::test {

std::vector<Variant> executors() {
  std::vector<Variant> all;
  for (const std::uint32_t threads : {1U, 2U, 3U}) {
    CgOptions options;
    options.context.executor = ExecutorKind::cpu;
    options.context.cpu_threads = threads;
    all.emplace_back("threads: " + std::to_string(threads), options);
  }
  return all;
}

namespace {

/// A 2-row matrix cut up for one block by hand, to be run without a context.
struct TinyChip {
  std::vector<ChipPart> parts{{0, 2, 0, 0, 0, 1, 0, 2, 0}};
  std::vector<double> values = std::vector<double>(64, 0.0);
  std::vector<std::uint16_t> columns = std::vector<std::uint16_t>(64, 0);
  std::vector<std::uint32_t> offsets{0, 2};
  std::vector<double> b{1, 2}, x{0, 0}, r{0, 0}, p{0, 0}, s{0, 0}, w{0, 0, 0, 0};
  std::vector<CgSums> shares = std::vector<CgSums>(2);
  CgScalars scalars;

  TinyChip() {
    values[0] = 4;  // [4 1; 1 3]
    values[32] = 1;
    columns[32] = 1;
    values[1] = 1;
    values[33] = 3;
    columns[33] = 1;
  }
  CgChipStep step() {
    CgChip chip{};
    chip.parts = parts.data();
    chip.part_count = 1;
    chip.lane_shift = 0;
    chip.scratch_bytes = parts[0].bytes();
    chip.values = values.data();
    chip.columns = columns.data();
    chip.offsets = offsets.data();
    chip.b = b.data();
    chip.x = x.data();
    chip.r = r.data();
    chip.p = p.data();
    chip.s = s.data();
    chip.w = w.data();
    chip.shares = shares.data();
    chip.n = 2;
    chip.scalars = &scalars;
    return {chip};
  }
};

}  // namespace

TEST_CASE("a kernel that parks in mid-solve forgets where it was") {
  const std::atomic<bool> abort = false;
  CpuGroupShared shared(1, abort);
  std::vector<std::vector<double>> results;
  for (const bool parks : {false, true}) {
    TinyChip tiny;
    const CgChipStep step = tiny.step();
    auto group = std::make_unique<CpuGroup>(shared, 0, step.scratch_bytes());
    step.enter(*group);
    CgProgress progress{};
    step(*group, {1e-14, 1, 1}, progress);
    CHECK(progress.done == 1);
    CHECK(progress.converged == 0);
    if (parks) {
      step.leave(*group);
      group = std::make_unique<CpuGroup>(shared, 0, step.scratch_bytes());
      step.enter(*group);
    }
    step(*group, {1e-14, 9, 0}, progress);
    CHECK(progress.converged == 1);
    CHECK(progress.iterations == 2);
    results.push_back(tiny.x);
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0][0] == doctest::Approx(1.0 / 11));
  CHECK(results[0][1] == doctest::Approx(7.0 / 11));
}

TEST_CASE("a step on another number of blocks than planned reads beyond its parts") {
  const std::atomic<bool> abort = false;
  CpuGroupShared shared(2, abort);  // its threads never meet: the step must return before a barrier
  TinyChip tiny;
  const CgChipStep step = tiny.step();
  CpuGroup group(shared, 1, step.scratch_bytes());
  step.enter(group);
  CgProgress progress{};
  step(group, {0, 1, 1}, progress);
  step.leave(group);
  CHECK(shared.failed);
  CHECK(shared.code == static_cast<std::uint32_t>(CgFailure::wrong_block_count));
}

}  // namespace aatgs::linear::test
