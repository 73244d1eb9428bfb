#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include <xgrad/core/pool.hpp>
#include <xgrad/core/simd.hpp>
#include <xgrad/core/tiled_product.hpp>

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

constexpr std::size_t steps_of_a_fetch = 192;  // from so many on they take longer than a fetch

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

/// R x V vectors of c. The arguments are those of TiledProduct.
template <class T, std::size_t R, std::size_t V>
void compute_tile(std::size_t k, const T* a, std::ptrdiff_t a_row, std::ptrdiff_t a_step,
                  const T* b, std::ptrdiff_t b_vector, std::ptrdiff_t b_step, const T* start,
                  std::ptrdiff_t start_row, T* c, std::ptrdiff_t c_row) {
  Batch<T> sum[R][V];
  const auto each = [](auto f) { unroll<R>([&](auto r) { unroll<V>([&](auto v) { f(r, v); }); }); };
  if (start) {
    each([&](auto r, auto v) {
      sum[r][v] = Batch<T>::load_unaligned(start + offset(r, start_row) + v * lanes<T>);
    });
  } else {
    each([&](auto r, auto v) { sum[r][v] = Batch<T>(T(0)); });
  }
  for (; k > 0; --k, a += a_step, b += b_step) {
    Batch<T> row[V];
    unroll<V>([&](auto v) { row[v] = Batch<T>::load_unaligned(b + offset(v, b_vector)); });
    unroll<R>([&](auto r) {
      const Batch<T> x(a[offset(r, a_row)]);
      unroll<V>([&](auto v) { sum[r][v] = multiply_add<T>(x, row[v], sum[r][v]); });
    });
  }
  each([&](auto r, auto v) { sum[r][v].store_unaligned(c + offset(r, c_row) + v * lanes<T>); });
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

/// A row of n numbers in `vectors` vectors, with zeros behind it.
template <class T>
void load_row(const T* from, std::size_t n, std::size_t vectors, T* to) {
  const std::size_t whole = (vectors - 1) * lanes<T>;
  for (std::size_t i = 0; i < whole; i += lanes<T>) {
    Batch<T>::load_unaligned(from + i).store_unaligned(to + i);
  }
  simd_load(from + whole, static_cast<Index>(n - whole)).store_unaligned(to + whole);
}

/// The first n numbers of such a row.
template <class T>
void store_row(const T* from, std::size_t n, std::size_t vectors, T* to) {
  const std::size_t whole = (vectors - 1) * lanes<T>;
  for (std::size_t i = 0; i < whole; i += lanes<T>) {
    Batch<T>::load_unaligned(from + i).store_unaligned(to + i);
  }
  simd_store<T>(to + whole, static_cast<Index>(n - whole), Batch<T>::load_unaligned(from + whole));
}

/// The tiles of one column of tiles.
template <class T>
void compute_column(const TiledProduct<T>& p, std::size_t vectors) {
  const std::size_t tile_cols = vectors * lanes<T>;
  const std::ptrdiff_t copy_row = offset(tile_cols, 1);
  for_each_piece(p.m, max_rows, [&](std::size_t row, std::size_t rows) {
    const Kernel<T> kernel = kernels<T>[rows - 1][vectors - 1];
    const T* a = p.a + offset(row, p.a_row);
    const T* start = p.start ? p.start + offset(row, p.start_row) : nullptr;
    T* c = p.c + offset(row, p.c_row);
    if (p.n == tile_cols) {
      // The next tile's start, whose rows no hardware foresees, is fetched meanwhile.
      if (p.k >= steps_of_a_fetch && start && p.start_row > 0 && row + rows < p.m) {
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t v = 0; v < vectors; ++v) {
            __builtin_prefetch(start + offset(rows + r, p.start_row) + v * lanes<T>);
          }
        }
      }
      kernel(p.k, a, p.a_row, p.a_step, p.b, p.b_vector, p.b_step, start, p.start_row, c, p.c_row);
      return;
    }
    // c ends within the last vector: the rest of it exists in a copy only
    T copy[max_tile * lanes<T>];
    std::fill_n(copy, rows * tile_cols, T(0));
    for (std::size_t r = 0; r < rows && start; ++r) {
      load_row(start + offset(r, p.start_row), p.n, vectors, copy + offset(r, copy_row));
    }
    kernel(p.k, a, p.a_row, p.a_step, p.b, p.b_vector, p.b_step, copy, copy_row, copy, copy_row);
    for (std::size_t r = 0; r < rows; ++r) {
      store_row(copy + offset(r, copy_row), p.n, vectors, c + offset(r, p.c_row));
    }
  });
}

}  // namespace

template <class T>
std::size_t tile_lanes() {
  return lanes<T>;
}

template <class T>
void compute(const TiledProduct<T>& product) {
  if (product.m == 0 || product.n == 0) return;
  const std::size_t tallest = divide_up(product.m, divide_up(product.m, max_rows));
  const std::size_t all = divide_up(product.n, lanes<T>);
  for_each_piece(all, max_vectors(tallest), [&](std::size_t first, std::size_t vectors) {
    const std::size_t col = first * lanes<T>;
    TiledProduct<T> column = product;
    column.n = std::min(vectors * lanes<T>, product.n - col);
    column.b += offset(first, product.b_vector);
    column.start = product.start ? product.start + col : nullptr;
    column.c += col;
    if (product.b_is_padded || column.n == vectors * lanes<T>) {
      return compute_column(column, vectors);
    }
    const auto padded = Buffer::allocate(product.k * vectors * lanes<T> * sizeof(T));
    T* const to = reinterpret_cast<T*>(padded->data());
    const std::ptrdiff_t row = offset(vectors * lanes<T>, 1);
    for (std::size_t step = 0; step < column.k; ++step) {
      load_row(column.b + offset(step, column.b_step), column.n, vectors, to + offset(step, row));
    }
    column.b = to;
    column.b_step = row;
    compute_column(column, vectors);
  });
}

template std::size_t tile_lanes<float>();
template std::size_t tile_lanes<double>();
template void compute(const TiledProduct<float>&);
template void compute(const TiledProduct<double>&);

}  // namespace xgrad::detail
