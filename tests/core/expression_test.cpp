// Fused expressions against the same arithmetic element by element.

#include <cmath>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad {
namespace {

Tensor draw(const Shape& shape, DType dtype = DType::float64) {
  static Generator random(3);
  return random.uniform(shape, -1, 1, dtype);
}

// -- ops of the user ------------------------------------------------------------------------------

struct Mish {  // x tanh(softplus(x))
  static constexpr const char* name = "mish";
  static auto value(auto x) { return x * tanh(log(1.0 + exp(x))); }
  static auto pullback(auto g, auto, auto x) {
    const auto t = tanh(log(1.0 + exp(x)));
    return g * (t + x * (1.0 - t * t) / (1.0 + exp(-x)));
  }
};
auto mish(const auto& x) { return pointwise<Mish>(x); }

struct Cumsum {
  static constexpr const char* name = "cumsum";
  Tensor value(const Tensor& x) const {
    return dispatch(x.dtype(), [&]<class T>() { return Tensor(xt::cumsum(x.value<T>(), 0)); });
  }
  void pullback(Pullback& p) const;
};
Var cumsum(const Var& x) { return apply(Cumsum{}, x); }
void Cumsum::pullback(Pullback& p) const { p.add(0, flip(cumsum(flip(p.gradient(), 0)), 0)); }

TEST(UserOp, APointwiseOpFusesAndHasAnyDerivative) {
  const Var x = parameter(draw({7}), "x");
  Tape tape;
  const Var y = 2.0 * mish(x) + x;
  EXPECT_EQ(tape.size(), 1u);
  for (Index i = 0; i < 7; ++i) {
    const double v = x[i].item();
    const double roundings = 2 * (3 * testing::elementary + 4);
    EXPECT_NEAR(y[i].item(), 2 * v * std::tanh(std::log1p(std::exp(v))) + v,
                testing::rounding_bound(DType::float64, roundings, 3 * std::abs(v)));
  }
  EXPECT_TRUE(gradcheck([](const auto& in) { return Var(2.0 * mish(in[0]) + in[0]); }, {{"x", x}}));
  EXPECT_TRUE(gradcheck(
      [](const auto& in) { return grad(sum(mish(in[0])), {in[0]}, {.create_graph = true})[0]; },
      {{"x", x}}))
      << "second derivative";
}

TEST(UserOp, AnyOtherOpTakesAValueAndAPullback) {
  const Var x = draw({4, 3});
  EXPECT_TRUE(gradcheck([](const auto& in) { return Var(square(cumsum(in[0]))); }, {{"x", x}}));
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var w = parameter(x.tensor(), "w");
    Tape tape(mode);
    tape.backward(sum(cumsum(w)));
    EXPECT_EQ(w.grad().to_vector(), (std::vector<double>{4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1}));
  }
}

// -- layouts --------------------------------------------------------------------------------------

/// f(a, b) = a tanh(b) + a over every pair of shapes that broadcast, with views of every kind.
void check_pair(const Var& a, const Var& b) {
  const std::vector<Var> in{a, b};
  const auto f = [](const auto& x) { return Var(x[0] * tanh(x[1]) + x[0]); };
  const Var y = f(in);
  const Shape shape = broadcast_shape("test", a.shape(), b.shape());
  ASSERT_EQ(y.shape(), shape);
  const std::vector<double> av = broadcast_to(a, shape).tensor().to_vector();
  const std::vector<double> bv = broadcast_to(b, shape).tensor().to_vector();
  const std::vector<double> yv = y.tensor().to_vector();
  for (std::size_t i = 0; i < yv.size(); ++i) {
    const double roundings = 2 * (testing::elementary + 2);
    ASSERT_NEAR(yv[i], av[i] * std::tanh(bv[i]) + av[i],
                testing::rounding_bound(DType::float64, roundings, 2 * std::abs(av[i])))
        << i;
  }
  if (y.size() > 0 && y.size() < 300) {
    const auto report = gradcheck(f, {{"a", a}, {"b", b}});
    ASSERT_TRUE(report) << report;
  }
}

TEST(Layouts, EveryPatternOfBroadcasting) {
  const std::vector<Shape> shapes{{},        {1},       {5},       {2, 1},    {1, 5},       {2, 5},
                                  {3, 1, 1}, {3, 2, 1}, {3, 1, 5}, {3, 2, 5}, {1, 1, 1, 5}, {0, 5}};
  for (const Shape& a : shapes) {
    for (const Shape& b : shapes) {
      if (!broadcasts_to(a, b) && !broadcasts_to(b, a)) continue;
      SCOPED_TRACE(to_string(a) + " and " + to_string(b));
      check_pair(draw(a), draw(b));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Layouts, EveryLengthAroundTheVectorWidth) {
  for (Index n = 1; n <= 70; ++n) {
    SCOPED_TRACE(n);
    check_pair(draw({n}), draw({n}));
    check_pair(draw({2, n}), draw({n}));
    check_pair(draw({n, 2}), draw({n, 1}));
    if (HasFatalFailure()) return;
  }
}

TEST(Layouts, LargeOnesAreCutIntoBlocks) {
  check_pair(draw({3, 5000}), draw({3, 1}));
  check_pair(draw({5000, 3}), draw({5000, 1}));
  check_pair(transpose(Var(draw({70, 90}))), draw({90, 70}));
}

TEST(Layouts, StridedViews) {
  const Var x = draw({6, 8});
  check_pair(transpose(x), draw({8, 6}));
  check_pair(transpose(x), draw({6}));
  check_pair(slice(x, 1, 2, 7), slice(x, 1, 1, 6));
  check_pair(slice(x, 1, 0, 8, 3), draw({6, 1}));
  check_pair(slice(transpose(x), 0, 1, 4), draw({3, 1}));
}

TEST(Layouts, GradientsOfOverlappingViewsAddUp) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var w = parameter(Tensor({5}, std::vector<double>{1, 2, 3, 4, 5}), "w");
    Tape tape(mode);
    tape.backward(sum(slice(w, 0, 0, 4) * slice(w, 0, 1, 5)));
    EXPECT_EQ(w.grad().to_vector(), (std::vector<double>{2, 4, 6, 8, 4}));
  }
}

// Each part and the sum of the parts is rounded as often as it has terms, and all in the same
// direction here. One after the other 1e5 rows would be off by 1e-3.
TEST(Layouts, SumsOfManyRowsAreRoundedAFewTimes) {
  const Index rows = 100'000;
  const double exact = static_cast<double>(2.2F) * static_cast<double>(rows);
  for (const Index cols : {1, 3, 40, 200}) {
    const Var x = Tensor::full({rows, cols}, 2.2);
    const Var ones = Tensor::full({rows, cols}, 1);
    const Var column = Tensor::full({rows, 1}, 1);
    const Var b = parameter(Tensor::full({cols}, 1));
    const auto expect = [&](const Var& y, double roundings) {
      // The gradient of a sum is one number for all elements, that of the product an array.
      for (const Var& loss : {sum(y), sum(Var(y * ones))}) {
        const double limit = testing::rounding_bound(DType::float32, roundings, exact);
        const std::vector<Var> gradients = grad(loss, {b}, {.retain = true});
        for (const double g : gradients[0].tensor().to_vector()) EXPECT_NEAR(g, exact, limit);
      }
    };
    for (const int n : {1, 2}) {
      set_threads(n);
      const Tape tape;
      const double blocks = 100'000 / std::min(256, 2048 / static_cast<int>(cols));
      expect(b * x, 256 + 391 + blocks);  // in parts, or where the gradient is one number in blocks
      expect(b * x * column, 256 + 391 + blocks);
    }
    set_threads(1);
  }
}

TEST(Layouts, Float32AgreesWithFloat64) {
  const Tensor x = draw({33, 47});
  const auto f = [](const Var& v) {
    return Var(sigmoid(v) * tanh(v) + exp(-v * v) / (1.0 + square(v)));
  };
  const std::vector<double> exact = f(x).tensor().to_vector();
  const std::vector<double> single = f(x.to(DType::float32)).tensor().to_vector();
  // Two terms of at most 1, and functions whose slopes times x are at most 1.
  const double bound = testing::rounding_bound(DType::float32, 3 * testing::elementary + 6, 2);
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(single[i], exact[i], bound);
}

TEST(Complex, TheCompositeIsWalkedOpByOp) {
  const std::complex<double> z(0.3, 1e-20);
  Tensor x = Tensor::uninitialized({1}, DType::complex128);
  x.mutable_data<std::complex<double>>()[0] = z;
  const Var y = sigmoid(Var(x)) * tanh(Var(x)) + 2.0;
  const std::complex<double> s = 1.0 / (1.0 + std::exp(-z)), t = std::tanh(z);
  EXPECT_EQ(y.dtype(), DType::complex128);
  const double bound =
      testing::rounding_bound(DType::float64, 2 * (2 * testing::elementary + 4), 3);
  EXPECT_NEAR(y.tensor().data<std::complex<double>>()->real(), (s * t + 2.0).real(), bound);
  // The complex step: the imaginary part over its size is the derivative, without cancellation.
  const double sr = s.real(), tr = t.real();
  EXPECT_NEAR(y.tensor().data<std::complex<double>>()->imag() / 1e-20,
              sr * (1 - sr) * tr + sr * (1 - tr * tr), bound);
  const Var z_again = x;
  EXPECT_THROW(Var{abs(z_again)}, Error);
}

// -- xtensor --------------------------------------------------------------------------------------

TEST(Xtensor, ExpressionsGoInAndOut) {
  const xt::xarray<float> a = {{1, 2, 3}, {4, 5, 6}};
  const Var x = a + 1.f;
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_EQ(x.dtype(), DType::float32);
  const Var y = transpose(x) * 2.0;
  const xt::xarray<float> b = y.value<float>();
  EXPECT_EQ(b(2, 1), 14);
  EXPECT_EQ(xt::sum(x.value<float>())(), 27);
  const Var columns = slice(x, 1, 1, 3);  // a strided view
  EXPECT_EQ(xt::sum(columns.value<float>())(), 3 + 4 + 6 + 7);
  const Var integers = xt::xarray<int>{1, 2};
  EXPECT_EQ(integers.dtype(), DType::float32);
  EXPECT_THROW(x.value<double>(), Error);
}

TEST(Tensor, ErrorsNameTheRule) {
  EXPECT_THROW(Tensor({2, 2}, std::vector<float>{1, 2, 3}), Error);
  EXPECT_THROW(Tensor::zeros({-1}), Error);
  EXPECT_THROW(Tensor::zeros({2}).item(), Error);
  EXPECT_THROW((Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1})), Error);
  const Index huge = Index{1} << 62;
  EXPECT_THROW(Tensor::zeros({huge + 1, 4}), Error);
  EXPECT_THROW(Tensor::uninitialized({huge}, DType::float64), Error);
  const Var x = Tensor::zeros({4});
  EXPECT_EQ(slice(x, 0, 0, 4, std::numeric_limits<Index>::max()).size(), 1);
  EXPECT_EQ(Tensor::zeros({1, 2, 1, 2, 1, 2, 1, 2}).size(), 16);
}

}  // namespace
}  // namespace xgrad
