// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aatgs {

/// The host time from here to the end of the scope as a range of the NVTX domain "aatgs", which
/// Nsight Systems shows above the kernels. Ranges of one thread nest. In a build without CUDA it
/// does nothing.
///
/// For calls that wait or move many configs at once: `flush`, `park`, `shutdown`, `execute_batch`,
/// a `queue` that finds the ring full, the launch of the resident kernel. What every config goes
/// through (`try_queue`, `try_queue_many`, `poll`, `wait`) has none: with a tool attached a range
/// costs some 100 ns, more than those calls themselves, and the picture would be of little but
/// them. Without a tool it is a call and a branch, about 2 ns.
///
/// Not in the header itself, so that all that a program includes it into agrees whether there is
/// NVTX.
class NvtxRange {
 public:
  /// `name` is kept by tools alone.
  explicit NvtxRange(const char* name) noexcept;
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace aatgs
