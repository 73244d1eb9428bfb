// The values over 100 steps are compared with PyTorch's in reference_test.cpp.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/optim/elements.hpp>
#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

Var with_gradient(std::initializer_list<double> gradient, DType dtype = DType::float64) {
  const Shape shape{static_cast<Index>(gradient.size())};
  const Var p = parameter(Tensor::zeros(shape, dtype));
  p.add_grad(Tensor(shape, gradient, dtype));
  return p;
}

std::vector<double> gradient_of(const Var& p) { return p.grad().to_vector(); }

TEST(ClipNorm, ScalesAllGradientsTogether) {
  const Var a = with_gradient({3.0, 0.0});
  const Var b = with_gradient({4.0}, DType::float32);
  EXPECT_EQ(optim::clip_norm({a, b}, 10.0), 5.0);
  EXPECT_EQ(gradient_of(a), (std::vector<double>{3.0, 0.0}));  // below the limit: the same bits
  EXPECT_EQ(optim::clip_norm({a, b}, 1.0), 5.0);
  EXPECT_DOUBLE_EQ(gradient_of(a)[0], 3.0 / (5.0 + 1e-6));
  EXPECT_FLOAT_EQ(static_cast<float>(gradient_of(b)[0]), static_cast<float>(4.0 / (5.0 + 1e-6)));
}

TEST(ClipNorm, CountsWhatTheStepUses) {
  const Var p = with_gradient({3.0});
  const Var tied = p;
  const Var frozen = with_gradient({100.0});
  frozen.set_trainable(false);
  const Var without = parameter(Tensor::zeros({2}));
  EXPECT_EQ(optim::clip_norm({p, tied, frozen, without}, 1.5), 3.0);
  EXPECT_DOUBLE_EQ(gradient_of(p)[0], 3.0 * (1.5 / (3.0 + 1e-6)));
  EXPECT_EQ(gradient_of(frozen)[0], 100.0);
  EXPECT_EQ(optim::clip_norm({without}, 1.0), 0.0);
}

TEST(ClipNorm, SumsLongGradientsInDoubleWithTheSameBitsForAnyNumberOfThreads) {
  const Index n = 5 * detail::elements_per_part + 1003;
  const Var ones = parameter(Tensor::zeros({n}));
  ones.add_grad(Tensor::full({n}, 1.0));
  EXPECT_EQ(optim::clip_norm({ones}, inf), std::sqrt(static_cast<double>(n)));
  // Squares beyond the range of float.
  const Var huge = parameter(Tensor::zeros({100}));
  huge.add_grad(Tensor::full({100}, 1e30));
  EXPECT_NEAR(optim::clip_norm({huge}, inf) / 1e31, 1.0,
              testing::rounding_bound(DType::float32, 1));  // of 1e30

  std::vector<double> waves;
  for (Index i = 0; i < n; ++i) waves.push_back(std::sin(static_cast<double>(i)));
  const Var p = parameter(Tensor::zeros({n}, DType::float64));
  p.add_grad(Tensor({n}, waves));
  const double norm = optim::clip_norm({p}, inf);
  set_threads(3);
  EXPECT_EQ(optim::clip_norm({p}, 1.0), norm);
  set_threads(1);
  EXPECT_NEAR(optim::clip_norm({p}, inf), norm / (norm + 1e-6),
              testing::rounding_bound(DType::float64, 2 * static_cast<double>(n)));
}

// Squares are summed in parts of 65,536, the last of which may be any rest.
TEST(ClipNorm, OfEverySize) {
  for (const Index n : {1, 65'535, 65'536, 65'537, 100'000, 131'073}) {
    const Var p = parameter(Tensor::zeros({n}));
    p.add_grad(Tensor::full({n}, 2));
    EXPECT_NEAR(optim::clip_norm({p}, inf) / (2 * std::sqrt(static_cast<double>(n))), 1,
                testing::rounding_bound(DType::float64, 4));
  }
}

TEST(ClipNorm, ShowsNaNAndInfinityInTheNorm) {
  const Var a = with_gradient({std::nan(""), 1.0});
  const Var b = with_gradient({1.0}, DType::float32);
  EXPECT_TRUE(std::isnan(optim::clip_norm({a, b}, 1.0)));
  EXPECT_TRUE(std::isnan(gradient_of(a)[1]));
  EXPECT_TRUE(std::isnan(gradient_of(b)[0]));
  const Var c = with_gradient({inf, 1.0});
  EXPECT_EQ(optim::clip_norm({c}, 1.0), inf);
  EXPECT_TRUE(std::isnan(gradient_of(c)[0]));
  EXPECT_EQ(gradient_of(c)[1], 0.0);
}

TEST(ClipNorm, AStepThatIsSkippedLeavesNothingBehind) {
  const Var p = with_gradient({std::nan(""), 1.0});
  const optim::SGD sgd({p}, {.lr = 1});
  EXPECT_TRUE(std::isnan(optim::clip_norm(sgd.parameters(), 1.0)));
  sgd.clear_grad();
  EXPECT_FALSE(p.has_grad());
  p.add_grad(Tensor({2}, {3.0, 4.0}, DType::float64));
  EXPECT_EQ(optim::clip_norm(sgd.parameters(), 10.0), 5.0);
}

TEST(ClipNorm, LeavesATakenGradientAlone) {
  const Var p = with_gradient({3.0, 4.0});
  const Tensor before = p.grad();
  optim::clip_norm({p}, 1.0);
  EXPECT_EQ(before.to_vector(), (std::vector<double>{3.0, 4.0}));
  EXPECT_NE(gradient_of(p)[0], 3.0);
}

TEST(ClipValue, ClipsEachElement) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var p = with_gradient({-2.0, -0.5, 0.25, 0.75, inf, -inf, std::nan("")}, dtype);
    const Var frozen = with_gradient({2.0}, dtype);
    frozen.set_trainable(false);
    optim::clip_value({p, p, frozen}, 0.5);
    std::vector<double> clipped = gradient_of(p);
    EXPECT_TRUE(std::isnan(clipped.back()));
    clipped.pop_back();
    EXPECT_EQ(clipped, (std::vector<double>{-0.5, -0.5, 0.25, 0.5, 0.5, -0.5}));
    EXPECT_EQ(gradient_of(frozen)[0], 2.0);
  }
}

TEST(ClipValue, ChangesAllOrNone) {
  const Var real = with_gradient({2.0});
  const Var complex = parameter(Tensor::zeros({1}, DType::complex128));
  complex.add_grad(Tensor::full({1}, 2, DType::complex128));
  EXPECT_NE(error_of([&] { optim::clip_value({real, complex}, 0.5); }), "no error");
  EXPECT_EQ(gradient_of(real)[0], 2.0);
  EXPECT_NE(error_of([&] { optim::clip_value({real}, std::nan("")); }), "no error");
  EXPECT_EQ(gradient_of(real)[0], 2.0);
}

TEST(Clip, ChecksItsArguments) {
  const Var p = with_gradient({1.0});
  EXPECT_EQ(error_of([&] { optim::clip_norm({p}, -1.0); }),
            "clip_norm: max_norm is -1: it must be at least 0");
  EXPECT_EQ(error_of([&] { optim::clip_norm({p}, std::nan("")); }),
            "clip_norm: max_norm is nan: it must be at least 0");
  EXPECT_EQ(error_of([&] { optim::clip_value({p}, -1.0); }),
            "clip_value: limit is -1: it must be at least 0");
  EXPECT_EQ(error_of([&] {
              optim::clip_norm({p, Var(p.tensor())}, 1.0);
            }),
            "clip_norm: parameters[1] is not a parameter");
  EXPECT_EQ(error_of([&] { optim::clip_value({Var()}, 1.0); }),
            "clip_value: parameters[0] is not a parameter");
}

}  // namespace
}  // namespace xgrad
