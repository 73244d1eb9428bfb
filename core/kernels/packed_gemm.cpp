#include <algorithm>
#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/core/kernels/packed_gemm.hpp>
#include <xgrad/core/kernels/tiled_product.hpp>
#include <xgrad/core/runtime/parallel.hpp>

namespace xgrad::detail {
namespace {

// Of a tall product so many rows at a time: the processor keeps the addresses of their pages.
constexpr std::size_t block_rows = 64;
constexpr std::size_t parallel_numbers = 1 << 14;  // which are worth a second thread

std::ptrdiff_t offset(std::size_t steps, std::ptrdiff_t stride) {
  return static_cast<std::ptrdiff_t>(steps) * stride;
}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(const T* b, std::ptrdiff_t row_stride, std::ptrdiff_t col_stride,
                              std::size_t k, std::size_t n)
    : rows_(k), cols_(n) {
  if (empty()) return;
  const std::size_t panel = packed_panel<T>();
  memory_ = Buffer::allocate((n + panel - 1) / panel * panel * k * sizeof(T));
  T* const memory = reinterpret_cast<T*>(memory_->data());
  const auto pack = [=](Index begin, Index end) {
    const auto first = static_cast<std::size_t>(begin);
    T* to = memory + first * k;
    for (std::size_t j = first; j < static_cast<std::size_t>(end); j += panel) {
      const std::size_t width = std::min(panel, n - j);
      for (std::size_t i = 0; i < k; ++i, to += panel) {
        const T* from = b + offset(i, row_stride) + offset(j, col_stride);
        for (std::size_t l = 0; l < width; ++l) to[l] = from[offset(l, col_stride)];
        std::fill(to + width, to + panel, T(0));
      }
    }
  };
  const Index parts = n * k < parallel_numbers ? 1 : threads();
  parallel_ranges(static_cast<Index>(n), parts, static_cast<Index>(panel), pack);
}

template <class T>
std::size_t packed_panel() {
  return tile_lanes<T>();
}

template <class T>
void packed_gemm(std::size_t m, const T* a, std::ptrdiff_t lda, const PackedMatrix<T>& b,
                 Start<T> start, T* c, std::ptrdiff_t ldc, std::size_t col_begin,
                 std::size_t col_end) {
  const std::size_t panel = packed_panel<T>();
  if (col_begin % panel != 0 || col_end > b.cols()) {
    throw Error("packed_gemm: columns [" + std::to_string(col_begin) + "," +
                std::to_string(col_end) + ") of " + std::to_string(b.cols()) +
                ": must begin at a multiple of " + std::to_string(panel) + " and end within b");
  }
  if (col_begin >= col_end) return;
  const std::size_t k = b.rows();
  for (std::size_t row = 0; row < m; row += block_rows) {
    compute(TiledProduct<T>{
        .m = std::min(block_rows, m - row),
        .n = col_end - col_begin,
        .k = k,
        .a = k == 0 ? a : a + offset(row, lda),  // it may be null
        .a_row = lda,
        .a_step = 1,
        .b = b.data() + col_begin * k,
        .b_vector = offset(k * panel, 1),
        .b_step = offset(panel, 1),
        .b_is_padded = true,
        .start = start.data ? start.data + offset(row, start.row) + offset(col_begin, 1) : nullptr,
        .start_row = start.row,
        .c = c + offset(row, ldc) + col_begin,
        .c_row = ldc});
  }
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;
template std::size_t packed_panel<float>();
template std::size_t packed_panel<double>();
template void packed_gemm(std::size_t, const float*, std::ptrdiff_t, const PackedMatrix<float>&,
                          Start<float>, float*, std::ptrdiff_t, std::size_t, std::size_t);
template void packed_gemm(std::size_t, const double*, std::ptrdiff_t, const PackedMatrix<double>&,
                          Start<double>, double*, std::ptrdiff_t, std::size_t, std::size_t);

}  // namespace xgrad::detail
