// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublas_v2.h>
#include <cusparse.h>

#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda_handles.cuh"

namespace aatgs::bench {

/// How cuSPARSE has its matrix, and by which algorithm it multiplies.
enum class MatrixFormat { csr_alg1, csr_alg2, sliced_ell };
/// Who adds up and multiplies the vectors: cuBLAS, or three kernels of ours that touch each vector
/// as rarely as kernels can.
enum class VectorKernels { cublas, fused };
/// How the kernels get to the GPU.
enum class Delivery { launches, graph };

std::string to_string(MatrixFormat format);

/// Handles of both libraries on one stream.
class Libraries {
 public:
  explicit Libraries(int device);
  ~Libraries();
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
  /// Waits for the stream. Throws TimeoutError after two minutes.
  void wait() const;

  cusparseHandle_t sparse = nullptr;
  cublasHandle_t blas = nullptr;

 private:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // NVIDIA's advice
  Buffer<unsigned char> workspace_;
  Stream stream_;
};

/// cuSPARSE's q = A p with all that can be done beforehand done.
class LibraryMatrix {
 public:
  LibraryMatrix(const Libraries& libraries, const linear::CsrMatrix& matrix, MatrixFormat format,
                int device);
  ~LibraryMatrix();
  LibraryMatrix(const LibraryMatrix&) = delete;
  LibraryMatrix& operator=(const LibraryMatrix&) = delete;

  void multiply() const;

  Buffer<double> p, q;

 private:
  struct Arrays;
  LibraryMatrix(const Libraries& libraries, const linear::CsrMatrix& matrix, MatrixFormat format,
                int device, const Arrays& arrays);
  void describe(std::uint64_t entries, MatrixFormat format);

  const Libraries& libraries_;
  cusparseSpMVAlg_t algorithm_;
  Buffer<int> offsets_;
  Buffer<int> columns_;
  Buffer<double> values_;
  std::unique_ptr<Buffer<unsigned char>> room_;
  cusparseSpMatDescr_t matrix_ = nullptr;
  cusparseDnVecDescr_t p_vector_ = nullptr;
  cusparseDnVecDescr_t q_vector_ = nullptr;
};

/// What the kernels hand each other; on the GPU, so that nothing waits for the host.
struct CgDeviceScalars {
  double residual;      ///< (r, r) of this iteration
  double new_residual;  ///< of the next
  double curvature;     ///< (p, A p)
  double alpha;
  double minus_alpha;
  double squares[2];   ///< the fused kernels': (r, r), this iteration's and the next one's in turn
  double products[2];  ///< and (p, A p)
};

/// The textbook's loop (Hestenes & Stiefel, 1952).
class LibraryCg {
 public:
  static constexpr unsigned graph_iterations = 50;

  LibraryCg(const Libraries& libraries, LibraryMatrix& matrix, VectorKernels kernels, int device);
  ~LibraryCg();
  LibraryCg(const LibraryCg&) = delete;
  LibraryCg& operator=(const LibraryCg&) = delete;

  /// Solves from x = 0 with so many iterations, a multiple of `graph_iterations`; returns the
  /// microseconds of one, without the preparations. Throws TimeoutError.
  double run(const std::vector<double>& b, std::uint64_t iterations, Delivery delivery);
  [[nodiscard]] std::vector<double> x() const { return x_.download(); }
  [[nodiscard]] std::string vectors() const {
    return kernels_ == VectorKernels::cublas ? "cuBLAS" : "fused kernels";
  }

 private:
  void iterate(unsigned number);
  void iterate_with_cublas();
  void iterate_fused(unsigned parity);
  void dot(const Buffer<double>& a, const Buffer<double>& b, double CgDeviceScalars::*into);
  void add(double CgDeviceScalars::*factor, const Buffer<double>& a, Buffer<double>& to);
  void capture();

  const Libraries& libraries_;
  LibraryMatrix& matrix_;
  VectorKernels kernels_;
  std::uint32_t n_;
  unsigned fused_blocks_;
  Buffer<double> x_, r_;
  Buffer<CgDeviceScalars> scalars_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace aatgs::bench
