// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Before loops that live on many loads under way: unrolled wholly, or not at all, where registers
/// are scarce. Before functions: inlined always, so that what they find in a kernel's parameters
/// stays there and takes no registers.
#if defined(__CUDA_ARCH__)
#define AATGS_UNROLL _Pragma("unroll")
#define AATGS_NO_UNROLL _Pragma("unroll 1")
#define AATGS_INLINE __forceinline__
#else
#define AATGS_UNROLL
#define AATGS_NO_UNROLL
#define AATGS_INLINE inline
#endif
