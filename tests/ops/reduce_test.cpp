#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// A group of reference cases: the op over all axes, and over given ones.
struct Group {
  const char* name;  ///< in ops.json
  OpRow op;
  bool complex;
  std::function<Var(const Var& x)> all;
  std::function<Var(const Var& x, const Axes& axes, bool keep)> some;
};

void PrintTo(const Group& group, std::ostream* stream) { *stream << group.name; }

Axes all_axes(const Var& x) {
  Axes axes;
  for (std::size_t i = 0; i < x.dim(); ++i) axes.push_back(static_cast<Index>(i));
  return axes;
}

std::vector<Group> groups() {
  using X = const Var&;
  using A = const Axes&;
  const auto row = [](const char* op) { return OpRow(op); };
  return {
      {"sum", row("sum"), true, [](X x) { return sum(x); },
       [](X x, A axes, bool keep) { return sum(x, axes, {.keep = keep}); }},
      {"mean", row("mean"), true, [](X x) { return mean(x); },
       [](X x, A axes, bool keep) { return mean(x, axes, {.keep = keep}); }},
      {"amax", row("max"), false, [](X x) { return max(x); },
       [](X x, A axes, bool keep) { return max(x, axes, {.keep = keep}); }},
      {"max_of_all", row("max"), false, [](X x) { return max(x); }, {}},
      {"logsumexp", row("logsumexp"), true, [](X x) { return logsumexp(x); },
       [](X x, A axes, bool keep) { return logsumexp(x, axes, {.keep = keep}); }},
      {"variance_unbiased", row("variance"), true, [](X x) { return variance(x); },
       [](X x, A axes, bool keep) { return variance(x, axes, {.keep = keep}); }},
      {"variance_biased", row("variance"), true,
       [](X x) { return variance(x, all_axes(x), {.unbiased = false}); },
       [](X x, A axes, bool keep) { return variance(x, axes, {.unbiased = false, .keep = keep}); }},
  };
}

class ReduceReference : public ::testing::TestWithParam<Group> {};

TEST_P(ReduceReference, ValuesAndGradients) {
  const Group& group = GetParam();
  const std::vector<std::string> cases = cases_of(group.name);
  ASSERT_FALSE(cases.empty());
  for (const std::string& name : cases) {
    // PyTorch's gradient is e^(x - logsumexp), whose exponent is rounded to that of x.
    const double lost = name == "logsumexp/large" ? 1e4 : 0;
    check_case(name,
               [&](const Arguments& a) {
                 const Var& x = a["x"];
                 const bool keep = a.has("keepdims") && a.number("keepdims") != 0;
                 if (a.has("axes")) return std::vector{group.some(x, a.list("axes"), keep)};
                 return std::vector{keep ? group.some(x, all_axes(x), keep) : group.all(x)};
               },
               {.lost = lost, .complex = group.complex});
  }
}

// The same elements seen through a view whose axes lie otherwise in memory.
TEST_P(ReduceReference, AViewIsReducedAsItsCopy) {
  const Group& group = GetParam();
  if (!group.some) return;
  const Tensor values = numbers({4, 3, 2}, 1);
  for (const Axes& axes : {Axes{0}, Axes{1}, Axes{2}, Axes{0, 2}, Axes{2, 1}, Axes{}}) {
    SCOPED_TRACE(to_string(axes));
    const auto run = [&](bool copied) {
      const Var base = parameter(values);
      Tape tape;
      const Var view = transpose(base);
      const Var x = copied ? Var(view + 0.0) : view;
      const Var y = group.some(x, axes, false);
      tape.backward(y, numbers(y.shape(), 2));
      std::vector<double> result = y.tensor().to_vector();
      for (const double g : base.grad().to_vector()) result.push_back(g);
      return result;
    };
    expect_close(run(false), run(true), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReduceReference, ::testing::ValuesIn(groups()),
                         [](const auto& group) { return std::string(group.param.name); });

using Parameters = std::span<const Var>;

TEST(Reduce, DerivativesToTheThirdOrder) {
  const std::vector<Tensor> x{numbers({3, 2, 4}, 3)};
  for (const Axes& axes : {Axes{0}, Axes{1}, Axes{-1}, Axes{0, 2}}) {
    SCOPED_TRACE(to_string(axes));
    check_derivatives([&](Parameters p) { return sum(p[0] * p[0] * p[0], axes); }, x);
    check_derivatives([&](Parameters p) { return mean(sin(p[0]), axes); }, x);
    check_derivatives([&](Parameters p) { return max(sin(p[0]), axes); }, x);
    check_derivatives([&](Parameters p) { return logsumexp(p[0], axes); }, x);
    check_derivatives([&](Parameters p) { return variance(sin(p[0]), axes); }, x);
    check_derivatives([&](Parameters p) { return square(variance(p[0], axes)); }, x);
  }
  check_derivatives([](Parameters p) { return logsumexp(p[0]); }, x);
  check_derivatives([](Parameters p) { return max(p[0] * p[0] * p[0]); }, x);
  check_derivatives([](Parameters p) { return square(variance(p[0])); }, x);
}

TEST(Reduce, OverNoAxesNothingIsReduced) {
  const Var x = Tensor({2, 2}, {1, 2, 3, 4}, DType::float64);
  EXPECT_EQ(sum(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(max(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(variance(x, {}, {.unbiased = false}).tensor().to_vector(),
            (std::vector<double>{0, 0, 0, 0}));
}

TEST(Reduce, OfAScalarAndOfNothing) {
  const Var x = Tensor({}, {3}, DType::float64);
  EXPECT_EQ(sum(x).item(), 3);
  EXPECT_EQ(max(x).item(), 3);
  EXPECT_EQ(logsumexp(x).item(), 3);
  const Var none = Tensor({0}, std::vector<double>());
  EXPECT_EQ(sum(none).item(), 0);
  EXPECT_EQ(logsumexp(none).item(), -inf);
  EXPECT_TRUE(std::isnan(mean(none).item()));
  EXPECT_TRUE(std::isnan(variance(none).item()));
}

TEST(Reduce, LogSumExpOfLargeNumbers) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = parameter(Tensor({2, 2}, {1e4, 1e4, -1e4, -1e4}, dtype));
    Tape tape;
    const Var y = logsumexp(x, {1});
    tape.backward(y, Tensor({2}, {1, 1}, dtype));
    // What is added to 1e4 is small; e^(x - max) is exact, and the sum of two of them, too.
    const double tolerance = rounding_bound(dtype, elementary);
    expect_close(y.tensor().to_vector(), std::vector{1e4 + std::log(2.0), -1e4 + std::log(2.0)},
                 tolerance);
    expect_close(x.grad().to_vector(), std::vector{0.5, 0.5, 0.5, 0.5}, tolerance);
  }
}

TEST(Reduce, LogSumExpBesideAnInfinity) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = parameter(Tensor({3}, {inf, 800, 1}, dtype));
    Tape tape;
    const Var y = logsumexp(x);
    tape.backward(y);
    EXPECT_EQ(y.item(), inf);
    EXPECT_TRUE(std::isnan(x.grad().to_vector()[0]));  // e^(inf - inf)
    EXPECT_EQ(x.grad().to_vector()[1], 0);
    EXPECT_EQ(x.grad().to_vector()[2], 0);
  }
}

// Each sum would stop at 2^24 if it were taken one by one in float32.
TEST(Reduce, LongSumsOfFloat32AreExact) {
  const Index n = 20'000'000;
  const Tensor ones = Tensor::full({n}, 1.0);
  EXPECT_EQ(sum(ones).item(), 2e7);
  EXPECT_EQ(mean(ones).item(), 1);
  const Tensor tall = ones.view(ones.bytes(), {n / 2, 2}, {2, 1});
  EXPECT_EQ(sum(tall, {0}).tensor().to_vector(), (std::vector<double>{1e7, 1e7}));
  const Tensor wide = ones.view(ones.bytes(), {2, n / 2}, {n / 2, 1});
  EXPECT_EQ(sum(wide, {1}).tensor().to_vector(), (std::vector<double>{1e7, 1e7}));
}

TEST(Reduce, LongRowsAgreeWithFloat64) {
  const Tensor values = Generator(1).uniform({3, 100'003}, 5, 6, DType::float32);
  const Var x = values;
  const Var exact = values.to(DType::float64);
  // The sums are taken in float64.
  const auto agree = [](const Var& y, const Var& expected, double roundings) {
    expect_close(y.tensor().to_vector(), expected.tensor().to_vector(),
                 rounding_bound(DType::float32, roundings));
  };
  agree(sum(x, {1}), sum(exact, {1}), 1.1);
  agree(variance(x, {1}), variance(exact, {1}), 1.1);
  // Relative errors of the exponentials are absolute ones of their logarithm.
  agree(logsumexp(x, {1}), logsumexp(exact, {1}), 1.1 + elementary / (std::log(1e5) + 5));
  EXPECT_EQ(max(x).item(), max(exact).item());
  // A third way, one by one.
  long double total = 0;
  for (const double v : values.to_vector()) total += v;
  const auto sum_of_all = static_cast<double>(total);
  EXPECT_NEAR(sum(exact).item(), sum_of_all,
              rounding_bound(DType::float64, 3 * 100'003, sum_of_all));
}

// NaN at every place of a row, so that no lane or tail loses it.
TEST(Reduce, MaxFindsNanAndTheLargestAnywhere) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (Index n = 1; n <= 50; ++n) {
      for (Index at = 0; at < n; ++at) {
        std::vector<double> values(static_cast<std::size_t>(n), -2);
        values[static_cast<std::size_t>(at)] = -1;
        EXPECT_EQ(max(Tensor({n}, values).to(dtype)).item(), -1) << n << ", " << at;
        values[static_cast<std::size_t>(at)] = std::nan("");
        EXPECT_TRUE(std::isnan(max(Tensor({n}, values).to(dtype)).item())) << n << ", " << at;
      }
    }
  }
}

TEST(Reduce, Errors) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(error_of([&] { sum(x, {2}); }), "sum: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { mean(x, {-3}); }), "mean: x is (2,3): there is no axis -3");
  EXPECT_EQ(error_of([&] {
              variance(x, {1, -1});
            }),
            "variance: the axes are (1,-1) and x is (2,3): axis 1 is listed twice");
  EXPECT_EQ(error_of([] {
              max(Tensor({2, 0}, std::vector<float>()), {1});
            }),
            "max: x is (2,0): the reduced axes must have at least one element");
  EXPECT_EQ(error_of([] { max(Tensor({0}, std::vector<float>())); }),
            "max: x is (0): the reduced axes must have at least one element");
  EXPECT_EQ(error_of([] { max(Tensor({1}, {1}, DType::complex128)); }),
            "max: complex128 is not supported: the operation is not analytic");
}

}  // namespace
}  // namespace xgrad::testing
