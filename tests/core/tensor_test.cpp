#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/array.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "error_of.hpp"

namespace xgrad {
namespace {

TEST(TensorTest, ADefaultOneIsAnEmptyArray) {
  const Tensor empty;
  EXPECT_EQ(empty.shape(), Shape{0});
  EXPECT_EQ(empty.strides(), Shape{1});
  EXPECT_EQ(empty.size(), 0);
  EXPECT_EQ(empty.dtype(), DType::float32);
  EXPECT_TRUE(empty.is_contiguous());
  EXPECT_EQ(empty.to_vector(), std::vector<double>{});
  EXPECT_EQ(empty.copy().shape(), Shape{0});
  EXPECT_EQ(empty.to(DType::float64).dtype(), DType::float64);
  EXPECT_EQ(empty.value<float>().size(), 0u);
  EXPECT_EQ(Tensor(empty.value<float>()).shape(), Shape{0});
  EXPECT_THROW(empty.item(), Error);
}

TEST(TensorTest, OpsTakeAnEmptyArray) {
  const Var empty = Tensor();
  EXPECT_EQ(Var(tanh(empty) * 2.0 + empty).shape(), Shape{0});
  EXPECT_EQ(sum(empty).item(), 0);
  EXPECT_EQ(reshape(empty, {0, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ(slice(reshape(empty, {0, 3}), 1, 1, 3).shape(), (Shape{0, 2}));
  EXPECT_EQ(concat({empty, Var(Tensor({2}, {1, 2})), empty}).tensor().to_vector(),
            (std::vector<double>{1, 2}));
  const Var p = parameter(Tensor());
  Tape tape;
  tape.backward(sum(exp(p) * p));
  EXPECT_EQ(p.grad().shape(), Shape{0});
  p.add_grad(Tensor());
  p.assign(Tensor());
  EXPECT_EQ(p.grad().to_vector(), std::vector<double>{});
}

TEST(TensorTest, OneThatWasMovedFromIsEmpty) {
  Tensor x({2}, {1, 2});
  const Tensor y = std::move(x);
  EXPECT_EQ(x.shape(), Shape{0});  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 2}));
  Tensor z({1}, {3});
  z = y;
  EXPECT_TRUE(z.shares_memory(y));
  x = std::move(z);
  EXPECT_EQ(x.to_vector(), (std::vector<double>{1, 2}));
  EXPECT_EQ(z.size(), 0);  // NOLINT(bugprone-use-after-move)
}

TEST(ShapeTest, AxesThatAreNotThereAreErrors) {
  Shape scalar;
  Shape shape{2, 3};
  const auto rule = [](const std::string& op, const std::string& of, int axis) {
    return "shape: " + op + ": " + of + " has no axis " + std::to_string(axis);
  };
  EXPECT_EQ(error_of([&] { (void)scalar.back(); }), rule("back", "()", 0));
  EXPECT_EQ(error_of([&] { scalar.pop_back(); }), rule("back", "()", 0));
  EXPECT_EQ(error_of([&] { shape.erase(2); }), rule("erase", "(2,3)", 2));
  EXPECT_EQ(error_of([&] { shape.insert(3, 1); }), rule("insert", "(2,3)", 3));
  EXPECT_EQ(shape, (Shape{2, 3}));
  shape.insert(2, 4);
  EXPECT_EQ(shape, (Shape{2, 3, 4}));
  shape.erase(0);
  EXPECT_EQ(shape, (Shape{3, 4}));
}

TEST(ShapeTest, UnsignedNumbersDoNotTurnNegative) {
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  const std::string rule =
      "shape: 18446744073709551615: an extent or axis must be at most 9223372036854775807";
  EXPECT_EQ(error_of([&] { (void)sum(Tensor::full({2, 3}, 1.0), huge); }), rule);
  EXPECT_EQ(error_of([&] { (void)Shape(std::vector<std::uint64_t>{2, huge}); }), rule);
  EXPECT_EQ(sum(Tensor::full({2, 3}, 1.0), std::uint64_t{1}).shape(), Shape{2});
}

TEST(TensorTest, TheValueOfATemporaryIsACopy) {
  const Tensor x({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto of_tensor = Tensor(x).value<float>();
  const auto of_var = transpose(Var(x)).value<float>();
  static_assert(std::is_same_v<decltype(of_tensor), const xt::xarray<float>>);
  static_assert(std::is_same_v<decltype(of_var), const xt::xarray<float>>);
  EXPECT_EQ(of_tensor(1, 2), 6);
  EXPECT_EQ(of_var(2, 0), 3);
  EXPECT_EQ(of_var.shape(), (xt::xarray<float>::shape_type{3, 2}));
  const auto view = x.value<float>();
  EXPECT_EQ(&view(0, 0), x.data<float>());
}

}  // namespace
}  // namespace xgrad
