// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <algorithm>
#include <chrono>
#include <cub/block/block_reduce.cuh>

#include "cg_library.hpp"

namespace aatgs::bench {

using linear::CsrMatrix;

namespace {

void check(cusparseStatus_t status, const char* doing) {
  if (status == CUSPARSE_STATUS_SUCCESS) return;
  throw DeviceError(std::string(cusparseGetErrorName(status)) + " while " + doing,
                    cusparseGetErrorName(status));
}
void check(cublasStatus_t status, const char* doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(std::string(cublasGetStatusName(status)) + " while " + doing,
                    cublasGetStatusName(status));
}

constexpr unsigned threads = 256;
constexpr double one = 1;
constexpr double zero = 0;

__global__ void begin_iteration(CgDeviceScalars* s) {
  s->residual = s->new_residual;
  s->alpha = s->residual / s->curvature;
  s->minus_alpha = -s->alpha;
}

__global__ void turn_direction(const CgDeviceScalars* s, const double* r, double* p,
                               std::uint32_t n) {
  const double beta = s->new_residual / s->residual;
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) p[i] = r[i] + beta * p[i];
}

__device__ void add_up(double mine, double* total) {
  using Reduce = cub::BlockReduce<double, threads>;
  __shared__ typename Reduce::TempStorage storage;
  const double sum = Reduce(storage).Sum(mine);
  if (threadIdx.x == 0) atomicAdd(total, sum);
}

/// The three fused kernels. Each clears the sum that a later one adds up to.
__global__ void fused_product(CgDeviceScalars* s, unsigned parity, const double* p, const double* q,
                              std::uint32_t n) {
  if (blockIdx.x == 0 && threadIdx.x == 0) s->squares[parity ^ 1] = 0;
  double sum = 0;
  for (std::uint32_t i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) {
    sum += p[i] * q[i];
  }
  add_up(sum, &s->products[parity]);
}

__global__ void fused_advance(CgDeviceScalars* s, unsigned parity, const double* p, const double* q,
                              double* x, double* r, std::uint32_t n) {
  if (blockIdx.x == 0 && threadIdx.x == 0) s->products[parity ^ 1] = 0;
  const double alpha = s->squares[parity] / s->products[parity];
  double sum = 0;
  for (std::uint32_t i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) {
    x[i] += alpha * p[i];
    const double next = r[i] - alpha * q[i];
    r[i] = next;
    sum += next * next;
  }
  add_up(sum, &s->squares[parity ^ 1]);
}

__global__ void fused_turn(const CgDeviceScalars* s, unsigned parity, const double* r, double* p,
                           std::uint32_t n) {
  const double beta = s->squares[parity ^ 1] / s->squares[parity];
  for (std::uint32_t i = blockIdx.x * threads + threadIdx.x; i < n; i += gridDim.x * threads) {
    p[i] = r[i] + beta * p[i];
  }
}

}  // namespace

std::string to_string(MatrixFormat format) {
  switch (format) {
    case MatrixFormat::csr_alg1:
      return "csr1";
    case MatrixFormat::csr_alg2:
      return "csr2";
    case MatrixFormat::sliced_ell:
      return "sell";
  }
  return "?";
}

Libraries::Libraries(int device) : workspace_(MemoryKind::device, workspace_bytes, device) {
  check(cusparseCreate(&sparse), "starting cuSPARSE");
  check(cublasCreate(&blas), "starting cuBLAS");
  check(cusparseSetStream(sparse, stream()), "giving cuSPARSE a stream");
  check(cublasSetStream(blas, stream()), "giving cuBLAS a stream");
  check(cublasSetWorkspace(blas, workspace_.data(), workspace_bytes), "giving cuBLAS memory");
  check(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_DEVICE), "setting cuBLAS' pointer mode");
}

Libraries::~Libraries() {
  cublasDestroy(blas);
  cusparseDestroy(sparse);
}

void Libraries::wait() const {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const cudaError_t state = cudaStreamQuery(stream());
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) AATGS_CUDA(state, "solving with cuSPARSE");
    if (std::chrono::steady_clock::now() - begin > std::chrono::minutes(2)) {
      throw TimeoutError("conjugate gradients with cuSPARSE were not done within two minutes");
    }
  }
}

/// A matrix as cuSPARSE takes it, 32-bit indices.
struct LibraryMatrix::Arrays {
  static constexpr int slice_rows = 32;

  std::vector<int> offsets;
  std::vector<int> columns;
  std::vector<double> values;

  Arrays(const CsrMatrix& a, MatrixFormat format) {
    if (format == MatrixFormat::sliced_ell) {
      slice(a);
      return;
    }
    offsets.assign(a.offsets().begin(), a.offsets().end());
    columns.assign(a.columns().begin(), a.columns().end());
    values.assign(a.values().begin(), a.values().end());
  }

 private:
  /// Each slice column by column, padded with column -1.
  void slice(const CsrMatrix& a) {
    offsets.push_back(0);
    for (std::uint32_t first = 0; first < a.row_count(); first += slice_rows) {
      const std::uint32_t last = std::min(first + slice_rows, a.row_count());
      std::uint32_t width = 0;
      for (std::uint32_t i = first; i < last; ++i) width = std::max(width, a.row_length(i));
      const std::size_t begin = values.size();
      columns.resize(begin + std::size_t{width} * slice_rows, -1);
      values.resize(columns.size(), 0.0);
      for (std::uint32_t i = first; i < last; ++i) {
        for (std::uint32_t j = 0; j < a.row_length(i); ++j) {
          const std::size_t at = begin + std::size_t{j} * slice_rows + (i - first);
          columns[at] = static_cast<int>(a.columns()[a.offsets()[i] + j]);
          values[at] = a.values()[a.offsets()[i] + j];
        }
      }
      offsets.push_back(static_cast<int>(values.size()));
    }
  }
};

LibraryMatrix::LibraryMatrix(const Libraries& libraries, const CsrMatrix& matrix,
                             MatrixFormat format, int device)
    : LibraryMatrix(libraries, matrix, format, device, Arrays(matrix, format)) {}

LibraryMatrix::LibraryMatrix(const Libraries& libraries, const CsrMatrix& matrix,
                             MatrixFormat format, int device, const Arrays& arrays)
    : p(MemoryKind::device, matrix.row_count(), device),
      q(MemoryKind::device, matrix.row_count(), device),
      libraries_(libraries),
      algorithm_(format == MatrixFormat::csr_alg1   ? CUSPARSE_SPMV_CSR_ALG1
                 : format == MatrixFormat::csr_alg2 ? CUSPARSE_SPMV_CSR_ALG2
                                                    : CUSPARSE_SPMV_SELL_ALG1),
      offsets_(MemoryKind::device, arrays.offsets, device),
      columns_(MemoryKind::device, arrays.columns, device),
      values_(MemoryKind::device, arrays.values, device) {
  describe(matrix.entry_count(), format);
  std::size_t bytes = 0;
  check(cusparseSpMV_bufferSize(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                                p_vector_, &zero, q_vector_, CUDA_R_64F, algorithm_, &bytes),
        "asking cuSPARSE for its buffer");
  room_ = std::make_unique<Buffer<unsigned char>>(MemoryKind::device,
                                                  std::max<std::size_t>(bytes, 16), device);
  const cusparseStatus_t prepared =
      cusparseSpMV_preprocess(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                              p_vector_, &zero, q_vector_, CUDA_R_64F, algorithm_, room_->data());
  if (prepared != CUSPARSE_STATUS_NOT_SUPPORTED) {
    check(prepared, "letting cuSPARSE look at the matrix");
  }
  libraries_.wait();
}

void LibraryMatrix::describe(std::uint64_t entry_count, MatrixFormat format) {
  const auto rows = static_cast<std::int64_t>(p.size());
  const auto entries = static_cast<std::int64_t>(entry_count);
  if (format == MatrixFormat::sliced_ell) {
    check(cusparseCreateSlicedEll(
              &matrix_, rows, rows, entries, static_cast<std::int64_t>(values_.size()),
              Arrays::slice_rows, offsets_.data(), columns_.data(), values_.data(),
              CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F),
          "describing the sliced matrix to cuSPARSE");
  } else {
    check(cusparseCreateCsr(&matrix_, rows, rows, entries, offsets_.data(), columns_.data(),
                            values_.data(), CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                            CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F),
          "describing the matrix to cuSPARSE");
  }
  check(cusparseCreateDnVec(&p_vector_, rows, p.data(), CUDA_R_64F), "describing p");
  check(cusparseCreateDnVec(&q_vector_, rows, q.data(), CUDA_R_64F), "describing q");
}

LibraryMatrix::~LibraryMatrix() {
  cusparseDestroyDnVec(p_vector_);
  cusparseDestroyDnVec(q_vector_);
  cusparseDestroySpMat(matrix_);
}

void LibraryMatrix::multiply() const {
  check(cusparseSpMV(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_, p_vector_,
                     &zero, q_vector_, CUDA_R_64F, algorithm_, room_->data()),
        "multiplying with the matrix");
}

LibraryCg::LibraryCg(const Libraries& libraries, LibraryMatrix& matrix, VectorKernels kernels,
                     int device)
    : libraries_(libraries),
      matrix_(matrix),
      kernels_(kernels),
      n_(static_cast<std::uint32_t>(matrix.p.size())),
      fused_blocks_(std::min((n_ + threads - 1) / threads, 8 * gpu_multiprocessors(device))),
      x_(MemoryKind::device, n_, device),
      r_(MemoryKind::device, n_, device),
      scalars_(MemoryKind::device, 1, device) {}

LibraryCg::~LibraryCg() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
}

double LibraryCg::run(const std::vector<double>& b, std::uint64_t iterations, Delivery delivery) {
  if (delivery == Delivery::graph && graph_ == nullptr) capture();
  x_.upload(std::vector<double>(n_, 0.0));
  r_.upload(b);
  matrix_.p.upload(b);
  scalars_.upload(std::vector<CgDeviceScalars>(1));
  dot(r_, r_, &CgDeviceScalars::new_residual);
  libraries_.wait();
  CgDeviceScalars first = scalars_.download().front();
  first.squares[0] = first.new_residual;
  scalars_.upload(std::vector<CgDeviceScalars>(1, first));
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < iterations;) {
    if (delivery == Delivery::graph) {
      AATGS_CUDA(cudaGraphLaunch(graph_, libraries_.stream()), "launching a graph of iterations");
      i += graph_iterations;
    } else {
      iterate(static_cast<unsigned>(i++));
    }
  }
  libraries_.wait();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  return took.count() / static_cast<double>(iterations);
}

void LibraryCg::iterate(unsigned number) {
  matrix_.multiply();
  if (kernels_ == VectorKernels::cublas) {
    iterate_with_cublas();
  } else {
    iterate_fused(number % 2);
  }
  AATGS_CUDA(cudaGetLastError(), "launching an iteration");
}

void LibraryCg::iterate_with_cublas() {
  dot(matrix_.p, matrix_.q, &CgDeviceScalars::curvature);
  begin_iteration<<<1, 1, 0, libraries_.stream()>>>(scalars_.data());
  add(&CgDeviceScalars::alpha, matrix_.p, x_);
  add(&CgDeviceScalars::minus_alpha, matrix_.q, r_);
  dot(r_, r_, &CgDeviceScalars::new_residual);
  turn_direction<<<(n_ + threads - 1) / threads, threads, 0, libraries_.stream()>>>(
      scalars_.data(), r_.data(), matrix_.p.data(), n_);
}

void LibraryCg::iterate_fused(unsigned parity) {
  const cudaStream_t stream = libraries_.stream();
  fused_product<<<fused_blocks_, threads, 0, stream>>>(scalars_.data(), parity, matrix_.p.data(),
                                                       matrix_.q.data(), n_);
  fused_advance<<<fused_blocks_, threads, 0, stream>>>(scalars_.data(), parity, matrix_.p.data(),
                                                       matrix_.q.data(), x_.data(), r_.data(), n_);
  fused_turn<<<fused_blocks_, threads, 0, stream>>>(scalars_.data(), parity, r_.data(),
                                                    matrix_.p.data(), n_);
}

void LibraryCg::dot(const Buffer<double>& a, const Buffer<double>& b,
                    double CgDeviceScalars::*into) {
  check(cublasDdot(libraries_.blas, static_cast<int>(n_), a.data(), 1, b.data(), 1,
                   &(scalars_.data()->*into)),
        "a dot product");
}

void LibraryCg::add(double CgDeviceScalars::*factor, const Buffer<double>& a, Buffer<double>& to) {
  check(cublasDaxpy(libraries_.blas, static_cast<int>(n_), &(scalars_.data()->*factor), a.data(), 1,
                    to.data(), 1),
        "adding a vector");
}

void LibraryCg::capture() {
  cudaGraph_t graph = nullptr;
  AATGS_CUDA(cudaStreamBeginCapture(libraries_.stream(), cudaStreamCaptureModeThreadLocal),
             "capturing iterations");
  for (unsigned i = 0; i < graph_iterations; ++i) iterate(i);
  AATGS_CUDA(cudaStreamEndCapture(libraries_.stream(), &graph), "capturing iterations");
  const cudaError_t error = cudaGraphInstantiate(&graph_, graph, 0);
  cudaGraphDestroy(graph);
  AATGS_CUDA(error, "instantiating a graph of iterations");
  AATGS_CUDA(cudaGraphUpload(graph_, libraries_.stream()), "uploading a graph of iterations");
}

}  // namespace aatgs::bench
