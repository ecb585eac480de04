// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/granule.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// Rows that one block solves with their values in its scratch. Rows are counted in the order of
/// elimination: from the last one up for an upper triangle.
struct TriangularChunk {
  std::uint32_t first_row;
  std::uint32_t rows;
  std::uint32_t first_batch;  ///< of 32 rows, by level
  std::uint32_t batches;
  std::uint32_t first_external;  ///< of the values that come from other chunks
  std::uint32_t externals;
};

/// A factor where the steps reach it. Owns nothing.
///
/// The position of a row is its batch times 32 plus its place in the batch. A *code* says where a
/// value comes from: 0 is the constant 0, then the chunk's own rows, then its externals; with
/// `far_code`, the rest is a row of another chunk for which there was no room in scratch.
struct TriangularView {
  const TriangularChunk* chunks;  ///< block b solves chunks b, b + parts, ...
  const std::uint32_t* externals;
  const std::uint32_t* metas;        ///< [positions] row within the chunk, and the flags below
  const double* scales;              ///< [positions] 1 / diagonal
  const std::uint32_t* codes;        ///< [batches][width][32] of a row's latest entries
  const double* factors;             ///< [batches][width][32] -entry / diagonal
  const std::uint32_t* early_begin;  ///< [positions + 1] of a row's other entries
  const std::uint32_t* early_codes;
  const double* early_factors;
  Granule* mailbox;         ///< [rows] values that other chunks read, and the epoch they belong to
  std::uint64_t* epochs;    ///< [parts] solves begun; all the same between two
  std::uint64_t* given_up;  ///< the last epoch in which a wait was given up
  std::uint64_t deadline_ns;  ///< of one solve
  std::uint64_t scratch_bytes;
  std::uint32_t rows;
  std::uint32_t chunk_count;
  std::uint32_t parts;  ///< blocks that the step must have
  std::uint32_t width;  ///< 2 or 4
  bool reversed;        ///< an upper triangle
  bool has_far;

  static constexpr std::uint32_t far_code = 1U << 31;
  static constexpr std::uint32_t no_row = ~0U;
  static constexpr std::uint32_t exported = 1U << 31;   ///< other chunks read it
  static constexpr std::uint32_t has_early = 1U << 30;  ///< it has more than `width` entries
  static constexpr std::uint32_t wide = 1U << 29;  ///< alone in its batch, all entries are early
  static constexpr std::uint32_t row_mask = wide - 1;

  /// Bytes of scratch before the values.
  static constexpr std::size_t scratch_head = 16;
};

/// The config of a `TriangularStep`: solves T x = b. `b` and `x` are the executor's memory, as long
/// as the factor has rows, and may be the same.
struct TriangularRun {
  TriangularView factor;
  const double* b;
  double* x;
};

/// Its telemetry.
struct TriangularDone {
  std::uint64_t solves;  ///< with this factor, this one included
};

/// Codes of steps that failed; x is not the solution then.
enum class TriangularFailure : std::uint32_t {
  other_shape = 1,  ///< the factor was laid out for another number of blocks, or more scratch
  deadline = 2,     ///< a value did not come in time
  stopped = 3,      ///< the context is being aborted
};

}  // namespace aatgs::linear
