#pragma once

#include <cstddef>

namespace xgrad::detail {

/// c = start + a.b in memory, c being m x n and k the inner extent. Rows of c and of start are
/// adjacent numbers; of a any strides will do; the columns of b lie in vectors of tile_lanes<T>().
template <class T>
struct TiledProduct {
  std::size_t m, n, k;
  const T* a;
  std::ptrdiff_t a_row, a_step;  ///< distance of the rows of a, and of the numbers in one
  const T* b;
  std::ptrdiff_t b_vector, b_step;  ///< distance of the vectors in a row of b, and of the rows
  bool
      b_is_padded;  ///< the last vector of a row is whole, whatever n is; else vectors are adjacent
  const T* start;   ///< may be c; nullptr: zeros
  std::ptrdiff_t start_row;  ///< 0: one row for all
  T* c;
  std::ptrdiff_t c_row;
};

/// The number of T in a SIMD vector.
template <class T>
std::size_t tile_lanes();

/// Computes the product, summing tiles of c in registers.
///
/// Each element is fma(a(i,k-1), b(k-1,j), ... fma(a(i,0), b(0,j), start(i,j))); where the
/// processor has no fma, product and sum are rounded separately. So its bits depend neither on m
/// nor on n nor on a split of k, and NaN and infinity go where this formula takes them.
template <class T>
void compute(const TiledProduct<T>& product);

/// The same, k > 0, in blocks of steps and on adjacent copies of b, which are made on the way: for
/// matrices that exceed the cache. It pays where 16 tiles and more share a copy.
template <class T>
void compute_copying_b(const TiledProduct<T>& product, std::size_t block_steps);

}  // namespace xgrad::detail
