#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/array.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

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

}  // namespace
}  // namespace xgrad
