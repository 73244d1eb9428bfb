#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/kernels/column_sums.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/core/var.hpp>

#include "rounding.hpp"

namespace xgrad::detail {
namespace {

// Whole numbers, whose sums are exact in any order.
Tensor matrix(Index rows, Index cols, DType dtype) {
  std::vector<double> values(static_cast<std::size_t>(rows * cols));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 23);
  return Tensor({rows, cols}, values).to(dtype);
}

TEST(RowSum, IsTheSumOfAllRows) {
  for (const DType dtype : {DType::float32, DType::float64, DType::complex128}) {
    for (const Index rows : {1, 2, 7, 8, 9, 16, 23, 256, 257, 600}) {
      for (const Index cols : {1, 3, 16, 33, 200}) {
        const Tensor x = matrix(rows, cols, dtype);
        for (const bool assign : {false, true}) {
          const Tensor sum = Tensor::full({cols}, 100, dtype);
          sum_rows(x, rows, sum.bytes(), assign);
          std::vector<double> expected(static_cast<std::size_t>(cols), assign ? 0 : 100);
          const std::vector<double> values = matrix(rows, cols, DType::float64).to_vector();
          for (std::size_t i = 0; i < values.size(); ++i) {
            expected[i % expected.size()] += values[i];
          }
          EXPECT_EQ(sum.to(DType::float64).to_vector(), expected) << rows << " x " << cols;
        }
      }
    }
  }
}

TEST(RowSum, HasTheSameBitsForEveryNumberOfThreads) {
  std::vector<float> values(300 * 501);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 1 / static_cast<float>(i % 1009 + 1);
  }
  const Tensor x({300, 501}, values);
  std::vector<std::vector<double>> sums;
  for (const int n : {1, 2, 3, 8}) {
    set_threads(n);
    const Tensor sum = Tensor::zeros({501});
    sum_rows(x, 300, sum.bytes(), false);
    sums.push_back(sum.to_vector());
  }
  set_threads(1);
  for (const auto& sum : sums) EXPECT_EQ(sum, sums[0]);
}

// One after the other they would be off by 1e-3.
TEST(RowSum, OfManyRowsIsRoundedAFewTimes) {
  const Index rows = 100'000;
  const Tensor x = Tensor::full({rows, 3}, 2.2);
  const Tensor sum = Tensor::full({3}, 1);
  const double exact = static_cast<double>(2.2F) * static_cast<double>(rows);
  for (const bool assign : {false, true}) {
    sum_rows(x, rows, sum.bytes(), assign);
    // Each part, and the sum of the parts, is rounded as often as it has terms.
    const double roundings =
        static_cast<double>(rows_of_a_sum + (rows + rows_of_a_sum - 1) / rows_of_a_sum + 1);
    const double bound = testing::rounding_bound(DType::float32, roundings, exact);
    for (const double s : sum.to_vector()) EXPECT_NEAR(s, exact, bound + (assign ? 0 : 1));
  }
}

TEST(RowSum, KnowsTheRowsOfAnArray) {
  EXPECT_TRUE(has_rows_of({2, 3, 4}, {4}));
  EXPECT_TRUE(has_rows_of({2, 3, 4}, {3, 4}));
  EXPECT_TRUE(has_rows_of({2, 3, 4}, {1, 1, 4}));
  EXPECT_FALSE(has_rows_of({2, 3, 4}, {2, 3, 4}));
  EXPECT_FALSE(has_rows_of({2, 3, 4}, {2, 1, 4}));
  EXPECT_FALSE(has_rows_of({2, 3, 4}, {3, 1}));
  EXPECT_FALSE(has_rows_of({2, 3, 4}, {1}));
  EXPECT_FALSE(has_rows_of({2, 3, 4}, {}));
}

}  // namespace
}  // namespace xgrad::detail
