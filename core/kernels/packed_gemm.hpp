#pragma once

#include <cstddef>

#include <xgrad/core/runtime/buffer.hpp>

namespace xgrad::detail {

/// A k x n matrix of float or double, stored in the order in which packed_gemm reads it: for the
/// weights of a recurrent network, which every time step uses. The columns are cut into panels of
/// packed_panel<T>(), a panel lies row by row, and the columns that the last one lacks are zeros.
/// Copies share the numbers, which never change.
template <class T>
class PackedMatrix {
 public:
  /// The 0 x 0 matrix.
  PackedMatrix() = default;

  /// Copies b, element (i, j) of which is b[i * row_stride + j * col_stride]: a transposed matrix
  /// packs as easily.
  PackedMatrix(const T* b, std::ptrdiff_t row_stride, std::ptrdiff_t col_stride, std::size_t k,
               std::size_t n);
  PackedMatrix(const PackedMatrix&) = default;
  PackedMatrix& operator=(const PackedMatrix&) = default;
  ~PackedMatrix() { wait(); }  // for threads that may still read it

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }

  /// The panels one after the other, rows() * packed_panel<T>() numbers each, aligned to 64 bytes;
  /// nullptr if empty.
  const T* data() const {
    return empty() ? nullptr : reinterpret_cast<const T*>(memory_->address());
  }

 private:
  Ref<Buffer> memory_;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

/// The number of columns in a panel, one SIMD vector.
template <class T>
std::size_t packed_panel();

/// The rows that a product is added to, `row` apart; nullptr: zeros. May be the result's own.
template <class T>
struct Start {
  const T* data = nullptr;
  std::ptrdiff_t row = 0;  ///< 0: one row for all
};

/// c = start + a.b for the columns [col_begin, col_end) of c alone, so that threads can share one
/// product. a is (m, b.rows()) with its rows lda apart, c is (m, b.cols()) with its rows ldc apart;
/// they do not overlap. Throws Error unless col_begin is a multiple of packed_panel<T>() and
/// col_end at most b.cols().
///
/// The elements are those of `compute` in <xgrad/core/kernels/tiled_product.hpp>: the bits depend
/// neither on m nor on the columns asked for, and k = 0 gives the start.
template <class T>
void packed_gemm(std::size_t m, const T* a, std::ptrdiff_t lda, const PackedMatrix<T>& b,
                 Start<T> start, T* c, std::ptrdiff_t ldc, std::size_t col_begin,
                 std::size_t col_end);

}  // namespace xgrad::detail
