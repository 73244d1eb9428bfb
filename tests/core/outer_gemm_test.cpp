#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/kernels/outer_gemm.hpp>

namespace {

using xgrad::detail::outer_gemm;
using xgrad::detail::packed_panel;
using xgrad::detail::Start;

template <class T>
T multiply_add(T x, T y, T z) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(x, y, z);
#else
  return x * y + z;
#endif
}

enum class From { zero, result, matrix, row };

template <class T>
class OuterGemm : public testing::Test {
 protected:
  std::mt19937 random_{20261126};

  std::size_t integer(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_);
  }

  /// Ends with the matrix's last element, so that the address sanitizer sees an access behind it.
  std::vector<T> matrix(std::size_t rows, std::size_t cols, std::size_t ld) {
    std::vector<T> result(rows == 0 ? 0 : (rows - 1) * ld + cols);
    std::normal_distribution<T> normal;
    for (T& x : result) x = normal(random_);
    return result;
  }

  /// Compares every bit with the chain that the header documents.
  void check(std::size_t m, std::size_t n, std::size_t k, From from) {
    const std::size_t lda = m + integer(0, 5), ldb = n + integer(0, 5), ldc = n + integer(0, 5);
    const auto a = matrix(k, m, lda), b = matrix(k, n, ldb), other = matrix(m, n, n);
    auto c = matrix(m, n, ldc);
    if (from != From::result) {  // what was there must not matter
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          c[i * ldc + j] = std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
    auto expected = c;
    for (std::size_t i = 0; i < m; ++i) {
      T* const row = expected.data() + i * ldc;
      for (std::size_t j = 0; j < n; ++j) {
        row[j] = from == From::zero     ? T(0)
                 : from == From::result ? c[i * ldc + j]
                 : from == From::matrix ? other[i * n + j]
                                        : other[j];
      }
      for (std::size_t p = 0; p < k; ++p) {
        for (std::size_t j = 0; j < n; ++j) {
          row[j] = multiply_add(a[p * lda + i], b[p * ldb + j], row[j]);
        }
      }
    }
    const auto step = [](std::size_t x) { return static_cast<std::ptrdiff_t>(x); };
    const Start<T> start = from == From::zero     ? Start<T>{}
                           : from == From::result ? Start<T>{c.data(), step(ldc)}
                           : from == From::matrix ? Start<T>{other.data(), step(n)}
                                                  : Start<T>{other.data(), 0};
    outer_gemm(m, n, k, a.data(), step(lda), b.data(), step(ldb), start, c.data(), step(ldc));
    for (std::size_t i = 0; i < c.size(); ++i) {
      ASSERT_TRUE(c[i] == expected[i] || (std::isnan(c[i]) && std::isnan(expected[i])))
          << "m=" << m << " n=" << n << " k=" << k << ": element (" << i / ldc << "," << i % ldc
          << ") is " << c[i] << ", must be " << expected[i];
    }
  }
};

using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(OuterGemm, Types);

constexpr From all[] = {From::zero, From::result, From::matrix, From::row};

TYPED_TEST(OuterGemm, EveryElementIsTheDocumentedChain) {
  for (int repetition = 0; repetition < 15; ++repetition) {
    for (const From from : all) {
      this->check(this->integer(0, 40), this->integer(0, 130), this->integer(0, 60), from);
    }
  }
}

// Around one and two blocks of rows with any instruction set.
TYPED_TEST(OuterGemm, BlocksOfRows) {
  for (const std::size_t k : {127U, 128U, 129U, 383U, 384U, 385U, 800U}) {
    for (const From from : all) this->check(9, packed_panel<TypeParam>() + 3, k, from);
  }
}

TYPED_TEST(OuterGemm, EveryTileShape) {
  const std::size_t panel = packed_panel<TypeParam>();
  for (std::size_t m = 1; m <= 20; ++m) {
    for (std::size_t n = 1; n <= 7 * panel; n += this->integer(1, panel)) {
      this->check(m, n, this->integer(1, 9), From::zero);
    }
  }
}

// So many rows of c that b is copied.
TYPED_TEST(OuterGemm, TallResult) {
  const std::size_t panel = packed_panel<TypeParam>();
  for (const std::size_t m : {127U, 128U, 129U, 150U}) {
    for (const std::size_t n :
         {std::size_t(1), 5 * panel, 6 * panel - 3, 12 * panel, 12 * panel + 3}) {
      for (const std::size_t k : {1U, 5U, 384U, 400U, 1000U}) {
        for (const From from : all) this->check(m, n, k, from);
      }
    }
  }
}

}  // namespace
