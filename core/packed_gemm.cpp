#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <xgrad/core/error.hpp>
#include <xgrad/core/packed_gemm.hpp>
#include <xgrad/core/simd.hpp>

namespace xgrad::detail {
namespace {

template <class T>
using Batch = xsimd::batch<T>;

template <class T>
constexpr std::size_t lanes = Batch<T>::size;

template <class T>
Batch<T> multiply_add(Batch<T> x, Batch<T> y, Batch<T> z) {
#ifdef __AVX512F__  // where xsimd 8 multiplies, then adds
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_fmadd_ps(x, y, z);
  } else {
    return _mm512_fmadd_pd(x, y, z);
  }
#else
  return xsimd::fma(x, y, z);
#endif
}

// A tile of c, rows x vectors, is summed in registers: in 24 of AVX-512's 32, elsewhere in 12 of
// 16; the others are for a and b. Few rows take many vectors, lest each sum wait for its last fma.
#ifdef __AVX512F__
constexpr std::size_t max_rows = 8;
#else
constexpr std::size_t max_rows = 4;
#endif
constexpr std::size_t max_tile = 3 * max_rows;
constexpr std::size_t max_vectors(std::size_t rows) {
  return std::min<std::size_t>(6, max_tile / rows);
}

// Of a tall product so many rows at a time: the processor keeps the addresses of their pages.
constexpr std::size_t block_rows = 64;

constexpr std::size_t divide_up(std::size_t x, std::size_t y) { return (x + y - 1) / y; }

constexpr std::ptrdiff_t offset(std::size_t steps, std::ptrdiff_t stride) {
  return static_cast<std::ptrdiff_t>(steps) * stride;
}

/// Cuts [0, total) into as few pieces of at most `limit` as there can be, nearly equal ones rather
/// than full ones and a rest, and calls f(begin, size) for each.
template <class F>
void for_each_piece(std::size_t total, std::size_t limit, F f) {
  std::size_t begin = 0;
  for (std::size_t left = divide_up(total, limit); left > 0; --left) {
    const std::size_t size = (total - begin) / left;
    f(begin, size);
    begin += size;
  }
}

/// f(0), ... f(N - 1) with constant arguments: only then does g++ keep an array in registers.
template <std::size_t N, class F>
[[gnu::always_inline]] inline void unroll(F f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(std::integral_constant<std::size_t, I>()), ...);
  }
  (std::make_index_sequence<N>());
}

/// R x V vectors of c, from k numbers of each of R rows of a and k rows of V panels of b.
template <class T, std::size_t R, std::size_t V>
void compute_tile(std::size_t k, const T* a, std::ptrdiff_t lda, const T* b, T* c,
                  std::ptrdiff_t ldc, bool accumulate) {
  Batch<T> sum[R][V];
  const auto each = [](auto f) { unroll<R>([&](auto r) { unroll<V>([&](auto v) { f(r, v); }); }); };
  const auto vector = [&](std::size_t r, std::size_t v) {
    return c + offset(r, ldc) + v * lanes<T>;
  };
  if (accumulate) {
    each([&](auto r, auto v) { sum[r][v] = Batch<T>::load_unaligned(vector(r, v)); });
  } else {
    each([&](auto r, auto v) { sum[r][v] = Batch<T>(T(0)); });
  }
  const std::size_t panel = k * lanes<T>;
  for (std::size_t p = 0; p < k; ++p, ++a, b += lanes<T>) {
    Batch<T> row[V];
    unroll<V>([&](auto v) { row[v] = Batch<T>::load_aligned(b + v * panel); });
    unroll<R>([&](auto r) {
      const Batch<T> x(a[offset(r, lda)]);
      unroll<V>([&](auto v) { sum[r][v] = multiply_add<T>(x, row[v], sum[r][v]); });
    });
  }
  each([&](auto r, auto v) { sum[r][v].store_unaligned(vector(r, v)); });
}

template <class T>
using Kernel = decltype(&compute_tile<T, 1, 1>);

template <class T>
using KernelRow = std::array<Kernel<T>, max_vectors(1)>;

template <class T, std::size_t R, std::size_t... V>
constexpr KernelRow<T> kernel_row(std::index_sequence<V...>) {
  return {compute_tile<T, R, V + 1>...};
}

template <class T, std::size_t... R>
constexpr std::array<KernelRow<T>, max_rows> kernel_table(std::index_sequence<R...>) {
  return {kernel_row<T, R + 1>(std::make_index_sequence<max_vectors(R + 1)>())...};
}

/// kernels<T>[rows - 1][vectors - 1]
template <class T>
constexpr auto kernels = kernel_table<T>(std::make_index_sequence<max_rows>());

template <class T>
void copy_rows(std::size_t rows, std::size_t cols, const T* from, std::ptrdiff_t ld_from, T* to,
               std::ptrdiff_t ld_to) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(from + offset(r, ld_from), cols, to + offset(r, ld_to));
  }
}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(const T* b, std::ptrdiff_t row_stride, std::ptrdiff_t col_stride,
                              std::size_t k, std::size_t n)
    : rows_(k), cols_(n) {
  if (empty()) return;
  memory_ = Buffer::allocate(divide_up(n, lanes<T>) * lanes<T> * k * sizeof(T));
  T* to = reinterpret_cast<T*>(memory_->data());
  for (std::size_t j = 0; j < n; j += lanes<T>) {
    const std::size_t width = std::min(lanes<T>, n - j);
    for (std::size_t i = 0; i < k; ++i, to += lanes<T>) {
      const T* from = b + offset(i, row_stride) + offset(j, col_stride);
      for (std::size_t l = 0; l < width; ++l) to[l] = from[offset(l, col_stride)];
      std::fill(to + width, to + lanes<T>, T(0));
    }
  }
}

template <class T>
std::size_t packed_panel() {
  return lanes<T>;
}

template <class T>
void packed_gemm(std::size_t m, const T* a, std::ptrdiff_t lda, const PackedMatrix<T>& b, T* c,
                 std::ptrdiff_t ldc, bool accumulate, std::size_t col_begin, std::size_t col_end) {
  if (col_begin % lanes<T> != 0 || col_end > b.cols()) {
    throw Error("packed_gemm: columns [" + std::to_string(col_begin) + "," +
                std::to_string(col_end) + ") of " + std::to_string(b.cols()) +
                ": must begin at a multiple of " + std::to_string(lanes<T>) + " and end within b");
  }
  if (col_begin >= col_end) return;
  const std::size_t k = b.rows();
  const std::size_t panels = divide_up(col_end - col_begin, lanes<T>);

  for_each_piece(m, block_rows, [&](std::size_t block, std::size_t block_height) {
    const std::size_t tallest = divide_up(block_height, divide_up(block_height, max_rows));
    for_each_piece(panels, max_vectors(tallest), [&](std::size_t panel, std::size_t vectors) {
      const std::size_t col = col_begin + panel * lanes<T>;
      const std::size_t tile_cols = vectors * lanes<T>;
      const std::size_t cols = std::min(tile_cols, col_end - col);
      const T* tile_b = b.data() + col * k;
      for_each_piece(block_height, max_rows, [&](std::size_t row, std::size_t rows) {
        const Kernel<T> kernel = kernels<T>[rows - 1][vectors - 1];
        const T* tile_a = a + offset(block + row, lda);
        T* tile_c = c + offset(block + row, ldc) + col;
        if (cols == tile_cols) {
          kernel(k, tile_a, lda, tile_b, tile_c, ldc, accumulate);
        } else {  // c ends within the last vector: the rest of it exists in a copy only
          T copy[max_tile * lanes<T>];
          const std::ptrdiff_t ld = offset(tile_cols, 1);
          if (accumulate) {
            std::fill_n(copy, rows * tile_cols, T(0));
            copy_rows(rows, cols, tile_c, ldc, copy, ld);
          }
          kernel(k, tile_a, lda, tile_b, copy, ld, accumulate);
          copy_rows(rows, cols, copy, ld, tile_c, ldc);
        }
      });
    });
  });
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;
template std::size_t packed_panel<float>();
template std::size_t packed_panel<double>();
template void packed_gemm(std::size_t, const float*, std::ptrdiff_t, const PackedMatrix<float>&,
                          float*, std::ptrdiff_t, bool, std::size_t, std::size_t);
template void packed_gemm(std::size_t, const double*, std::ptrdiff_t, const PackedMatrix<double>&,
                          double*, std::ptrdiff_t, bool, std::size_t, std::size_t);

}  // namespace xgrad::detail
