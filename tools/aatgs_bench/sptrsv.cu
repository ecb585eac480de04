// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <aatgs/integrations/linear/incomplete_lu.hpp>
#include <aatgs/integrations/linear/sparse_triangular.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "cg_library.hpp"
#include "sptrsv.hpp"

namespace aatgs::bench {

namespace {

using linear::CsrMatrix;
using linear::Triangle;

constexpr std::size_t side = 1000;
constexpr int at_once = 10;  // solves of both factors, back to back
constexpr double one = 1;

void check(cusparseStatus_t status, const char* doing) {
  if (status == CUSPARSE_STATUS_SUCCESS) return;
  throw DeviceError(std::string(cusparseGetErrorName(status)) + " while " + doing,
                    cusparseGetErrorName(status));
}

/// By the host: x = T^-1 x.
void substitute(const CsrMatrix& t, Triangle triangle, std::vector<double>& x) {
  const std::uint32_t n = t.row_count();
  for (std::uint32_t k = 0; k < n; ++k) {
    const std::uint32_t i = triangle == Triangle::lower ? k : n - 1 - k;
    double diagonal = 1;
    double sum = x[i];
    for (std::uint64_t at = t.offsets()[i]; at < t.offsets()[i + std::size_t{1}]; ++at) {
      if (t.columns()[at] == i) {
        diagonal = t.values()[at];
      } else {
        sum -= t.values()[at] * x[t.columns()[at]];
      }
    }
    x[i] = sum / diagonal;
  }
}

struct Problem {
  linear::IncompleteFactors factors = linear::incomplete_lu(linear::poisson_2d(side, side));
  std::vector<double> b;
  std::vector<double> x;  // of the host

  Problem() : b(factors.lower.row_count()) {
    for (std::size_t i = 0; i < b.size(); ++i) {
      b[i] = 1 + static_cast<double>((i * 2654435761U) % 1024) / 1024;
    }
    x = b;
    substitute(factors.lower, Triangle::lower, x);
    substitute(factors.upper, Triangle::upper, x);
  }

  void require(const std::string& road, const std::vector<double>& found) const {
    double error = 0;
    double size = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      error += (found[i] - x[i]) * (found[i] - x[i]);
      size += x[i] * x[i];
    }
    const double relative = std::sqrt(error / size);
    if (relative <= 1e-12) return;
    throw Error(road + " is off by " + std::to_string(relative / 1e-12) +
                " times 1e-12: the road is broken, report this");
  }
};

/// One factor as cuSPARSE takes it, analysed.
class LibraryTriangle {
 public:
  LibraryTriangle(const Libraries& libraries, const CsrMatrix& t, Triangle triangle,
                  const Buffer<double>& b, const Buffer<double>& x, int device)
      : libraries_(libraries),
        offsets_(MemoryKind::device, std::vector<int>(t.offsets().begin(), t.offsets().end()),
                 device),
        columns_(MemoryKind::device, std::vector<int>(t.columns().begin(), t.columns().end()),
                 device),
        values_(MemoryKind::device, t.values(), device) {
    const auto rows = static_cast<std::int64_t>(t.row_count());
    check(cusparseCreateCsr(&matrix_, rows, rows, static_cast<std::int64_t>(t.entry_count()),
                            offsets_.data(), columns_.data(), values_.data(), CUSPARSE_INDEX_32I,
                            CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F),
          "describing a triangle");
    cusparseFillMode_t fill =
        triangle == Triangle::lower ? CUSPARSE_FILL_MODE_LOWER : CUSPARSE_FILL_MODE_UPPER;
    cusparseDiagType_t diagonal =
        triangle == Triangle::lower ? CUSPARSE_DIAG_TYPE_UNIT : CUSPARSE_DIAG_TYPE_NON_UNIT;
    check(cusparseSpMatSetAttribute(matrix_, CUSPARSE_SPMAT_FILL_MODE, &fill, sizeof fill),
          "naming the side of a triangle");
    check(cusparseSpMatSetAttribute(matrix_, CUSPARSE_SPMAT_DIAG_TYPE, &diagonal, sizeof diagonal),
          "naming the diagonal of a triangle");
    check(cusparseCreateDnVec(&b_, rows, b.data(), CUDA_R_64F), "describing b");
    check(cusparseCreateDnVec(&x_, rows, x.data(), CUDA_R_64F), "describing x");
    check(cusparseSpSV_createDescr(&solve_), "describing a solve");
    std::size_t bytes = 0;
    check(
        cusparseSpSV_bufferSize(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                                b_, x_, CUDA_R_64F, CUSPARSE_SPSV_ALG_DEFAULT, solve_, &bytes),
        "asking cuSPARSE for its buffer");
    room_ = std::make_unique<Buffer<unsigned char>>(MemoryKind::device,
                                                    std::max<std::size_t>(bytes, 16), device);
    check(
        cusparseSpSV_analysis(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_,
                              b_, x_, CUDA_R_64F, CUSPARSE_SPSV_ALG_DEFAULT, solve_, room_->data()),
        "letting cuSPARSE look at a triangle");
    libraries_.wait();
  }
  ~LibraryTriangle() {
    cusparseSpSV_destroyDescr(solve_);
    cusparseDestroyDnVec(b_);
    cusparseDestroyDnVec(x_);
    cusparseDestroySpMat(matrix_);
  }
  LibraryTriangle(const LibraryTriangle&) = delete;
  LibraryTriangle& operator=(const LibraryTriangle&) = delete;

  void solve() const {
    check(cusparseSpSV_solve(libraries_.sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix_, b_,
                             x_, CUDA_R_64F, CUSPARSE_SPSV_ALG_DEFAULT, solve_),
          "solving with cuSPARSE");
  }

 private:
  const Libraries& libraries_;
  Buffer<int> offsets_;
  Buffer<int> columns_;
  Buffer<double> values_;
  std::unique_ptr<Buffer<unsigned char>> room_;
  cusparseSpMatDescr_t matrix_ = nullptr;
  cusparseDnVecDescr_t b_ = nullptr;
  cusparseDnVecDescr_t x_ = nullptr;
  cusparseSpSVDescr_t solve_ = nullptr;
};

/// Both factors; the solves may be captured once into a graph.
class Library {
 public:
  Library(const Problem& problem, int device)
      : libraries_(device),
        b_(MemoryKind::device, problem.b, device),
        y_(MemoryKind::device, problem.b.size(), device),
        x_(MemoryKind::device, problem.b.size(), device),
        lower_(libraries_, problem.factors.lower, Triangle::lower, b_, y_, device),
        upper_(libraries_, problem.factors.upper, Triangle::upper, y_, x_, device) {}
  ~Library() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void run(bool as_graph) {
    for (int i = 0; i < at_once; ++i) {
      if (as_graph) {
        AATGS_CUDA(cudaGraphLaunch(graph_, libraries_.stream()), "launching a graph of solves");
      } else {
        lower_.solve();
        upper_.solve();
      }
    }
    libraries_.wait();
  }

  /// False: this version of the library does not let itself be captured.
  bool capture() {
    cudaGraph_t graph = nullptr;
    AATGS_CUDA(cudaStreamBeginCapture(libraries_.stream(), cudaStreamCaptureModeThreadLocal),
               "capturing solves");
    bool well = true;
    try {
      lower_.solve();
      upper_.solve();
    } catch (const DeviceError& e) {
      std::cerr << "no graph of cuSPARSE's solves: " << e.what() << "\n";
      well = false;
    }
    well = cudaStreamEndCapture(libraries_.stream(), &graph) == cudaSuccess && well;
    well = well && cudaGraphInstantiate(&graph_, graph, 0) == cudaSuccess;
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    return well;
  }

  [[nodiscard]] std::vector<double> x() const { return x_.download(); }
  void forget() { x_.upload(std::vector<double>(x_.size(), 0.0)); }

 private:
  Libraries libraries_;
  Buffer<double> b_, y_, x_;
  LibraryTriangle lower_, upper_;
  cudaGraphExec_t graph_ = nullptr;
};

class Comparison {
 public:
  Comparison(const Plan& plan, Report& report) : plan_(plan), report_(report) {}

  void run() {
    resident(our_road, 0);
    for (const std::uint32_t rows : {8000U, 24'000U}) {
      resident("chunk_" + std::to_string(rows), rows);
    }
    library();
  }

 private:
  [[nodiscard]] static Case of(const std::string& road) {
    return {.group = "sptrsv", .road = road};
  }

  /// `run` does `at_once` of them.
  template <class Run>
  void sample(const std::string& road, const std::string& how, const Run& run) {
    run();  // to warm up
    std::vector<double> us;
    const std::uint64_t begin = host_now_ns();
    while (us.size() < 7 ||
           (static_cast<double>(host_now_ns() - begin) < plan_.seconds * 1e9 && us.size() < 1000)) {
      const std::uint64_t queued = host_now_ns();
      run();
      us.push_back(static_cast<double>(host_now_ns() - queued) * 1e-3 / at_once);
    }
    report_.add(figure(of(road), "us", "L then U of ILU(0), 2D Poisson, 1000^2 rows; " + how,
                       std::move(us)));
  }

  void resident(const std::string& road, std::uint32_t chunk_rows) {
    if (!plan_.wants(of(road).name())) return;
    linear::TriangularOptions options;
    options.context = plan_.context;
    options.context.executor = ExecutorKind::resident;
    options.context.park_after = std::chrono::seconds(1);
    options.chunk_rows = chunk_rows;
    options.solve_deadline = std::chrono::seconds(2);
    const linear::TriangularFactor factors[] = {
        {problem_.factors.lower, Triangle::lower, linear::Diagonal::unit},
        {problem_.factors.upper, Triangle::upper, linear::Diagonal::stored}};
    linear::SparseTriangular solver(factors, options);
    const Buffer<double> b(MemoryKind::device, problem_.b, plan_.context.device);
    const Buffer<double> x(MemoryKind::device, problem_.b.size(), plan_.context.device);
    sample(road, solver.description(), [&] {
      for (int i = 0; i < at_once; ++i) solver.queue(b.data(), x.data());
      solver.wait();
    });
    problem_.require(of(road).name(), x.download());
  }

  void library() {
    if (!plan_.wants(of("cusparse").name())) return;
    Library library(problem_, plan_.context.device);
    sample("cusparse", "cuSPARSE SpSV by launches", [&] { library.run(false); });
    problem_.require("sptrsv/cusparse", library.x());
    if (!library.capture()) return;
    library.forget();
    sample("cusparse_graph", "cuSPARSE SpSV as a graph", [&] { library.run(true); });
    problem_.require("sptrsv/cusparse_graph", library.x());
  }

  const Plan& plan_;
  Report& report_;
  Problem problem_;
};

}  // namespace

void measure_sptrsv(const Plan& plan, Report& report) {
  if (!plan.wants("sptrsv/resident")) return;
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  Comparison(plan, report).run();
}

}  // namespace aatgs::bench
