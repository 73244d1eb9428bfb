#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad {
namespace {

enum class Layout { rows, columns, gaps };
enum class From { nothing, result, matrix, columns, row };

/// Small whole numbers, whose products and sums are exact in every dtype and in any order.
double entry(std::uint64_t seed, Index i, Index j) {
  const auto at = static_cast<std::uint64_t>(i) * 1'000'003u + static_cast<std::uint64_t>(j);
  return static_cast<double>(((at + seed) * 0x9E3779B97F4A7C15u) >> 61) - 3;
}

/// A matrix of such numbers: row-major, the transpose of a row-major one (both with gaps between
/// the rows), or with gaps along both axes, as BLAS cannot take it.
Tensor matrix(std::uint64_t seed, Index rows, Index cols, Layout layout, DType dtype) {
  const bool columns = layout == Layout::columns;
  const Index step = layout == Layout::gaps ? 2 : 1;
  const Index leading = (columns ? rows : cols) * step + 3;
  const Tensor memory = Tensor::full({columns ? cols : rows, leading},
                                     std::numeric_limits<double>::quiet_NaN(), dtype);
  const Shape strides = columns ? Shape{1, leading} : Shape{leading, step};
  dispatch(dtype, [&]<class T>() {
    T* const data = memory.mutable_data<T>();
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        data[i * strides[0] + j * strides[1]] = static_cast<T>(entry(seed, i, j));
      }
    }
  });
  return memory.view(memory.bytes(), {rows, cols}, strides);
}

class Gemm : public testing::TestWithParam<DType> {
 protected:
  ~Gemm() override { set_threads(1); }

  /// Every layout of a and b and every start, for c = start + a.b of (m,k).(k,n).
  void check(Index m, Index k, Index n) {
    SCOPED_TRACE(testing::Message() << "(" << m << "," << k << ").(" << k << "," << n << ")");
    expect_product(m, k, n);
    for (const Layout of_a : {Layout::rows, Layout::columns, Layout::gaps}) {
      for (const Layout of_b : {Layout::rows, Layout::columns, Layout::gaps}) {
        const Tensor a = matrix(1, m, k, of_a, GetParam());
        const Tensor b = matrix(2, k, n, of_b, GetParam());
        SCOPED_TRACE(testing::Message()
                     << "layouts " << static_cast<int>(of_a) << " " << static_cast<int>(of_b));
        for (const From from :
             {From::nothing, From::result, From::matrix, From::columns, From::row}) {
          check(a, b, from, nullptr);
        }
      }
      // Products with weights and with their transpose, which are packed.
      detail::Weights weights;
      const Tensor a = matrix(1, m, k, of_a, GetParam());
      const Tensor b = matrix(2, k, n, Layout::rows, GetParam());
      weights.value = b;
      check(a, b, From::nothing, &weights);
      check(a, b, From::row, &weights);
      check(a, b, From::matrix, &weights);
      weights.value = b.view(b.bytes(), {n, k}, {b.strides()[1], b.strides()[0]});
      weights.version = 1;
      check(a, b, From::result, &weights);
      check(a, b, From::columns, &weights);
    }
  }

 private:
  void check(const Tensor& a, const Tensor& b, From from, detail::Weights* weights) {
    const Index m = a.shape()[0], n = b.shape()[1];
    SCOPED_TRACE(testing::Message()
                 << "start " << static_cast<int>(from) << ", " << (weights ? "packed" : "plain"));
    // c is row-major (its rows may have gaps) or the transpose of such a matrix.
    for (const Layout of_c : {Layout::rows, Layout::columns}) {
      const bool onto = from == From::matrix || from == From::columns || from == From::row;
      if (onto && of_c == Layout::columns) continue;
      for (const int count : {1, 2, 3}) {
        set_threads(count);
        SCOPED_TRACE(testing::Message() << count << " threads, c " << static_cast<int>(of_c));
        if (onto) {
          const Tensor start =
              matrix(3, from == From::row ? 1 : m, n,
                     from == From::columns ? Layout::columns : Layout::rows, GetParam());
          const Tensor c =
              Tensor::full({m, n}, std::numeric_limits<double>::quiet_NaN(), GetParam());
          detail::gemm_onto(start, a, b, c, weights);
          expect(c, from);
        } else {
          const Tensor c = matrix(3, m, n, of_c, GetParam());
          detail::gemm(a, b, c, from == From::result, weights);
          expect(c, from);
        }
      }
    }
  }

  /// What each start gives, in naive loops.
  void expect_product(Index m, Index k, Index n) {
    const std::vector<double> a = matrix(1, m, k, Layout::rows, DType::float64).to_vector();
    const std::vector<double> b = matrix(2, k, n, Layout::rows, DType::float64).to_vector();
    for (const From from : {From::nothing, From::matrix, From::row}) {
      std::vector<double>& c = expected_[from];
      c.assign(static_cast<std::size_t>(m * n), 0);
      for (Index i = 0; i < m; ++i) {
        double* const row = c.data() + i * n;
        for (Index j = 0; j < n && from != From::nothing; ++j) {
          row[j] = entry(3, from == From::row ? 0 : i, j);
        }
        for (Index p = 0; p < k; ++p) {
          const double x = a[static_cast<std::size_t>(i * k + p)];
          const double* const other = b.data() + p * n;
          for (Index j = 0; j < n; ++j) row[j] += x * other[j];
        }
      }
    }
    expected_[From::result] = expected_[From::columns] = expected_[From::matrix];
  }

  void expect(const Tensor& c, From from) {
    const std::vector<double> values = c.to_vector();
    const auto [value, right] =
        std::mismatch(values.begin(), values.end(), expected_[from].begin());
    if (value == values.end()) return;
    const Index at = value - values.begin();
    ADD_FAILURE() << "element (" << at / c.shape()[1] << "," << at % c.shape()[1] << ") is "
                  << *value << ", not " << *right;
  }

  std::map<From, std::vector<double>> expected_;
};

TEST_P(Gemm, SmallAndWithoutElements) {
  for (const Index m : {0, 1, 2, 9}) {
    for (const Index k : {0, 1, 5}) {
      for (const Index n : {0, 1, 3, 17}) check(m, k, n);
    }
  }
}

// Threads share the rows of c from 256 on, or where b is small; else the columns.
TEST_P(Gemm, OfAFewThreads) {
  check(24, 300, 130);
  check(300, 60, 70);
  check(40, 300, 1800);
}

// BLAS is given two parts from 4e6 multiplications on, four from 4e7 on: rows of c, or columns.
TEST_P(Gemm, InParts) {
  check(200, 200, 130);
  check(130, 200, 200);
}

class LargeGemm : public Gemm {};

TEST_P(LargeGemm, InFourParts) {
  check(384, 420, 260);
  check(260, 420, 384);
}

// The parts depend on the shape alone, since BLAS may round another part of a product otherwise.
TEST_P(LargeGemm, TheBitsDoNotDependOnTheThreads) {
  for (const auto& [m, k, n] : {std::tuple{200, 200, 131},
                                {131, 200, 203},
                                {390, 421, 261},
                                {261, 421, 390},
                                {1001, 65, 131}}) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      Generator random(3);
      const Tensor a = random.normal({k, m}, 0, 1, dtype);
      const Tensor b = random.normal({n, k}, 0, 1, dtype);
      const Tensor c = Tensor::uninitialized({m, n}, dtype);
      std::vector<double> expected;
      for (const int count : {1, 2, 3, 8}) {
        set_threads(count);
        detail::gemm(detail::transposed_view(a), detail::transposed_view(b), c, false);
        if (count == 1) expected = c.to_vector();
        EXPECT_EQ(c.to_vector(), expected) << count << " threads";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, LargeGemm, testing::Values(DType::float32),
                         [](const auto& each) { return std::string(name(each.param)); });
INSTANTIATE_TEST_SUITE_P(DTypes, Gemm,
                         testing::Values(DType::float32, DType::float64, DType::complex128),
                         [](const auto& each) { return std::string(name(each.param)); });

}  // namespace
}  // namespace xgrad
