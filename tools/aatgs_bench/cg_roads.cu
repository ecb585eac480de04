// SPDX-License-Identifier: Apache-2.0
#include <cublas_v2.h>
#include <cusparse.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "cg_roads.hpp"

namespace aatgs::bench {

namespace {

using linear::CsrMatrix;

constexpr double tolerance = 1e-8;
constexpr unsigned graph_iterations = 50;
constexpr auto give_up = std::chrono::minutes(2);

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

/// What the libraries read and write between their calls; on the GPU.
struct Scalars {
  double residual;      ///< (r, r) of this iteration
  double new_residual;  ///< of the next
  double curvature;     ///< (p, A p)
  double alpha;
  double minus_alpha;
};

__global__ void begin_iteration(Scalars* s) {
  s->residual = s->new_residual;
  s->alpha = s->residual / s->curvature;
  s->minus_alpha = -s->alpha;
}

__global__ void turn_direction(const Scalars* s, const double* r, double* p, std::uint32_t n) {
  const double beta = s->new_residual / s->residual;
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) p[i] = r[i] + beta * p[i];
}

enum class Format { csr_1, csr_2, sliced };

const char* to_string(Format format) {
  switch (format) {
    case Format::csr_1:
      return "csr_alg1";
    case Format::csr_2:
      return "csr_alg2";
    case Format::sliced:
      return "sell";
  }
  return "?";
}

/// A matrix as cuSPARSE takes it, 32-bit indices.
struct Arrays {
  std::vector<int> offsets;
  std::vector<int> columns;
  std::vector<double> values;
};

Arrays csr_arrays(const CsrMatrix& a) {
  return {{a.offsets().begin(), a.offsets().end()},
          {a.columns().begin(), a.columns().end()},
          {a.values().begin(), a.values().end()}};
}

constexpr int slice_rows = 32;

/// Sliced ELL: each slice column by column, padded with column -1.
Arrays sliced_arrays(const CsrMatrix& a) {
  Arrays out;
  out.offsets.push_back(0);
  for (std::uint32_t first = 0; first < a.row_count(); first += slice_rows) {
    const std::uint32_t last = std::min(first + slice_rows, a.row_count());
    std::uint32_t width = 0;
    for (std::uint32_t i = first; i < last; ++i) width = std::max(width, a.row_length(i));
    const std::size_t begin = out.values.size();
    out.columns.resize(begin + std::size_t{width} * slice_rows, -1);
    out.values.resize(out.columns.size(), 0.0);
    for (std::uint32_t i = first; i < last; ++i) {
      for (std::uint32_t j = 0; j < a.row_length(i); ++j) {
        const std::size_t at = begin + std::size_t{j} * slice_rows + (i - first);
        out.columns[at] = static_cast<int>(a.columns()[a.offsets()[i] + j]);
        out.values[at] = a.values()[a.offsets()[i] + j];
      }
    }
    out.offsets.push_back(static_cast<int>(out.values.size()));
  }
  return out;
}

/// Handles of the libraries on one stream.
class Libraries {
 public:
  explicit Libraries(int device) : workspace_(MemoryKind::device, workspace_bytes, device) {
    AATGS_CUDA(cudaSetDevice(device), "selecting device " + std::to_string(device));
    AATGS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    check(cusparseCreate(&sparse), "starting cuSPARSE");
    check(cublasCreate(&blas), "starting cuBLAS");
    check(cusparseSetStream(sparse, stream), "giving cuSPARSE a stream");
    check(cublasSetStream(blas, stream), "giving cuBLAS a stream");
    check(cublasSetWorkspace(blas, workspace_.data(), workspace_bytes), "giving cuBLAS memory");
    check(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_DEVICE), "setting cuBLAS' pointer mode");
  }
  ~Libraries() {
    cublasDestroy(blas);
    cusparseDestroy(sparse);
    cudaStreamDestroy(stream);
  }
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  void wait() const {
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
      const cudaError_t state = cudaStreamQuery(stream);
      if (state == cudaSuccess) return;
      if (state != cudaErrorNotReady) AATGS_CUDA(state, "solving with cuSPARSE and cuBLAS");
      if (std::chrono::steady_clock::now() - begin > give_up) {
        throw TimeoutError("conjugate gradients with cuSPARSE and cuBLAS were not done in time");
      }
    }
  }

  cudaStream_t stream = nullptr;
  cusparseHandle_t sparse = nullptr;
  cublasHandle_t blas = nullptr;

 private:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // NVIDIA's advice
  Buffer<unsigned char> workspace_;
};

/// The textbook's loop in library calls, without a wait for the host.
class LibraryCg {
 public:
  LibraryCg(const Libraries& libraries, const CsrMatrix& a, Format format, int device)
      : LibraryCg(libraries, a, format, device,
                  format == Format::sliced ? sliced_arrays(a) : csr_arrays(a)) {}
  ~LibraryCg() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    cusparseDestroyDnVec(p_vector_);
    cusparseDestroyDnVec(q_vector_);
    cusparseDestroySpMat(matrix_);
  }
  LibraryCg(const LibraryCg&) = delete;
  LibraryCg& operator=(const LibraryCg&) = delete;

  /// Solves with so many iterations, a multiple of `graph_iterations`; returns the microseconds of
  /// one. Throws TimeoutError.
  double run(const std::vector<double>& b, std::uint64_t iterations, bool use_graph) {
    if (use_graph && graph_ == nullptr) capture();
    x_.upload(std::vector<double>(n_, 0.0));
    r_.upload(b);
    p_.upload(b);
    dot(r_, r_, &Scalars::new_residual);
    libraries_.wait();
    const auto begin = std::chrono::steady_clock::now();
    if (use_graph) {
      for (std::uint64_t i = 0; i < iterations; i += graph_iterations) {
        AATGS_CUDA(cudaGraphLaunch(graph_, libraries_.stream), "launching a graph of iterations");
      }
    } else {
      for (std::uint64_t i = 0; i < iterations; ++i) iterate();
    }
    libraries_.wait();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    return took.count() / static_cast<double>(iterations);
  }

  [[nodiscard]] std::vector<double> x() const { return x_.download(); }

 private:
  LibraryCg(const Libraries& libraries, const CsrMatrix& a, Format format, int device,
            const Arrays& arrays)
      : libraries_(libraries),
        n_(a.row_count()),
        algorithm_(format == Format::csr_1   ? CUSPARSE_SPMV_CSR_ALG1
                   : format == Format::csr_2 ? CUSPARSE_SPMV_CSR_ALG2
                                             : CUSPARSE_SPMV_SELL_ALG1),
        offsets_(MemoryKind::device, arrays.offsets, device),
        columns_(MemoryKind::device, arrays.columns, device),
        values_(MemoryKind::device, arrays.values, device),
        x_(MemoryKind::device, n_, device),
        r_(MemoryKind::device, n_, device),
        p_(MemoryKind::device, n_, device),
        q_(MemoryKind::device, n_, device),
        scalars_(MemoryKind::device, 1, device) {
    const auto rows = static_cast<std::int64_t>(n_);
    const auto entries = static_cast<std::int64_t>(a.entry_count());
    if (format == Format::sliced) {
      check(cusparseCreateSlicedEll(
                &matrix_, rows, rows, entries, static_cast<std::int64_t>(values_.size()),
                slice_rows, offsets_.data(), columns_.data(), values_.data(), CUSPARSE_INDEX_32I,
                CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F),
            "describing the sliced matrix to cuSPARSE");
    } else {
      check(cusparseCreateCsr(&matrix_, rows, rows, entries, offsets_.data(), columns_.data(),
                              values_.data(), CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                              CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F),
            "describing the matrix to cuSPARSE");
    }
    check(cusparseCreateDnVec(&p_vector_, rows, p_.data(), CUDA_R_64F), "describing p");
    check(cusparseCreateDnVec(&q_vector_, rows, q_.data(), CUDA_R_64F), "describing q");
    std::size_t bytes = 0;
    check(
        cusparseSpMV_bufferSize(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                                p_vector_, &zero, q_vector_, CUDA_R_64F, algorithm_, &bytes),
        "asking cuSPARSE for its buffer");
    buffer_ = std::make_unique<Buffer<unsigned char>>(MemoryKind::device,
                                                      std::max<std::size_t>(bytes, 16), device);
    check(cusparseSpMV_preprocess(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one,
                                  matrix_, p_vector_, &zero, q_vector_, CUDA_R_64F, algorithm_,
                                  buffer_->data()),
          "letting cuSPARSE look at the matrix");
    libraries_.wait();
  }

  void dot(const Buffer<double>& a, const Buffer<double>& b, double Scalars::*into) {
    check(cublasDdot(libraries_.blas, static_cast<int>(n_), a.data(), 1, b.data(), 1,
                     &(scalars_.data()->*into)),
          "a dot product");
  }
  void add(double Scalars::*factor, const Buffer<double>& a, Buffer<double>& to) {
    check(cublasDaxpy(libraries_.blas, static_cast<int>(n_), &(scalars_.data()->*factor), a.data(),
                      1, to.data(), 1),
          "adding a vector");
  }

  void iterate() {
    check(cusparseSpMV(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                       p_vector_, &zero, q_vector_, CUDA_R_64F, algorithm_, buffer_->data()),
          "multiplying with the matrix");
    dot(p_, q_, &Scalars::curvature);
    begin_iteration<<<1, 1, 0, libraries_.stream>>>(scalars_.data());
    add(&Scalars::alpha, p_, x_);
    add(&Scalars::minus_alpha, q_, r_);
    dot(r_, r_, &Scalars::new_residual);
    constexpr unsigned threads = 256;
    const auto n = static_cast<std::uint32_t>(n_);
    turn_direction<<<(n + threads - 1) / threads, threads, 0, libraries_.stream>>>(
        scalars_.data(), r_.data(), p_.data(), n);
    AATGS_CUDA(cudaGetLastError(), "launching an iteration");
  }

  void capture() {
    cudaGraph_t graph = nullptr;
    AATGS_CUDA(cudaStreamBeginCapture(libraries_.stream, cudaStreamCaptureModeThreadLocal),
               "capturing iterations");
    for (unsigned i = 0; i < graph_iterations; ++i) iterate();
    AATGS_CUDA(cudaStreamEndCapture(libraries_.stream, &graph), "capturing iterations");
    const cudaError_t error = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    AATGS_CUDA(error, "instantiating a graph of iterations");
    AATGS_CUDA(cudaGraphUpload(graph_, libraries_.stream), "uploading a graph of iterations");
  }

  static constexpr double one = 1;
  static constexpr double zero = 0;

  const Libraries& libraries_;
  std::size_t n_;
  cusparseSpMVAlg_t algorithm_;
  Buffer<int> offsets_;
  Buffer<int> columns_;
  Buffer<double> values_;
  Buffer<double> x_, r_, p_, q_;
  Buffer<Scalars> scalars_;
  std::unique_ptr<Buffer<unsigned char>> buffer_;
  cusparseSpMatDescr_t matrix_ = nullptr;
  cusparseDnVecDescr_t p_vector_ = nullptr;
  cusparseDnVecDescr_t q_vector_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
};

/// Throws if x is not as good as the tolerance; twice that, because the residual of conjugate
/// gradients does not fall in every iteration.
void require_solution(const std::string& road, const CsrMatrix& a, const std::vector<double>& x,
                      const std::vector<double>& b) {
  std::vector<double> product(b.size());
  a.multiply(x, product);
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    error += (b[i] - product[i]) * (b[i] - product[i]);
    size += b[i] * b[i];
  }
  const double residual = std::sqrt(error / size);
  if (residual <= 2 * tolerance) return;
  throw Error(road + " ended with the relative residual " + std::to_string(residual / tolerance) +
              " times the tolerance: the benchmark stops, report this");
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Rough and smooth parts, the same for every road.
std::vector<double> right_hand_side(std::size_t n) {
  std::vector<double> b(n);
  for (std::size_t i = 0; i < n; ++i) {
    b[i] = 1 + static_cast<double>((i * 2654435761U) % 1024) / 1024;
  }
  return b;
}

}  // namespace

double CgComparison::ratio() const {
  double best = std::numeric_limits<double>::infinity();
  for (const CgRoad& road : library) best = std::min(best, median(road.us));
  return best / median(resident.us);
}

CgComparison compare_cg(const std::string& name, const linear::CsrMatrix& matrix,
                        const ContextOptions& options, unsigned runs) {
  if (runs == 0) throw OptionError("runs = 0: give at least 1");
  if (matrix.entry_count() > static_cast<std::uint64_t>(std::numeric_limits<int>::max()) / 2) {
    throw OptionError("a matrix of " + std::to_string(matrix.entry_count()) +
                      " entries is too large for the 32-bit indices of this comparison");
  }
  const std::vector<double> b = right_hand_side(matrix.row_count());
  CgComparison all;
  linear::CgOptions ours;
  ours.context = options;
  ours.context.executor = ExecutorKind::resident;
  ours.tolerance = tolerance;
  {
    const auto found = linear::CgSolver(matrix, ours).solve(b);
    require_solution("the search for the number of iterations", matrix, found.x, b);
    all.iterations = (found.iterations / graph_iterations + 1) * graph_iterations;
  }
  ours.tolerance = 0;  // all of them
  ours.max_iterations = all.iterations;
  {
    linear::CgSolver solver(matrix, ours);
    all.resident_layout = solver.description();
    std::vector<double> us;
    for (unsigned run = 0; run <= runs; ++run) {
      const auto result = solver.solve(b);
      require_solution("CgSolver", matrix, result.x, b);
      if (run > 0) us.push_back(result.seconds * 1e6 / static_cast<double>(result.iterations));
    }
    all.resident = {"cg_" + name + "_resident", std::move(us)};
  }
  const Libraries libraries(options.device);
  for (const Format format : {Format::csr_1, Format::csr_2, Format::sliced}) {
    LibraryCg solver(libraries, matrix, format, options.device);
    for (const bool use_graph : {false, true}) {
      const std::string road = std::string(use_graph ? "graph_" : "launch_") + to_string(format);
      std::vector<double> us;
      for (unsigned run = 0; run <= runs; ++run) {
        const double one = solver.run(b, all.iterations, use_graph);
        if (run > 0) us.push_back(one);
      }
      require_solution(road, matrix, solver.x(), b);
      all.library.push_back({"cg_" + name + "_" + road, std::move(us)});
    }
  }
  return all;
}

}  // namespace aatgs::bench
