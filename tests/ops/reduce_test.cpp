#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/gradcheck.hpp>
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

/// Its gradient is what that of a variance is the difference of, in size: 2 (x + mean) / (n - 1).
Var terms_of_variance(const Var& x, const Axes& axes, bool keep) {
  const Var total = sum(x, axes, {.keep = keep});
  const double n = static_cast<double>(x.size()) / static_cast<double>(total.size());
  const Var squares = sum(square(x), axes, {.keep = keep});
  return (squares + square(total) / n) / std::max(1.0, n - 1);
}

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
      {"amin", row("min"), false, [](X x) { return min(x); },
       [](X x, A axes, bool keep) { return min(x, axes, {.keep = keep}); }},
      {"min_of_all", row("min"), false, [](X x) { return min(x); }, {}},
      {"prod", row("prod"), true, [](X x) { return prod(x); },
       [](X x, A axes, bool keep) { return prod(x, axes, {.keep = keep}); }},
      {"norm", row("norm"), true, [](X x) { return norm(x); },
       [](X x, A axes, bool keep) { return norm(x, axes, {.keep = keep}); }},
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
    const auto keeps = [](const Arguments& a) {
      return a.has("keepdims") && a.number("keepdims") != 0;
    };
    CaseOptions options{.lost = lost, .complex = group.complex};
    if (name.starts_with("variance")) {
      options.gradient_terms = [&](const Arguments& a) {
        const Axes axes = a.has("axes") ? Axes(a.list("axes")) : all_axes(a["x"]);
        return std::vector{terms_of_variance(a["x"], axes, keeps(a))};
      };
    }
    check_case(
        name,
        [&](const Arguments& a) {
          const Var& x = a["x"];
          if (a.has("axes")) return std::vector{group.some(x, a.list("axes"), keeps(a))};
          return std::vector{keeps(a) ? group.some(x, all_axes(x), true) : group.all(x)};
        },
        options);
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
    check_derivatives([&](Parameters p) { return min(sin(p[0]), axes); }, x);
    check_derivatives([&](Parameters p) { return prod(p[0], axes); }, x);
    check_derivatives([&](Parameters p) { return norm(p[0], axes); }, x);
    check_derivatives([&](Parameters p) { return logsumexp(p[0], axes); }, x);
    check_derivatives([&](Parameters p) { return variance(sin(p[0]), axes); }, x);
    check_derivatives([&](Parameters p) { return square(variance(p[0], axes)); }, x);
  }
  check_derivatives([](Parameters p) { return logsumexp(p[0]); }, x);
  check_derivatives([](Parameters p) { return max(p[0] * p[0] * p[0]); }, x);
  check_derivatives([](Parameters p) { return min(p[0] * p[0] * p[0]); }, x);
  check_derivatives([](Parameters p) { return prod(p[0]); }, x);
  check_derivatives([](Parameters p) { return norm(p[0]); }, x);
  for (const Index axis : {0, 1, -1}) {
    check_derivatives([&](Parameters p) { return sin(cumsum(p[0], axis)); }, x);
  }
  // At zeros, where no derivative may divide.
  const std::vector<Tensor> zeros{Tensor({3, 3}, {0, 2, 3, 0, 0, -1, 0, 0, 0}, DType::float64)};
  check_derivatives([](Parameters p) { return prod(p[0], {1}); }, zeros);
  check_derivatives([](Parameters p) { return square(variance(p[0])); }, x);
}

TEST(Reduce, OverNoAxesNothingIsReduced) {
  const Var x = Tensor({2, 2}, {1, 2, 3, 4}, DType::float64);
  EXPECT_EQ(sum(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(max(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(min(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(prod(x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(norm(-x, {}).tensor().to_vector(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(variance(x, {}, {.unbiased = false}).tensor().to_vector(),
            (std::vector<double>{0, 0, 0, 0}));
}

TEST(Reduce, OfAScalarAndOfNothing) {
  const Var x = Tensor({}, {3}, DType::float64);
  EXPECT_EQ(sum(x).item(), 3);
  EXPECT_EQ(max(x).item(), 3);
  EXPECT_EQ(min(x).item(), 3);
  EXPECT_EQ(prod(x).item(), 3);
  EXPECT_EQ(norm(-x).item(), 3);
  EXPECT_EQ(logsumexp(x).item(), 3);
  const Var none = Tensor({0}, std::vector<double>());
  EXPECT_EQ(sum(none).item(), 0);
  EXPECT_EQ(logsumexp(none).item(), -inf);
  EXPECT_EQ(prod(none).item(), 1);
  EXPECT_EQ(norm(none).item(), 0);
  EXPECT_TRUE(cumsum(none, 0).shape() == Shape{0});
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

// As CTC needs: a state that no path reaches has the probability 0 and no gradient, of any order,
// whatever the gradient that comes back.
TEST(Reduce, LogSumExpOverOnlyMinusInfinityHasNoGradient) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      const Var x = parameter(Tensor({3, 2}, {-inf, -inf, -inf, 1, 2, 2}, dtype));
      Tape tape(mode);
      const Var y = logsumexp(x, {1});
      EXPECT_EQ(y.tensor().to_vector()[0], -inf);
      const Var seed = Tensor({3}, {inf, 1, 1}, dtype);
      const Var first = grad(y, seed, {x}, {.create_graph = true})[0];
      expect_close(first.tensor().to_vector(), std::vector<double>{0, 0, 0, 1, 0.5, 0.5},
                   rounding_bound(dtype, elementary));
      const Var second = grad(total(first * first), {x})[0];
      expect_close(second.tensor().to_vector(), std::vector<double>(6, 0),
                   rounding_bound(dtype, 4 * elementary), 1);
    }
  }
  // The alpha recursion of a state that only an impossible one leads to.
  const Var a = parameter(Tensor({2}, {-inf, -inf}, DType::float64));
  Tape tape;
  const Var b = logsumexp(stack({logsumexp(a), Var(a[0] + 1.0)}));
  tape.backward(logsumexp(stack({b, Var(Tensor({}, {0.5}, DType::float64))})));
  EXPECT_EQ(a.grad().to_vector(), (std::vector<double>{0, 0}));
}

TEST(Reduce, ProductsWithZeros) {
  for (const DType dtype : {DType::float32, DType::float64, DType::complex128}) {
    const Var x =
        parameter(Tensor({4, 4}, {0, 2, 3, 4, 0, 2, -0.0, 4, 0, 0, 0, 0, 1, 2, 3, -4}, dtype));
    Tape tape;
    const Var y = prod(x, {1});
    EXPECT_EQ(y.tensor().to_vector(), (std::vector<double>{0, 0, 0, -24}));
    const Var ones = Tensor::full({4}, 1, dtype);
    const Var first = grad(y, ones, {x}, {.create_graph = true})[0];
    EXPECT_EQ(first.tensor().to_vector(),
              (std::vector<double>{24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -24, -12, -8, 6}));
    // The second derivative by the two zeros of the second row is the product of the others.
    const Var pick = Tensor({4, 4}, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, dtype);
    const Var second = grad(total(first * pick), {x}, {.create_graph = true})[0];
    EXPECT_EQ(second.tensor().to_vector(),
              (std::vector<double>{0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  }
}

TEST(Reduce, ProductsOfAllLengths) {
  for (Index n = 0; n <= 20; ++n) {
    const Tensor x = numbers({n}, 3);
    double expected = 1;
    for (const double v : x.to_vector()) expected *= v;
    const double bound = rounding_bound(DType::float64, 2 * 20, std::abs(expected));
    EXPECT_NEAR(prod(x).item(), expected, bound) << n;
  }
  EXPECT_TRUE(std::isnan(prod(Tensor({3}, {0, inf, 1}, DType::float64)).item()));
  EXPECT_TRUE(std::isnan(prod(Tensor({3}, {0, std::nan(""), 1}, DType::float64)).item()));
  const Var none = parameter(Tensor::zeros({2, 0}));
  Tape tape;
  tape.backward(sum(prod(none, {1})));
  EXPECT_TRUE(none.grad().shape() == (Shape{2, 0}));
}

// No square, and no quotient of the backward pass, leaves the range of numbers.
TEST(Reduce, NormsOfHugeAndTinyNumbers) {
  // The inputs round, two squares, their sum, the root, the quotients by and products with a unit.
  const auto check = [](DType dtype, double unit, double roundings = 8) {
    const double tolerance = rounding_bound(dtype, roundings);
    SCOPED_TRACE(unit);
    const Var x = parameter(Tensor({2, 2}, {3 * unit, -4 * unit, 0, 0}, dtype));
    Tape tape;
    const Var y = norm(x, {1});
    expect_close(y.tensor().to_vector(), std::vector<double>{5 * unit, 0}, tolerance);
    tape.backward(y, Tensor({2}, {1, 1}, dtype));
    expect_close(x.grad().to_vector(), std::vector<double>{0.6, -0.8, 0, 0}, tolerance);
  };
  for (const double unit : {1e-37, 1e-30, 1e-20, 1.0, 1e20, 1e30, 6e37}) {
    check(DType::float32, unit);
  }
  for (const double unit : {1e-307, 1e-300, 1e-160, 1e-140, 1.0, 1e150, 1e155, 1e300, 3e307}) {
    check(DType::float64, unit);
  }
  check(DType::float64, 0x1p-1070, 0);  // exact, though denormal
}

// The derivative at 0 is 0, and of all orders; beside it nothing is.
TEST(Reduce, NormAtZeroAndOfWhatIsNotFinite) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var x = parameter(Tensor({3, 2}, {0, -0.0, 3, 4, 0, 1}, DType::float64));
    Tape tape(mode);
    const Var y = norm(x, {1});
    const Var seed = Tensor({3}, {1, 1, 1}, DType::float64);
    const Var first = grad(y, seed, {x}, {.create_graph = true})[0];
    expect_close(first.tensor().to_vector(), std::vector<double>{0, 0, 0.6, 0.8, 0, 1},
                 rounding_bound(DType::float64, 8));
    const Var second = grad(total(first), {x})[0];
    // Of direction d: (1 - d.d) / |x|, here for the sum of both components.
    expect_close(second.tensor().to_vector(),
                 std::vector<double>{0, 0, (1 - 0.6 * 1.4) / 5, (1 - 0.8 * 1.4) / 5, 1, 0},
                 rounding_bound(DType::float64, 32), 1);
  }
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double nan = std::nan("");
    const Var x = parameter(Tensor({3, 2}, {-inf, 1, nan, inf, nan, 0}, dtype));
    Tape tape;
    const Var y = norm(x, {1});
    expect_close(y.tensor().to_vector(), std::vector<double>{inf, nan, nan}, 0);
    tape.backward(y, Tensor({3}, {1, 1, 1}, dtype));
    expect_close(x.grad().to_vector(), std::vector<double>{nan, 0, nan, nan, nan, nan}, 0);
  }
}

// Each sum would stop at 2^24 if it were taken one by one in float32.
TEST(Reduce, LongSumsOfFloat32AreExact) {
  const Index n = 20'000'000;
  const Tensor ones = Tensor::full({n}, 1.0);
  EXPECT_EQ(sum(ones).item(), 2e7);
  EXPECT_EQ(mean(ones).item(), 1);
  EXPECT_EQ(norm(Tensor::full({n / 2}, 2)).item(), static_cast<float>(2 * std::sqrt(1e7)));
  EXPECT_EQ(cumsum(ones, 0)[-1].item(), 2e7);
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

// The leading axes of an array are summed in blocks of 256 columns.
TEST(Reduce, SumsOfManyColumns) {
  for (const Index cols : {255, 256, 257, 700}) {
    std::vector<float> values;
    for (Index i = 0; i < 3 * cols; ++i) values.push_back(static_cast<float>(i % 1000));
    const Var x = Tensor({3, cols}, values);
    const std::vector<double> total = sum(x, {0}).tensor().to_vector();
    const std::vector<double> average = mean(x, {0}).tensor().to_vector();
    for (Index j = 0; j < cols; ++j) {
      const auto at = static_cast<std::size_t>(j), n = static_cast<std::size_t>(cols);
      const double expected =
          double(values[at]) + double(values[at + n]) + double(values[at + 2 * n]);
      ASSERT_EQ(total[at], expected) << j;
      ASSERT_EQ(average[at], static_cast<float>(expected / 3)) << j;
    }
  }
}

TEST(Reduce, TheGradientOfVarianceIsAsExactAsItsValue) {
  const Index n = 1000;
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const double offset : {0.0, 1e4, 1e5, 1e6, 1e7}) {
      const Tensor values = Generator(1).normal({2, n}, offset, 1).to(dtype);
      const Var x = parameter(values);
      Tape tape;
      tape.backward(variance(x, {1}), Tensor({2}, {1, 3}, dtype));
      const std::vector<double> g = x.grad().to_vector();
      const std::vector<double> at = values.to_vector();
      for (std::size_t row = 0; row < 2; ++row) {
        long double mean = 0, range = 0;
        for (std::size_t i = 0; i < n; ++i) mean += at[row * n + i];
        mean /= n;
        const long double slope = (row == 0 ? 2.0L : 6.0L) / (n - 1);
        for (std::size_t i = 0; i < n; ++i) {
          range = std::max(range, std::abs(at[row * n + i] - mean));
        }
        // The sum of the distances in double, the reference's in long double of numbers as large
        // as the mean, and four roundings of the result.
        const long double u = dtype == DType::float32 ? 0x1p-24L : 0x1p-53L;
        const long double bound =
            slope * (2 * n * 0x1p-53L * range + n * 0x1p-64L * std::abs(mean) + 4 * u * range);
        for (std::size_t i = 0; i < n; ++i) {
          const long double expected = slope * (at[row * n + i] - mean);
          ASSERT_LE(std::abs(g[row * n + i] - expected), bound) << offset << " " << i;
        }
      }
    }
  }
}

TEST(Reduce, GradcheckOfVarianceBesideALargeMean) {
  for (const double offset : {0.0, 1e3, 1e6}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Var x = Generator(seed).normal({6}, offset, 1);
      const auto report = gradcheck([](const auto& in) { return variance(in[0]); }, {{"x", x}});
      EXPECT_NE(report.verdict, Verdict::wrong) << report;
    }
  }
}

TEST(Reduce, MaxOfWhatHasAnInfiniteGradientGivesNothingToTheOthers) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var x = parameter(Tensor({2, 3}, {1, 3, 2, 5, 5, 4}));
    Tape tape(mode);
    tape.backward(max(x, {1}), Tensor({2}, {inf, 1}));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{0, inf, 0, 0.5, 0.5, 0}));
  }
}

// NaN at every place of a row, so that no lane or tail loses it.
TEST(Reduce, MaxAndMinFindNanAndTheirElementAnywhere) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (Index n = 1; n <= 50; ++n) {
      for (Index at = 0; at < n; ++at) {
        std::vector<double> values(static_cast<std::size_t>(n), -2);
        values[static_cast<std::size_t>(at)] = -1;
        EXPECT_EQ(max(Tensor({n}, values).to(dtype)).item(), -1) << n << ", " << at;
        values[static_cast<std::size_t>(at)] = std::nan("");
        EXPECT_TRUE(std::isnan(max(Tensor({n}, values).to(dtype)).item())) << n << ", " << at;
        EXPECT_TRUE(std::isnan(min(Tensor({n}, values).to(dtype)).item())) << n << ", " << at;
        values[static_cast<std::size_t>(at)] = -3;
        EXPECT_EQ(min(Tensor({n}, values).to(dtype)).item(), -3) << n << ", " << at;
      }
    }
  }
}

const OpRow cumsum_row("cumsum");

TEST(Cumsum, Reference) {
  ASSERT_FALSE(cases_of("cumsum").empty());
  for (const std::string& name : cases_of("cumsum")) {
    check_case(name,
               [](const Arguments& a) { return std::vector{cumsum(a["x"], a.integer("axis"))}; },
               {.products = true});
  }
}

TEST(Cumsum, OfViews) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6}, DType::float64);
  const auto values = [](const Var& y) { return y.tensor().to_vector(); };
  using Values = std::vector<double>;
  EXPECT_EQ(values(cumsum(x, 0)), (Values{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(values(cumsum(x, 1)), (Values{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(values(cumsum(transpose(x), -1)), (Values{1, 5, 2, 7, 3, 9}));
  EXPECT_EQ(values(cumsum(slice(x, 1, 0, 3, 2), 1)), (Values{1, 4, 4, 10}));
  EXPECT_EQ(values(cumsum(x[1], 0)), (Values{4, 9, 15}));
  EXPECT_EQ(cumsum(Tensor::zeros({2, 0, 3}), 1).shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(cumsum(Tensor::zeros({2, 0, 3}), 0).shape(), (Shape{2, 0, 3}));
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
  EXPECT_EQ(error_of([] { min(Tensor({0}, std::vector<float>())); }),
            "min: x is (0): the reduced axes must have at least one element");
  EXPECT_EQ(error_of([] { min(Tensor({1}, {1}, DType::complex128)); }),
            "min: complex128 is not supported: the operation is not analytic");
  EXPECT_EQ(error_of([&] { prod(x, {2}); }), "prod: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { norm(x, {-3}); }), "norm: x is (2,3): there is no axis -3");
  EXPECT_EQ(error_of([&] { cumsum(x, 2); }), "cumsum: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([] { cumsum(Tensor({}, {1}), 0); }), "cumsum: x is (): there is no axis 0");
  EXPECT_EQ(error_of([] { max(Tensor({1}, {1}, DType::complex128)); }),
            "max: complex128 is not supported: the operation is not analytic");
}

}  // namespace
}  // namespace xgrad::testing
