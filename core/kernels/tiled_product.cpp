#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include <xgrad/core/kernels/simd.hpp>
#include <xgrad/core/kernels/tiled_product.hpp>
#include <xgrad/core/runtime/buffer.hpp>

namespace xgrad::detail {
namespace {

template <class T>
using Batch = xsimd::batch<T>;

template <class T>
constexpr std::size_t lanes = Batch<T>::size;

// A tile of c, rows x vectors, is summed in registers: in 24 of the 32 that AVX-512 and ARM have,
// elsewhere in 12 of 16; the others are for a and b. Few rows take many vectors, lest each sum wait
// for its last fma.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t max_rows = 8;
#else
constexpr std::size_t max_rows = 4;
#endif
constexpr std::size_t max_tile = 3 * max_rows;
constexpr std::size_t max_vectors(std::size_t rows) {
  return std::min<std::size_t>(6, max_tile / rows);
}

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

/// The size of the i-th of `parts` nearly equal parts of `total`.
constexpr std::size_t part_of(std::size_t total, std::size_t i, std::size_t parts) {
  return total * (i + 1) / parts - total * i / parts;
}

/// f(0), ... f(N - 1) with constant arguments: only then does g++ keep an array in registers.
template <std::size_t N, class F>
[[gnu::always_inline]] inline void unroll(F f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(std::integral_constant<std::size_t, I>()), ...);
  }
  (std::make_index_sequence<N>());
}

/// Rows of b to be copied, that they lie adjacent, for another column of tiles.
template <class T>
struct Copy {
  const T* from = nullptr;
  std::ptrdiff_t from_row = 0;
  T* to = nullptr;
  std::size_t rows = 0;
};

/// What is done for later tiles on the way.
template <class T>
struct Aside {
  const T* next_start = nullptr;  ///< of the next tile: its rows are fetched
  const T* next_c = nullptr;
  Copy<T> copy = {};
  const T* fetch = nullptr;  ///< as many rows, which the next tile copies
};

/// A product of R x V vectors. Rows of start, c and b lie pages apart, where no hardware foresees
/// them; they are fetched a few at a time between the steps, which many misses at once would delay.
template <class T, std::size_t R, std::size_t V>
void compute_tile(const TiledProduct<T>& p, const Aside<T>& aside) {
  Batch<T> sum[R][V];
  const auto each = [](auto f) { unroll<R>([&](auto r) { unroll<V>([&](auto v) { f(r, v); }); }); };
  if (p.start) {
    each([&](auto r, auto v) {
      sum[r][v] = Batch<T>::load_unaligned(p.start + offset(r, p.start_row) + v * lanes<T>);
    });
  } else {
    each([&](auto r, auto v) { sum[r][v] = Batch<T>(T(0)); });
  }
  const T* a = p.a;
  const T* lower_a = p.a + offset(R / 2, p.a_row);  // with fewer multiples of a_row in registers
  const T* b = p.b;
  const std::ptrdiff_t a_row = p.a_row;
  const std::ptrdiff_t a_step = p.a_step;
  const std::ptrdiff_t b_vector = p.b_vector;
  const std::ptrdiff_t b_step = p.b_step;
  for (std::size_t part = 0; part < R; ++part) {
    if (aside.next_start) {
      const T* row = aside.next_start + offset(part, p.start_row);
      unroll<V>([&](auto v) { __builtin_prefetch(row + v * lanes<T>); });
    }
    if (aside.next_c) {
      const T* row = aside.next_c + offset(part, p.c_row);
      unroll<V>([&](auto v) { __builtin_prefetch(row + v * lanes<T>, 1); });
    }
    for (std::size_t i = aside.copy.rows * part / R; i < aside.copy.rows * (part + 1) / R; ++i) {
      const T* from = aside.copy.from + offset(i, aside.copy.from_row);
      const T* fetch = aside.fetch + offset(i, aside.copy.from_row);
      T* to = aside.copy.to + i * V * lanes<T>;
      unroll<V>([&](auto v) {
        __builtin_prefetch(fetch + v * lanes<T>);
        Batch<T>::load_unaligned(from + v * lanes<T>).store_unaligned(to + v * lanes<T>);
      });
    }
    for (std::size_t steps = part_of(p.k, part, R); steps > 0; --steps) {
      Batch<T> row[V];
      unroll<V>([&](auto v) { row[v] = Batch<T>::load_unaligned(b + offset(v, b_vector)); });
      unroll<R>([&](auto r) {
        const Batch<T> x(r < R / 2 ? a[offset(r, a_row)] : lower_a[offset(r - R / 2, a_row)]);
        unroll<V>([&](auto v) { sum[r][v] = multiply_add<T>(x, row[v], sum[r][v]); });
      });
      a += a_step;
      lower_a += a_step;
      b += b_step;
    }
  }
  T* const c = p.c;
  const std::ptrdiff_t c_row = p.c_row;
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

/// The tile p, in which c ends within the last vector: the rest of it exists in a buffer only.
template <class T>
void compute_narrow_tile(TiledProduct<T> p, Kernel<T> kernel, std::size_t rows,
                         std::size_t vectors) {
  T buffer[max_tile * lanes<T>];
  const std::size_t width = vectors * lanes<T>;
  std::fill_n(buffer, rows * width, T(0));
  for (std::size_t r = 0; r < rows && p.start; ++r) {
    load_row(p.start + offset(r, p.start_row), p.n, vectors, buffer + r * width);
  }
  T* const c = p.c;
  const std::ptrdiff_t c_row = p.c_row;
  p.start = p.c = buffer;
  p.start_row = p.c_row = offset(width, 1);
  kernel(p, {});
  for (std::size_t r = 0; r < rows; ++r) {
    store_row(buffer + r * width, p.n, vectors, c + offset(r, c_row));
  }
}

/// The tiles of one column of tiles. Rows are copied only if it consists of whole vectors.
template <class T>
void compute_column(const TiledProduct<T>& column, std::size_t vectors, bool is_last,
                    const Copy<T>& copy = {}) {
  const std::size_t width = vectors * lanes<T>;
  const bool fetches_start = column.start && column.start_row > 0 && column.start != column.c;
  TiledProduct<T> p = column;
  Aside<T> aside;
  aside.copy = copy;
  std::size_t rows_left = copy.rows;
  std::size_t tiles_left = divide_up(column.m, max_rows);
  for_each_piece(column.m, max_rows, [&](std::size_t, std::size_t rows) {
    const Kernel<T> kernel = kernels<T>[rows - 1][vectors - 1];
    const std::ptrdiff_t start_step = offset(rows, p.start_row);
    const std::ptrdiff_t c_step = offset(rows, p.c_row);
    if (p.n < width) {
      compute_narrow_tile(p, kernel, rows, vectors);
    } else {
      if (tiles_left > 1) {
        aside.next_start = fetches_start ? p.start + start_step : nullptr;
        aside.next_c = p.c + c_step;
      } else {
        aside.next_start = fetches_start && !is_last ? column.start + width : nullptr;
        aside.next_c = is_last ? nullptr : column.c + width;
      }
      aside.copy.rows = rows_left / tiles_left;
      const std::ptrdiff_t from_step = offset(aside.copy.rows, copy.from_row);
      aside.fetch = tiles_left > 1 ? aside.copy.from + from_step : aside.copy.from;
      kernel(p, aside);
      aside.copy.from += from_step;
      aside.copy.to += aside.copy.rows * width;
      rows_left -= aside.copy.rows;
    }
    p.a += offset(rows, p.a_row);
    if (p.start) p.start += start_step;
    p.c += c_step;
    --tiles_left;
  });
}

/// A column of tiles in a block of steps.
struct Column {
  std::size_t step, steps;
  std::size_t vector, vectors;
  std::size_t numbers;  ///< in a row; less than the vectors hold where b ends
  bool is_last;         ///< of the block
};

}  // namespace

template <class T>
std::size_t tile_lanes() {
  return lanes<T>;
}

template <class T>
void compute(const TiledProduct<T>& product) {
  if (product.m == 0 || product.n == 0) return;
  TiledProduct<T> whole = product;
  if (product.k == 0) whole.a_row = whole.b_vector = 0;  // a and b may be null
  const std::size_t tallest = divide_up(product.m, divide_up(product.m, max_rows));
  const std::size_t all = divide_up(product.n, lanes<T>);
  for_each_piece(all, max_vectors(tallest), [&](std::size_t first, std::size_t vectors) {
    const std::size_t col = first * lanes<T>;
    TiledProduct<T> column = whole;
    column.n = std::min(vectors * lanes<T>, product.n - col);
    column.b += offset(first, whole.b_vector);
    column.start = product.start ? product.start + col : nullptr;
    column.c += col;
    if (product.b_is_padded || column.n == vectors * lanes<T>) {
      return compute_column(column, vectors, first + vectors == all);
    }
    const auto padded = Buffer::allocate(product.k * vectors * lanes<T> * sizeof(T));
    T* const to = reinterpret_cast<T*>(padded->data());
    const std::ptrdiff_t row = offset(vectors * lanes<T>, 1);
    for (std::size_t step = 0; step < column.k; ++step) {
      load_row(column.b + offset(step, column.b_step), column.n, vectors, to + offset(step, row));
    }
    column.b = to;
    column.b_step = row;
    compute_column(column, vectors, first + vectors == all);
  });
}

template <class T>
void compute_copying_b(const TiledProduct<T>& product, std::size_t block_steps) {
  const std::size_t tallest = divide_up(product.m, divide_up(product.m, max_rows));
  const std::size_t vectors = divide_up(product.n, lanes<T>);
  const std::size_t columns = divide_up(vectors, max_vectors(tallest));
  const std::size_t all = columns * divide_up(product.k, block_steps);
  const auto column_at = [&](std::size_t i) {
    Column at;
    at.step = i / columns * block_steps;
    at.steps = std::min(block_steps, product.k - at.step);
    // Narrow columns first, for the copy of one is made beside one as wide.
    const std::size_t j = i % columns;
    const std::size_t narrow = columns - vectors % columns;
    at.vectors = vectors / columns + (j < narrow ? 0 : 1);
    at.vector = j * (vectors / columns) + (j < narrow ? 0 : j - narrow);
    at.numbers = std::min(at.vectors * lanes<T>, product.n - at.vector * lanes<T>);
    at.is_last = j + 1 == columns;
    return at;
  };
  const std::size_t most = block_steps * max_vectors(tallest) * lanes<T>;
  const auto memory = Buffer::allocate(2 * most * sizeof(T));
  const auto copy_for = [&](std::size_t i) {
    const Column at = column_at(i);
    T* const to = reinterpret_cast<T*>(memory->data()) + i % 2 * most;
    return Copy<T>{
        product.b + offset(at.step, product.b_step) + offset(at.vector, product.b_vector),
        product.b_step, to, at.steps};
  };
  bool is_copied = false;
  for (std::size_t i = 0; i < all; ++i) {
    const Column at = column_at(i);
    const Copy<T> copy = copy_for(i);
    const std::size_t width = at.vectors * lanes<T>;
    for (std::size_t row = 0; row < copy.rows && !is_copied; ++row) {
      load_row(copy.from + offset(row, copy.from_row), at.numbers, at.vectors,
               copy.to + row * width);
    }
    TiledProduct<T> column = product;
    column.n = at.numbers;
    column.k = at.steps;
    column.a += offset(at.step, product.a_step);
    column.b = copy.to;
    column.b_vector = offset(lanes<T>, 1);
    column.b_step = offset(width, 1);
    column.c += at.vector * lanes<T>;
    if (at.step > 0) {
      column.start = column.c;
      column.start_row = column.c_row;
    } else if (column.start) {
      column.start += at.vector * lanes<T>;
    }
    // The next copy is made on the way where that column consists of as many whole vectors.
    is_copied = i + 1 < all && at.numbers == width && column_at(i + 1).numbers == width;
    compute_column(column, at.vectors, at.is_last, is_copied ? copy_for(i + 1) : Copy<T>());
  }
}

template std::size_t tile_lanes<float>();
template std::size_t tile_lanes<double>();
template void compute(const TiledProduct<float>&);
template void compute(const TiledProduct<double>&);
template void compute_copying_b(const TiledProduct<float>&, std::size_t);
template void compute_copying_b(const TiledProduct<double>&, std::size_t);

}  // namespace xgrad::detail
