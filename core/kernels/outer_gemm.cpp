#include <algorithm>

#include <xgrad/core/kernels/outer_gemm.hpp>
#include <xgrad/core/kernels/tiled_product.hpp>

namespace xgrad::detail {
namespace {

// So many rows of a and b at a time, of which a strip as wide as a tile stays in the cache.
#ifdef __AVX512F__
constexpr std::size_t block_rows = 384;
#else
constexpr std::size_t block_rows = 128;
#endif
constexpr std::size_t rows_worth_copies = 128;  // of c

}  // namespace

template <class T>
bool outer_gemm_pays(std::size_t m, std::size_t n, [[maybe_unused]] std::size_t k) {
  if (n < tile_lanes<T>()) return false;
#ifdef __AVX512F__
  return m * n * k > 1'000'000;  // fewer multiplications OpenBLAS does without copies
#else
  // From 8 rows and 1024 bytes on, so many narrow tiles come by that copies of them pay.
  return m < 8 || (m < 64 && n * sizeof(T) < 1024);
#endif
}

template <class T>
void outer_gemm(std::size_t m, std::size_t n, std::size_t k, const T* a, std::ptrdiff_t lda,
                const T* b, std::ptrdiff_t ldb, Start<T> start, T* c, std::ptrdiff_t ldc) {
  const TiledProduct<T> product{.m = m,
                                .n = n,
                                .k = k,
                                .a = a,
                                .a_row = 1,
                                .a_step = lda,
                                .b = b,
                                .b_vector = static_cast<std::ptrdiff_t>(tile_lanes<T>()),
                                .b_step = ldb,
                                .b_is_padded = false,
                                .start = start.data,
                                .start_row = start.row,
                                .c = c,
                                .c_row = ldc};
  if (m >= rows_worth_copies && k > 0) return compute_copying_b(product, block_rows);
  for (std::size_t row = 0; row == 0 || row < k; row += block_rows) {
    const auto step = static_cast<std::ptrdiff_t>(row);
    TiledProduct<T> block = product;
    block.k = std::min(block_rows, k - row);
    block.a += step * lda;
    block.b += step * ldb;
    if (row > 0) {
      block.start = c;
      block.start_row = ldc;
    }
    compute(block);
  }
}

template bool outer_gemm_pays<float>(std::size_t, std::size_t, std::size_t);
template bool outer_gemm_pays<double>(std::size_t, std::size_t, std::size_t);
template void outer_gemm(std::size_t, std::size_t, std::size_t, const float*, std::ptrdiff_t,
                         const float*, std::ptrdiff_t, Start<float>, float*, std::ptrdiff_t);
template void outer_gemm(std::size_t, std::size_t, std::size_t, const double*, std::ptrdiff_t,
                         const double*, std::ptrdiff_t, Start<double>, double*, std::ptrdiff_t);

}  // namespace xgrad::detail
