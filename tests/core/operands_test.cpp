// What may stand beside a Var in an expression, and where a list of numbers may come from.

#include <array>
#include <span>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

using Values = std::vector<double>;

Values values(const Var& x) { return x.tensor().to_vector(); }

struct Operands : ::testing::Test {
  const Var x = parameter(Tensor({2, 2}, {1, 2, 3, 4}), "x");
  const xt::xarray<float> array{{4, 3}, {2, 1}};
};

TEST_F(Operands, XtensorArraysOnBothSides) {
  EXPECT_EQ(values(x * array), (Values{4, 6, 6, 4}));
  EXPECT_EQ(values(array * x), (Values{4, 6, 6, 4}));
  EXPECT_EQ(values(x - xt::xarray<float>{1, 2}), (Values{0, 0, 2, 2}));
  EXPECT_EQ(values((array + array) / x), (Values{8, 3, 4.0f / 3, 0.5}));
  EXPECT_EQ(values(xt::xtensor<int, 1>{1, 2} + x * x), (Values{2, 6, 10, 18}));
  EXPECT_EQ(values(array - square(x)), (Values{3, -1, -7, -15}));
}

TEST_F(Operands, XtensorArraysInFunctionsAndComparisons) {
  EXPECT_EQ(values(maximum(x, array)), (Values{4, 3, 3, 4}));
  EXPECT_EQ(values(where(x > 2, array, x)), (Values{1, 2, 2, 1}));
  EXPECT_EQ(values(where(array, x, 0)), (Values{1, 2, 3, 4}));
  EXPECT_EQ(values(pow(x, array)), (Values{1, 8, 9, 4}));
  EXPECT_EQ(values(array > x), (Values{1, 1, 0, 0}));
  EXPECT_EQ(values(x <= array), (Values{1, 1, 0, 0}));
  EXPECT_EQ(values(equal(array, x)), (Values{0, 0, 0, 0}));
}

TEST_F(Operands, ArraysAreConstants) {
  Tape tape;
  tape.backward(sum(array * x * x));
  EXPECT_EQ(x.grad().to_vector(), (Values{8, 12, 12, 8}));
}

TEST_F(Operands, Tensors) {
  const Tensor t({2}, {10, 20});
  EXPECT_EQ(values(x + t), (Values{11, 22, 13, 24}));
  EXPECT_EQ(values(t / x), (Values{10, 10, 10.0f / 3, 5}));
  EXPECT_EQ(values(t * t), (Values{100, 400}));
  EXPECT_EQ(values(2 * t - array), (Values{16, 37, 18, 39}));
  EXPECT_EQ(values(relu(t)), (Values{10, 20}));
}

TEST_F(Operands, XtensorsOwnExpressionsStayItsOwn) {
  const auto sum = array + array;
  static_assert(detail::XtensorExpression<std::decay_t<decltype(sum)>>);
  static_assert(!detail::Operands<xt::xarray<float>, xt::xarray<float>>);
  static_assert(!detail::Operands<xt::xarray<float>, float>);
}

TEST_F(Operands, AnAxisIsANumber) {
  EXPECT_EQ(values(sum(x, 1)), (Values{3, 7}));
  EXPECT_EQ(values(sum(x, -2)), (Values{4, 6}));
  EXPECT_EQ(values(mean(x, std::size_t{0})), (Values{2, 3}));
  EXPECT_EQ(max(x, 1, {.keep = true}).shape(), (Shape{2, 1}));
  EXPECT_EQ(values(variance(x, 0)), (Values{2, 2}));
  EXPECT_EQ(logsumexp(x, 0).shape(), (Shape{2}));
  EXPECT_EQ(values(sum(x, std::vector<int>{0, 1})), (Values{10}));
}

TEST_F(Operands, ShapesAndIndicesFromLists) {
  const std::vector<int> two{4, 1};
  const std::array<std::size_t, 1> one{4};
  EXPECT_EQ(reshape(x, two).shape(), (Shape{4, 1}));
  EXPECT_EQ(reshape(x, one).shape(), (Shape{4}));
  EXPECT_EQ(Tensor::zeros(array.shape()).shape(), (Shape{2, 2}));
  EXPECT_EQ(Shape(std::span<const int>(two)), (Shape{4, 1}));
  EXPECT_EQ(Axes(two), (Shape{4, 1}));
  const std::vector<int> rows{1, 0, 1};
  EXPECT_EQ(values(gather(x, rows)), (Values{3, 4, 1, 2, 3, 4}));
  EXPECT_EQ(gather(x, Indices({3, 1}, rows)).shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(Indices(std::vector<std::uint8_t>{1, 0}).shape(), (Shape{2}));
  static_assert(!std::is_constructible_v<Shape, std::vector<double>>);
  static_assert(!std::is_constructible_v<Shape, std::string>);
  static_assert(!std::is_convertible_v<int, Shape>);
}

}  // namespace
}  // namespace xgrad
