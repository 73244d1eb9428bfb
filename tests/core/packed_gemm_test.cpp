#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/error.hpp>
#include <xgrad/core/kernels/packed_gemm.hpp>

#include "rounding.hpp"

namespace {

using xgrad::detail::packed_gemm;
using xgrad::detail::packed_panel;
using xgrad::detail::PackedMatrix;
using xgrad::detail::Start;

template <class T>
std::ptrdiff_t difference(T x) {
  return static_cast<std::ptrdiff_t>(x);
}

/// The same number bit for bit, or both NaN.
template <class T>
bool same(T x, T y) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<Bits>(x) == std::bit_cast<Bits>(y) || (std::isnan(x) && std::isnan(y));
}

template <class T>
T multiply_add(T x, T y, T z) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(x, y, z);
#else
  return x * y + z;
#endif
}

/// One product with all that surrounds it. Vectors end with the last element of their matrix, so
/// that the address sanitizer sees an access behind it.
template <class T>
struct Problem {
  std::size_t m, k, n, lda, ldc;
  bool b_transposed;
  bool accumulate;
  std::vector<T> a, b, c;

  static std::size_t extent(std::size_t rows, std::size_t cols, std::size_t ld) {
    return rows == 0 || cols == 0 ? 0 : (rows - 1) * ld + cols;
  }

  T& b_at(std::size_t i, std::size_t j) { return b[b_transposed ? j * k + i : i * n + j]; }
  T b_at(std::size_t i, std::size_t j) const { return b[b_transposed ? j * k + i : i * n + j]; }

  PackedMatrix<T> packed() const {
    return PackedMatrix<T>(b.data(), difference(b_transposed ? 1 : n),
                           difference(b_transposed ? k : 1), k, n);
  }

  /// c after the product of rows [row, row + rows) and columns [col_begin, col_end).
  void multiply(std::vector<T>& result, const PackedMatrix<T>& matrix, std::size_t row,
                std::size_t rows, std::size_t col_begin, std::size_t col_end) const {
    T* const from = result.data() + (n == 0 ? 0 : row * ldc);
    packed_gemm(rows, a.data() + (k == 0 ? 0 : row * lda), difference(lda), matrix,
                Start<T>{accumulate ? from : nullptr, difference(ldc)}, from, difference(ldc),
                col_begin, col_end);
  }

  std::vector<T> product() const {
    std::vector<T> result = c;
    multiply(result, packed(), 0, m, 0, n);
    return result;
  }

  /// What the formula in the header gives; everything between the rows of c stays.
  std::vector<T> expected() const {
    std::vector<T> result = c;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        T sum = accumulate ? c[i * ldc + j] : T(0);
        for (std::size_t p = 0; p < k; ++p) sum = multiply_add(a[i * lda + p], b_at(p, j), sum);
        result[i * ldc + j] = sum;
      }
    }
    return result;
  }

  std::string name() const {
    return "m=" + std::to_string(m) + " k=" + std::to_string(k) + " n=" + std::to_string(n) +
           " lda=" + std::to_string(lda) + " ldc=" + std::to_string(ldc) +
           (b_transposed ? " transposed" : "") + (accumulate ? " accumulate" : "");
  }
};

template <class T>
class PackedGemm : public testing::Test {
 protected:
  std::mt19937 random_{20240607};

  std::size_t integer(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_);
  }

  std::vector<T> numbers(std::size_t count) {
    std::vector<T> result(count);
    std::normal_distribution<T> normal;
    for (T& x : result) x = normal(random_);
    return result;
  }

  Problem<T> problem(std::size_t m, std::size_t k, std::size_t n) {
    Problem<T> p{.m = m,
                 .k = k,
                 .n = n,
                 .lda = k + integer(0, 5),
                 .ldc = n + integer(0, 5),
                 .b_transposed = integer(0, 1) == 1,
                 .accumulate = integer(0, 1) == 1,
                 .a = {},
                 .b = {},
                 .c = {}};
    p.a = numbers(Problem<T>::extent(m, k, p.lda));
    p.b = numbers(k * n);
    p.c = numbers(Problem<T>::extent(m, n, p.ldc));
    if (!p.accumulate) {  // what was there must not matter
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          p.c[i * p.ldc + j] = std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
    return p;
  }

  Problem<T> random_problem() { return problem(integer(0, 70), integer(0, 300), integer(0, 130)); }

  static void expect_same(const std::vector<T>& actual, const std::vector<T>& expected,
                          const Problem<T>& p) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_TRUE(same(actual[i], expected[i]))
          << p.name() << ": element (" << i / p.ldc << "," << i % p.ldc << ") is " << actual[i]
          << ", must be " << expected[i];
    }
  }
};

using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(PackedGemm, Types);

TYPED_TEST(PackedGemm, EveryElementIsTheDocumentedChain) {
  for (int repetition = 0; repetition < 60; ++repetition) {
    const auto p = this->random_problem();
    this->expect_same(p.product(), p.expected(), p);
  }
}

// Rows up to several tiles and around one and two blocks of rows, panels up to several tiles.
TYPED_TEST(PackedGemm, EveryTileShape) {
  const std::size_t panel = packed_panel<TypeParam>();
  for (std::size_t m = 0; m <= 130; m == 20 ? m = 63 : m == 66 ? m = 127 : ++m) {
    for (std::size_t n = 0; n <= 13 * panel; n += panel) {
      const auto whole = this->problem(m, this->integer(0, 9), n);
      this->expect_same(whole.product(), whole.expected(), whole);
      const auto partial = this->problem(m, this->integer(0, 9), n + this->integer(1, panel - 1));
      this->expect_same(partial.product(), partial.expected(), partial);
    }
  }
}

// Independent of fma: within the bound of any order of summation of the exact value.
TYPED_TEST(PackedGemm, IsTheProduct) {
  using T = TypeParam;
  for (int repetition = 0; repetition < 30; ++repetition) {
    const auto p = this->random_problem();
    const auto actual = p.product();
    for (std::size_t i = 0; i < p.m; ++i) {
      for (std::size_t j = 0; j < p.n; ++j) {
        long double exact = p.accumulate ? p.c[i * p.ldc + j] : T(0);
        long double magnitude = std::abs(exact);
        for (std::size_t l = 0; l < p.k; ++l) {
          const long double term =
              static_cast<long double>(p.a[i * p.lda + l]) * static_cast<long double>(p.b_at(l, j));
          exact += term;
          magnitude += std::abs(term);
        }
        const double bound = xgrad::testing::rounding_bound(
            xgrad::dtype_of<T>(), static_cast<double>(p.k + 1), static_cast<double>(magnitude));
        ASSERT_LE(std::abs(static_cast<long double>(actual[i * p.ldc + j]) - exact), bound)
            << p.name() << ": element (" << i << "," << j << ")";
      }
    }
  }
}

TYPED_TEST(PackedGemm, BitsDoNotDependOnTheColumnSplit) {
  const std::size_t panel = packed_panel<TypeParam>();
  for (int repetition = 0; repetition < 30; ++repetition) {
    const auto p = this->random_problem();
    const auto matrix = p.packed();
    auto split = p.c;
    for (std::size_t begin = 0; begin < p.n;) {
      const std::size_t end = std::min(p.n, begin + this->integer(1, 9) * panel);
      p.multiply(split, matrix, 0, p.m, begin, end);
      begin = end;
    }
    this->expect_same(split, p.product(), p);
  }
}

TYPED_TEST(PackedGemm, BitsDoNotDependOnTheOtherRows) {
  for (int repetition = 0; repetition < 30; ++repetition) {
    const auto p = this->random_problem();
    const auto matrix = p.packed();
    auto one_by_one = p.c;
    for (std::size_t i = 0; i < p.m; ++i) p.multiply(one_by_one, matrix, i, 1, 0, p.n);
    this->expect_same(one_by_one, p.product(), p);
  }
}

TYPED_TEST(PackedGemm, LeavesTheOtherColumnsAlone) {
  const std::size_t panel = packed_panel<TypeParam>();
  for (int repetition = 0; repetition < 30; ++repetition) {
    const auto p = this->problem(this->integer(1, 20), this->integer(0, 20), 6 * panel + 3);
    const std::size_t begin = this->integer(0, 6) * panel;
    const std::size_t end = this->integer(begin, p.n);
    auto actual = p.c;
    p.multiply(actual, p.packed(), 0, p.m, begin, end);
    auto expected = p.expected();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::size_t j = i % p.ldc;
      if (j < begin || j >= end) expected[i] = p.c[i];
    }
    this->expect_same(actual, expected, p);
  }
}

TYPED_TEST(PackedGemm, NanAndInfinityGoWhereTheFormulaTakesThem) {
  using T = TypeParam;
  const T special[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                       -std::numeric_limits<T>::infinity(), std::numeric_limits<T>::max(), T(0)};
  std::size_t nans = 0, infinities = 0, finite = 0;
  for (int repetition = 0; repetition < 60; ++repetition) {
    auto p = this->problem(this->integer(1, 40), this->integer(1, 60), this->integer(1, 100));
    for (int i = 0; i < 2; ++i) {
      p.a[this->integer(0, p.m - 1) * p.lda + this->integer(0, p.k - 1)] =
          special[this->integer(0, 4)];
      p.b_at(this->integer(0, p.k - 1), this->integer(0, p.n - 1)) = special[this->integer(0, 4)];
    }
    if (p.accumulate) p.c[this->integer(0, p.m - 1) * p.ldc] = special[this->integer(0, 4)];
    const auto actual = p.product();
    this->expect_same(actual, p.expected(), p);
    for (std::size_t i = 0; i < p.m; ++i) {
      for (std::size_t j = 0; j < p.n; ++j) {
        const T x = actual[i * p.ldc + j];
        ++(std::isnan(x) ? nans : std::isinf(x) ? infinities : finite);
      }
    }
  }
  EXPECT_GT(nans, 100U);
  EXPECT_GT(infinities, 100U);
  EXPECT_GT(finite, 100U);
}

// 0 * infinity in the columns that the last panel lacks.
TYPED_TEST(PackedGemm, PaddingDoesNotLeak) {
  using T = TypeParam;
  for (std::size_t n = 1; n <= 3 * packed_panel<T>(); ++n) {
    const std::size_t m = 9, k = 5;
    const std::vector<T> a(m * k, std::numeric_limits<T>::infinity()), b(k * n, T(1));
    std::vector<T> c(m * n, T(1));
    packed_gemm<T>(m, a.data(), difference(k), PackedMatrix<T>(b.data(), difference(n), 1, k, n),
                   Start<T>{c.data(), difference(n)}, c.data(), difference(n), 0, n);
    for (const T x : c) ASSERT_EQ(x, std::numeric_limits<T>::infinity()) << "n=" << n;
  }
}

TYPED_TEST(PackedGemm, EmptySizes) {
  using T = TypeParam;
  const T b[] = {1, 2, 3, 4, 5, 6};
  std::vector<T> c = {7, 8, 9};

  const PackedMatrix<T> no_rows(b, 3, 1, 0, 3);
  EXPECT_TRUE(no_rows.empty());
  EXPECT_EQ(no_rows.rows(), 0U);
  EXPECT_EQ(no_rows.cols(), 3U);
  packed_gemm<T>(1, nullptr, 0, no_rows, Start<T>{c.data(), 3}, c.data(), 3, 0, 3);
  EXPECT_EQ(c, (std::vector<T>{7, 8, 9}));
  packed_gemm<T>(1, nullptr, 0, no_rows, {}, c.data(), 3, 0, 3);
  EXPECT_EQ(c, (std::vector<T>{0, 0, 0}));

  const PackedMatrix<T> matrix(b, 3, 1, 2, 3);
  EXPECT_FALSE(matrix.empty());
  packed_gemm<T>(0, nullptr, 2, matrix, {}, nullptr, 3, 0, 3);
  packed_gemm<T>(1, b, 2, matrix, {}, c.data(), 3, 0, 0);
  EXPECT_EQ(c, (std::vector<T>{0, 0, 0}));

  const PackedMatrix<T> no_cols(b, 0, 1, 2, 0);
  EXPECT_TRUE(no_cols.empty());
  packed_gemm<T>(3, b, 2, no_cols, {}, nullptr, 0, 0, 0);

  const PackedMatrix<T> nothing;
  EXPECT_TRUE(nothing.empty());
  EXPECT_EQ(nothing.rows(), 0U);
  EXPECT_EQ(nothing.cols(), 0U);
}

TYPED_TEST(PackedGemm, LiesInPanelsFilledUpWithZeros) {
  using T = TypeParam;
  const std::size_t k = 7, panel = packed_panel<T>(), n = 2 * panel + 1;
  // The pool hands out the memory of this one again.
  PackedMatrix<T>(std::vector<T>(k * 3 * panel, T(5)).data(), 0, 0, k, 3 * panel);
  const auto b = this->numbers(k * n);
  const PackedMatrix<T> matrix(b.data(), difference(n), 1, k, n);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(matrix.data()) % 64, 0U);
  for (std::size_t i = 0; i < k; ++i) {
    for (std::size_t j = 0; j < 3 * panel; ++j) {
      ASSERT_EQ(matrix.data()[(j / panel * k + i) * panel + j % panel], j < n ? b[i * n + j] : T(0))
          << "element (" << i << "," << j << ")";
    }
  }
}

TYPED_TEST(PackedGemm, KeepsItsNumbers) {
  using T = TypeParam;
  PackedMatrix<T> copy;
  {
    std::vector<T> b = {1, 2, 3, 4};
    const PackedMatrix<T> matrix(b.data(), 2, 1, 2, 2);
    copy = matrix;
    b.assign(4, T(0));
  }
  const T a[] = {1, 10};
  T c[2] = {};
  packed_gemm<T>(1, a, 2, copy, {}, c, 2, 0, 2);
  EXPECT_EQ(c[0], T(31));
  EXPECT_EQ(c[1], T(42));
}

TYPED_TEST(PackedGemm, RefusesColumnsThatAreNotThere) {
  using T = TypeParam;
  const std::vector<T> b(50, T(1)), a(1, T(1));
  std::vector<T> c(50);
  const PackedMatrix<T> matrix(b.data(), 50, 1, 1, 50);
  const auto message = [&](std::size_t begin, std::size_t end) -> std::string {
    try {
      packed_gemm<T>(1, a.data(), 1, matrix, {}, c.data(), 50, begin, end);
    } catch (const xgrad::Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string rule =
      ": must begin at a multiple of " + std::to_string(packed_panel<T>()) + " and end within b";
  EXPECT_EQ(message(1, 50), "packed_gemm: columns [1,50) of 50" + rule);
  EXPECT_EQ(message(0, 51), "packed_gemm: columns [0,51) of 50" + rule);
  EXPECT_EQ(message(0, 50), "");
}

}  // namespace
