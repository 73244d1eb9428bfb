#include <algorithm>
#include <limits>

#include <cblas.h>

#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/kernels/outer_gemm.hpp>
#include <xgrad/core/kernels/packed_gemm.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad::detail {
namespace {

/// A matrix as BLAS takes it: adjacent along one axis.
struct Matrix {
  const std::byte* data;
  Index rows;
  Index cols;
  Index leading;  ///< distance of the rows, or of the columns if transposed
  bool transposed;
};

bool as_matrix(const Tensor& x, Matrix& matrix) {
  const Index rows = x.shape()[0];
  const Index cols = x.shape()[1];
  const Index row_stride = rows == 1 ? cols : x.strides()[0];
  const Index col_stride = cols == 1 ? 1 : x.strides()[1];
  if (col_stride == 1 && row_stride >= std::max<Index>(1, cols)) {
    matrix = {x.bytes(), rows, cols, row_stride, false};
    return true;
  }
  const Index leading = cols == 1 ? rows : x.strides()[1];
  if ((rows == 1 || x.strides()[0] == 1) && leading >= std::max<Index>(1, rows)) {
    matrix = {x.bytes(), rows, cols, leading, true};
    return true;
  }
  return false;
}

template <class T>
void blas(const Matrix& a, const Matrix& b, T* c, Index ldc, bool accumulate) {
  constexpr Index most = std::numeric_limits<blasint>::max();
  if (std::max({a.rows, b.cols, a.cols, a.leading, b.leading, ldc}) > most) {
    throw Error("matmul: a matrix has an extent above " + std::to_string(most) +
                ", the largest that BLAS takes");
  }
  const auto ta = a.transposed ? CblasTrans : CblasNoTrans;
  const auto tb = b.transposed ? CblasTrans : CblasNoTrans;
  const auto m = static_cast<blasint>(a.rows);
  const auto n = static_cast<blasint>(b.cols);
  const auto k = static_cast<blasint>(a.cols);
  const auto lda = static_cast<blasint>(a.leading);
  const auto ldb = static_cast<blasint>(b.leading);
  const auto ld = static_cast<blasint>(ldc);
  const T* x = reinterpret_cast<const T*>(a.data);
  const T* y = reinterpret_cast<const T*>(b.data);
  const T one = 1;
  const T beta = accumulate ? 1 : 0;
  if constexpr (std::is_same_v<T, float>) {
    cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, one, x, lda, y, ldb, beta, c, ld);
  } else if constexpr (std::is_same_v<T, double>) {
    cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, one, x, lda, y, ldb, beta, c, ld);
  } else {
    cblas_zgemm(CblasRowMajor, ta, tb, m, n, k, &one, x, lda, y, ldb, &beta, c, ld);
  }
}

/// Rows [first, last) of the matrix.
template <class T>
Matrix rows_of(const Matrix& x, Index first, Index last) {
  const Index step = x.transposed ? 1 : x.leading;
  return {x.data + first * step * static_cast<Index>(sizeof(T)), last - first, x.cols, x.leading,
          x.transposed};
}

template <class T>
Matrix cols_of(const Matrix& x, Index first, Index last) {
  const Index step = x.transposed ? x.leading : 1;
  return {x.data + first * step * static_cast<Index>(sizeof(T)), x.rows, last - first, x.leading,
          x.transposed};
}

// Splits a large product into parts that depend on its shape alone, so that every number of threads
// computes the same bits.
template <class T>
void blas_in_parts(const Matrix& a, const Matrix& b, T* c, Index ldc, bool accumulate) {
  const Index m = a.rows;
  const Index n = b.cols;
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(a.cols);
  const bool by_rows = m >= n;
  const Index along = by_rows ? m : n;
  const Index parts = work < 4e6 ? 1 : std::min<Index>(along / 64, work < 4e7 ? 2 : 4);
  if (parts <= 1) return blas(a, b, c, ldc, accumulate);
  parallel_ranges(along, parts, 32, [=](Index first, Index last) {
    if (by_rows) {
      blas(rows_of<T>(a, first, last), b, c + first * ldc, ldc, accumulate);
    } else {
      blas(a, cols_of<T>(b, first, last), c + first, ldc, accumulate);
    }
  });
}

std::size_t count(Index n) { return static_cast<std::size_t>(n); }

constexpr double worth_a_thread = 1.5e5;          // multiplications
constexpr Index cached_numbers = Index{1} << 19;  // of b, which each thread can read whole

/// How many threads a product is worth whose elements have the same bits for any cut. A few rows
/// take as long as those of a tile, waiting for b.
Index worth_of(const Matrix& a, Index n) {
  const double work =
      static_cast<double>(std::max<Index>(a.rows, 8)) * static_cast<double>(n * a.cols);
  return std::clamp<Index>(static_cast<Index>(work / worth_a_thread), 1, threads());
}

template <class T>
bool product_with_packed(const Tensor& a, const Tensor& b, Start<T> start, T* c, Index ldc,
                         Weights* b_weights) {
  if (!b_weights || a.shape()[0] == 0) return false;
  Matrix left;
  if (!as_matrix(a, left) || left.transposed) return false;
  const auto right = packed<T>(b, *b_weights);
  if (!right) return false;
  const T* x = reinterpret_cast<const T*>(left.data);
  const Index m = left.rows;
  const Index n = b.shape()[1];
  const PackedMatrix<T>* packed_b = right.get();
  const Index parts = worth_of(left, n);
  // By rows each thread finds what it wrote itself, but reads all of b.
  if (m >= 256 || (m >= 8 * parts && b.size() <= cached_numbers)) {
    launch_ranges(m, parts, 8, [=](Index first, Index last) {
      const Start<T> from{start.data ? start.data + first * start.row : nullptr, start.row};
      packed_gemm(count(last - first), x + first * left.leading, left.leading, *packed_b, from,
                  c + first * ldc, ldc, 0, count(n));
    });
  } else {
    const auto panel = static_cast<Index>(packed_panel<T>());
    launch_ranges(n, parts, panel, [=](Index first, Index last) {
      packed_gemm(count(m), x, left.leading, *packed_b, start, c, ldc, count(first), count(last));
    });
  }
  return true;
}

template <class T>
bool product_of_columns(const Matrix& a, const Matrix& b, Start<T> start, T* c, Index ldc) {
  const Index m = a.rows;
  const Index n = b.cols;
  const bool has_columns = a.transposed || m == 1;  // each adjacent
  if (!has_columns || b.transposed) return false;
  if (!outer_gemm_pays<T>(count(m), count(n), count(a.cols))) return false;
  const T* x = reinterpret_cast<const T*>(a.data);
  const T* y = reinterpret_cast<const T*>(b.data);
  const Index lda = a.transposed ? a.leading : 1;
  const auto grain = static_cast<Index>(packed_panel<T>());
  parallel_ranges(n, worth_of(a, n), grain, [=](Index first, Index last) {
    const Start<T> from{start.data ? start.data + first : nullptr, start.row};
    outer_gemm(count(m), count(last - first), count(a.cols), x, lda, y + first, b.leading, from,
               c + first, ldc);
  });
  return true;
}

/// c = start + a.b with a row-major c.
template <class T>
void multiply(const Tensor& a, const Tensor& b, Start<T> start, T* c, Index ldc,
              Weights* b_weights) {
  if constexpr (!std::is_same_v<T, std::complex<double>>) {
    if (product_with_packed(a, b, start, c, ldc, b_weights)) return;
  }
  const Index m = a.shape()[0];
  const Index n = b.shape()[1];
  const auto copy_start = [&] {
    for (Index i = 0; i < m && start.data != c; ++i) {
      std::copy_n(start.data + i * start.row, n, c + i * ldc);
    }
  };
  if (a.shape()[1] == 0) {
    if (start.data) return copy_start();
    for (Index i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, T(0));
    return;
  }
  Tensor kept[2];  // row-major copies, where BLAS cannot take the strides
  const auto matrix = [](const Tensor& x, Tensor& copy) {
    Matrix result;
    if (!as_matrix(x, result)) {
      copy = contiguous(x);
      as_matrix(copy, result);
    }
    return result;
  };
  const Matrix left = matrix(a, kept[0]);
  const Matrix right = matrix(b, kept[1]);
  if constexpr (!std::is_same_v<T, std::complex<double>>) {
    if (product_of_columns(left, right, start, c, ldc)) return;
  }
  if (start.data) copy_start();
  blas_in_parts(left, right, c, ldc, start.data != nullptr);
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& c, bool accumulate, Weights* b_weights) {
  if (c.size() == 0) return;
  Matrix out;
  as_matrix(c, out);
  if (out.transposed) {  // c^T = b^T.a^T
    return gemm(transposed_view(b), transposed_view(a), transposed_view(c), accumulate);
  }
  dispatch(c.dtype(), [&]<class T>() {
    T* target = c.mutable_data<T>();
    const Start<T> start{accumulate ? target : nullptr, out.leading};
    multiply(a, b, start, target, out.leading, b_weights);
  });
}

void gemm_onto(const Tensor& start, const Tensor& a, const Tensor& b, const Tensor& c,
               Weights* b_weights) {
  if (c.size() == 0) return;
  const Index cols = c.shape()[1];
  dispatch(c.dtype(), [&]<class T>() {
    const bool adjacent = cols == 1 || start.strides()[1] == 1;
    const Tensor rows = adjacent ? start : contiguous(start);
    const Index row = rows.shape()[0] == 1 ? 0 : rows.strides()[0];
    multiply(a, b, Start<T>{rows.data<T>(), row}, c.mutable_data<T>(), cols, b_weights);
  });
}

}  // namespace xgrad::detail
