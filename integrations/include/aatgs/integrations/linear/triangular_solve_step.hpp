// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_worker_memory.hpp>
#include <aatgs/integrations/linear/triangular_protocol.hpp>
#include <aatgs/runtime/task_lanes.hpp>
#include <bit>
#include <cuda/atomic>

#if defined(__CUDACC__)
#include <aatgs/integrations/linear/triangular_block.cuh>
#endif

namespace aatgs::linear {

/// Solves with a sparse triangle as its values become known, without levels and their barriers.
///
/// The rows lie in chunks of consecutive ones, a block each. Within a chunk values go through
/// scratch, and a value is its own flag: threads look at the words they need until none says "not
/// yet". Values that other chunks need go through GPU memory, in one 16-byte word with the number
/// of the solve; some warps of the reading block fetch them ahead of need. A row waits only for
/// rows of a lower level, all take theirs by level, and all blocks are there at once: so the first
/// unsolved row can always go on.
///
/// On an H200 a barrier of the grid costs 0.9 us, and a word from block to block as much: 1.8 ms
/// at 1999 levels, those of a grid of 1000 x 1000 points. In scratch it takes 0.14 us, and with
/// chunks of 20 grid lines only 49 steps of the longest chain cross blocks: 0.32 ms.
struct TriangularStep {
  static constexpr unsigned block_threads = 384;

  std::size_t scratch;  ///< the most of all factors that it is to solve with

  [[nodiscard]] std::size_t scratch_bytes() const { return scratch; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const TriangularRun& run,
                                    TriangularDone& out) const {
    const TriangularView& factor = run.factor;
    if (group.block_count() != factor.parts || factor.scratch_bytes > scratch) {
      group.fail(static_cast<std::uint32_t>(TriangularFailure::other_shape));
      return;
    }
    const std::uint64_t epoch = factor.epochs[group.block_index()] + 1;
    group.sync_block();
    if (group.block_rank() == 0) factor.epochs[group.block_index()] = epoch;
#if defined(__CUDA_ARCH__)
    detail::TriangularBlock<Group, block_threads>(group, run, epoch).run();
#else
    solve_rows(group, run, epoch);
#endif
    if (group.rank() == 0) out.solves = epoch;
  }

 private:
  /// On the host a thread takes its rows one by one.
  template <class Group>
  static void solve_rows(Group& group, const TriangularRun& run, std::uint64_t epoch) {
    const TriangularView& factor = run.factor;
    const std::uint64_t begun = worker_now_ns();
    auto* values = group.template scratch<double>() + TriangularView::scratch_head / sizeof(double);
    values[0] = 0;
    for (std::uint32_t c = group.block_index(); c < factor.chunk_count; c += factor.parts) {
      const TriangularChunk& chunk = factor.chunks[c];
      const std::uint32_t first = chunk.first_batch * 32;
      for (std::uint32_t at = first; at < first + chunk.batches * 32; ++at) {
        if (factor.metas[at] == TriangularView::no_row) continue;
        if (!solve_row(group, run, epoch, begun, chunk, at, values)) return;
      }
    }
  }

  template <class Group>
  static bool solve_row(Group& group, const TriangularRun& run, std::uint64_t epoch,
                        std::uint64_t begun, const TriangularChunk& chunk, std::uint32_t at,
                        double* values) {
    const TriangularView& factor = run.factor;
    const std::uint32_t own = factor.metas[at] & TriangularView::row_mask;
    const std::uint32_t row = chunk.first_row + own;
    const std::uint32_t place = factor.reversed ? factor.rows - 1 - row : row;
    double sum = run.b[place] * factor.scales[at];
    bool well = true;
    const auto add = [&](std::uint32_t code, double by) {
      if (code <= chunk.rows) {
        sum += by * values[code];
        return;
      }
      const std::uint32_t other =
          (code & TriangularView::far_code) != 0
              ? code & ~TriangularView::far_code
              : factor.externals[chunk.first_external + code - chunk.rows - 1];
      double value = 0;
      well = well && await(group, factor, other, epoch, begun, value);
      sum += by * value;
    };
    for (std::uint32_t e = factor.early_begin[at]; e < factor.early_begin[at + 1]; ++e) {
      add(factor.early_codes[e], factor.early_factors[e]);
    }
    for (std::uint32_t k = 0; k < factor.width; ++k) {
      const std::size_t entry = (std::size_t{at / 32} * factor.width + k) * 32 + at % 32;
      add(factor.codes[entry], factor.factors[entry]);
    }
    values[own + 1] = run.x[place] = sum;
    if ((factor.metas[at] & TriangularView::exported) != 0) {
      store_granule(factor.mailbox + row, {std::bit_cast<std::uint64_t>(sum), epoch});
    }
    return well;
  }

  /// Waits for a row of another chunk; false: no longer.
  template <class Group>
  static bool await(Group& group, const TriangularView& factor, std::uint32_t row,
                    std::uint64_t epoch, std::uint64_t begun, double& value) {
    for (std::uint32_t looks = 1;; ++looks) {
      const Granule letter = load_granule(factor.mailbox + row);
      if (letter.high == epoch) {
        value = std::bit_cast<double>(letter.low);
        return true;
      }
      KeepWaiting{}();
      if (looks % 64 == 0 && gives_up(group, factor, epoch, begun)) return false;
    }
  }

  template <class Group>
  static bool gives_up(Group& group, const TriangularView& factor, std::uint64_t epoch,
                       std::uint64_t begun) {
    const cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device> given_up(*factor.given_up);
    if (given_up.load(cuda::memory_order_relaxed) == epoch) return true;
    const bool stops = group.stop_requested();
    if (!stops && worker_now_ns() - begun < factor.deadline_ns) return false;
    group.fail(static_cast<std::uint32_t>(stops ? TriangularFailure::stopped
                                                : TriangularFailure::deadline));
    given_up.store(epoch, cuda::memory_order_relaxed);
    return true;
  }
};

}  // namespace aatgs::linear
