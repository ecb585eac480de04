// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/primitives.cuh>
#include <aatgs/integrations/linear/triangular_protocol.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs::linear::detail {

/// A value that has not come yet: a NaN that arithmetic does not make.
inline constexpr std::uint64_t not_yet = ~std::uint64_t{0};

__device__ inline std::uint64_t look_shared(std::uint32_t address) {
  std::uint64_t value;
  asm volatile("ld.volatile.shared.u64 %0, [%1];" : "=l"(value) : "r"(address) : "memory");
  return value;
}
__device__ inline void put_shared(std::uint32_t address, std::uint64_t value) {
  asm volatile("st.volatile.shared.u64 [%0], %1;" ::"r"(address), "l"(value) : "memory");
}

/// What one lane needs of its row, beforehand.
template <unsigned width>
struct TriangularRow {
  double factors[width];
  std::uint32_t codes[width];
  double scale;
  double b;
  std::uint32_t meta;
};

/// The part of a block in one solve: most warps compute, batch by batch, the others fetch.
template <class Group, unsigned threads>
class TriangularBlock {
 public:
  __device__ TriangularBlock(Group& group, const TriangularRun& run, std::uint64_t epoch)
      : group_(group),
        factor_(run.factor),
        b_(run.b),
        x_(run.x),
        epoch_(epoch),
        begun_ns_(device::timer_ns()),
        lane_(threadIdx.x % 32),
        stop_(static_cast<std::uint32_t>(
            __cvta_generic_to_shared(group.template scratch<unsigned char>()))),
        values_(stop_ + TriangularView::scratch_head) {}

  /// All threads of the block.
  __device__ void run() {
    if (threadIdx.x == 0) put_shared(stop_, 0);
    for (std::uint32_t c = group_.block_index(); c < factor_.chunk_count; c += factor_.parts) {
      chunk_ = factor_.chunks[c];
      clear();
      group_.sync_block();
      const std::uint32_t warp = threadIdx.x / 32;
      if (warp >= computing) {
        fetch(warp - computing);
      } else if (factor_.width == 4) {
        factor_.has_far ? compute<4, true>(warp) : compute<4, false>(warp);
      } else {
        factor_.has_far ? compute<2, true>(warp) : compute<2, false>(warp);
      }
      group_.sync_block();
      if (look_shared(stop_) != 0) return;  // the same for all, since all have synchronised
      deliver();
      group_.sync_block();
    }
  }

 private:
  static constexpr std::uint32_t computing = 8;  // warps
  static constexpr std::uint32_t fetching = threads / 32 - computing;
  static constexpr std::uint32_t looks_between_checks = 1024;

  __device__ std::uint32_t address(std::uint32_t code) const { return values_ + code * 8; }
  __device__ std::uint32_t place(std::uint32_t row) const {
    return factor_.reversed ? factor_.rows - 1 - row : row;
  }

  __device__ void clear() const {
    for (std::uint32_t i = threadIdx.x; i <= chunk_.rows + chunk_.externals; i += threads) {
      put_shared(address(i), i == 0 ? 0 : not_yet);
    }
  }

  __device__ void deliver() const {
    for (std::uint32_t i = threadIdx.x; i < chunk_.rows; i += threads) {
      x_[place(chunk_.first_row + i)] =
          __longlong_as_double(static_cast<long long>(look_shared(address(i + 1))));
    }
  }

  // ---- values of other chunks

  __device__ void fetch(std::uint32_t fetcher) {
    const std::uint32_t* rows = factor_.externals + chunk_.first_external;
    std::uint32_t i = fetcher * 32 + lane_;
    std::uint32_t next = i < chunk_.externals ? rows[i] : 0;
    for (; i - lane_ < chunk_.externals; i += fetching * 32) {
      const std::uint32_t row = next;
      if (i + fetching * 32 < chunk_.externals) next = rows[i + fetching * 32];
      bool done = i >= chunk_.externals;
      for (std::uint32_t looks = 1; !__all_sync(~0U, done); ++looks) {
        if (!done) {
          const std::uint64_t value = look_far(row);
          done = value != not_yet;
          if (done) put_shared(address(chunk_.rows + 1 + i), value);
        }
        if (looks % (looks_between_checks / 8) == 0 && gives_up()) return;
      }
    }
  }

  __device__ std::uint64_t look_far(std::uint32_t row) const {
    const Granule letter = load_granule(factor_.mailbox + row);
    return letter.high == epoch_ ? letter.low : not_yet;
  }

  // ---- own rows

  /// One batch while the next one's loads are on their way.
  template <unsigned width, bool far>
  __device__ void compute(std::uint32_t warp) {
    TriangularRow<width> next{};
    if (warp < chunk_.batches) load(next, warp, load_meta(warp));
    std::uint32_t meta = load_meta(warp + computing);
    for (std::uint32_t batch = warp; batch < chunk_.batches; batch += computing) {
      const TriangularRow<width> row = next;
      if (batch + computing < chunk_.batches) load(next, batch + computing, meta);
      meta = load_meta(batch + 2 * computing);
      const std::uint32_t first = __shfl_sync(~0U, row.meta, 0);
      const bool wide = first != TriangularView::no_row && (first & TriangularView::wide) != 0;
      if (!(wide ? solve_wide(row, batch) : solve<width, far>(row, batch))) return;
    }
  }

  __device__ std::uint32_t load_meta(std::uint32_t batch) const {
    return batch < chunk_.batches ? factor_.metas[position(batch)] : TriangularView::no_row;
  }
  __device__ std::size_t position(std::uint32_t batch) const {
    return std::size_t{chunk_.first_batch + batch} * 32 + lane_;
  }

  template <unsigned width>
  __device__ void load(TriangularRow<width>& row, std::uint32_t batch, std::uint32_t meta) const {
    const std::size_t entries = std::size_t{chunk_.first_batch + batch} * width * 32 + lane_;
#pragma unroll
    for (unsigned k = 0; k < width; ++k) {
      row.factors[k] = __ldg(factor_.factors + entries + k * 32);
      row.codes[k] = __ldg(factor_.codes + entries + k * 32);
    }
    row.scale = __ldg(factor_.scales + position(batch));
    row.meta = meta;
    row.b = 0;
    if (meta != TriangularView::no_row) {
      row.b = b_[place(chunk_.first_row + (meta & TriangularView::row_mask))];
    }
  }

  /// Looks at what each row waits for until all rows of the batch are solved. Rows of one batch may
  /// wait for each other, so no lane waits for its own.
  template <unsigned width, bool far>
  __device__ bool solve(const TriangularRow<width>& row, std::uint32_t batch) {
    bool done = row.meta == TriangularView::no_row;
    double sum = row.b * row.scale;
    std::uint32_t early = 0;
    std::uint32_t early_end = 0;
    if (!done && (row.meta & TriangularView::has_early) != 0) {
      early = factor_.early_begin[position(batch)];
      early_end = factor_.early_begin[position(batch) + 1];
    }
    for (std::uint32_t looks = 1;; ++looks) {
      if (!done) {
        if (early != early_end) {
          if (add_early<far>(early, sum)) ++early;
        } else if (add_latest<width, far>(row, sum)) {
          publish(row.meta, sum);
          done = true;
        }
      }
      if (__all_sync(~0U, done)) return true;
      if (looks % looks_between_checks == 0 && gives_up()) return false;
    }
  }

  template <bool far>
  __device__ std::uint64_t look(std::uint32_t code) const {
    if constexpr (far) {
      if ((code & TriangularView::far_code) != 0) return look_far(code & ~TriangularView::far_code);
    }
    return look_shared(address(code));
  }

  template <bool far>
  __device__ bool add_early(std::uint32_t entry, double& sum) const {
    const std::uint64_t value = look<far>(__ldg(factor_.early_codes + entry));
    if (value == not_yet) return false;
    sum = fma(__ldg(factor_.early_factors + entry),
              __longlong_as_double(static_cast<long long>(value)), sum);
    return true;
  }

  template <unsigned width, bool far>
  __device__ bool add_latest(const TriangularRow<width>& row, double& sum) const {
    std::uint64_t values[width];
#pragma unroll
    for (unsigned k = 0; k < width; ++k) values[k] = look<far>(row.codes[k]);
    bool ready = true;
#pragma unroll
    for (unsigned k = 0; k < width; ++k) ready = ready && values[k] != not_yet;
    if (!ready) return false;
#pragma unroll
    for (unsigned k = 0; k < width; ++k) {
      sum = fma(row.factors[k], __longlong_as_double(static_cast<long long>(values[k])), sum);
    }
    return true;
  }

  __device__ void publish(std::uint32_t meta, double sum) const {
    constexpr std::uint64_t other_nan = 0x7FF8'0000'0000'0000;
    auto bits = static_cast<std::uint64_t>(__double_as_longlong(sum));
    if (bits == not_yet) bits = other_nan;
    const std::uint32_t own = meta & TriangularView::row_mask;
    put_shared(address(own + 1), bits);
    if ((meta & TriangularView::exported) != 0) {
      store_granule(factor_.mailbox + chunk_.first_row + own, {bits, epoch_});
    }
  }

  /// The lanes share the entries of one long row, each its own in order. None is of this batch.
  template <unsigned width>
  __device__ bool solve_wide(const TriangularRow<width>& row, std::uint32_t batch) {
    const std::size_t first = std::size_t{chunk_.first_batch + batch} * 32;
    std::uint32_t entry = factor_.early_begin[first] + lane_;
    const std::uint32_t end = factor_.early_begin[first + 1];
    double sum = lane_ == 0 ? row.b * row.scale : 0;
    for (std::uint32_t looks = 1; !__all_sync(~0U, entry >= end); ++looks) {
      if (entry < end && add_early<true>(entry, sum)) entry += 32;
      if (looks % looks_between_checks == 0 && gives_up()) return false;
    }
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_down_sync(~0U, sum, apart);
    if (lane_ == 0) publish(row.meta, sum);
    return true;
  }

  // ---- the end of patience

  /// Whether to end this solve, the same for all lanes. Costs a trip to memory.
  __device__ bool gives_up() {
    using Word = cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device>;
    bool over = look_shared(stop_) != 0;
    if (!over) {
      const bool stops = group_.stop_requested();
      const bool late = device::timer_ns() - begun_ns_ > factor_.deadline_ns;
      const bool others = Word(*factor_.given_up).load(cuda::memory_order_relaxed) == epoch_;
      over = stops || late || others;
      if (over) {
        group_.fail(static_cast<std::uint32_t>(stops ? TriangularFailure::stopped
                                                     : TriangularFailure::deadline));
        Word(*factor_.given_up).store(epoch_, cuda::memory_order_relaxed);
        put_shared(stop_, 1);
      }
    }
    return __any_sync(~0U, over) != 0;
  }

  Group& group_;
  const TriangularView factor_;
  const double* b_;
  double* x_;
  std::uint64_t epoch_;
  std::uint64_t begun_ns_;
  std::uint32_t lane_;
  std::uint32_t stop_;    // in shared memory
  std::uint32_t values_;  // in shared memory
  TriangularChunk chunk_{};
};

}  // namespace aatgs::linear::detail
