#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr bool analytic = true;
constexpr bool real = false;

/// A group of reference cases.
struct Group {
  const char* name;  ///< in ops.json
  OpRow op;
  bool complex;
  std::function<Var(const Arguments&)> value;
  double magnitude = 0;  ///< 1: the reference, or float32, cancels where the result is small
};

void PrintTo(const Group& group, std::ostream* stream) { *stream << group.name; }

std::vector<Group> groups() {
  using A = const Arguments&;
  const auto row = [](const char* op) { return OpRow(op); };
  return {
      {"neg", row("operator-"), analytic, [](A a) { return -a["x"]; }},
      {"exp", row("exp"), analytic, [](A a) { return exp(a["x"]); }},
      {"log", row("log"), analytic, [](A a) { return log(a["x"]); }},
      {"log1p", row("log1p"), analytic, [](A a) { return log1p(a["x"]); }},
      {"expm1", row("expm1"), analytic, [](A a) { return expm1(a["x"]); }, 1},
      {"sqrt", row("sqrt"), analytic, [](A a) { return sqrt(a["x"]); }},
      {"square", row("square"), analytic, [](A a) { return square(a["x"]); }},
      {"abs", row("abs"), real, [](A a) { return abs(a["x"]); }},
      {"sin", row("sin"), analytic, [](A a) { return sin(a["x"]); }},
      {"cos", row("cos"), analytic, [](A a) { return cos(a["x"]); }},
      {"tan", row("tan"), analytic, [](A a) { return tan(a["x"]); }},
      {"sinh", row("sinh"), analytic, [](A a) { return sinh(a["x"]); }},
      {"cosh", row("cosh"), analytic, [](A a) { return cosh(a["x"]); }},
      {"asin", row("asin"), analytic, [](A a) { return asin(a["x"]); }},
      {"acos", row("acos"), analytic, [](A a) { return acos(a["x"]); }},
      {"atan", row("atan"), analytic, [](A a) { return atan(a["x"]); }},
      {"sign", row("sign"), real, [](A a) { return sign(a["x"]); }},
      {"floor", row("floor"), real, [](A a) { return floor(a["x"]); }},
      {"sigmoid", row("sigmoid"), analytic, [](A a) { return sigmoid(a["x"]); }, 1},
      {"tanh", row("tanh"), analytic, [](A a) { return tanh(a["x"]); }, 1},
      {"relu", row("relu"), analytic, [](A a) { return relu(a["x"]); }},
      {"leaky_relu", row("leaky_relu"), analytic, [](A a) { return leaky_relu(a["x"]); }},
      {"leaky_relu_0.2", row("leaky_relu"), analytic,
       [](A a) { return leaky_relu(a["x"], a.number("slope")); }},
      {"elu", row("elu"), analytic, [](A a) { return elu(a["x"]); }, 1},
      {"elu_0.5", row("elu"), analytic, [](A a) { return elu(a["x"], a.number("alpha")); }, 1},
      {"gelu", row("gelu"), real, [](A a) { return gelu(a["x"]); }, 1},
      // PyTorch's own softplus is linear above a threshold; this is the formula.
      {"softplus_exact", row("softplus"), analytic, [](A a) { return softplus(a["x"]); }},
      {"silu", row("silu"), analytic, [](A a) { return silu(a["x"]); }},
      {"clip", row("clip"), real,
       [](A a) { return clip(a["x"], a.number("min"), a.number("max")); }},
      {"clip_min", row("clip"), real, [](A a) { return clip(a["x"], a.number("min"), inf); }},
      {"clip_max", row("clip"), real, [](A a) { return clip(a["x"], -inf, a.number("max")); }},
      {"clip_crossed", row("clip"), real,
       [](A a) { return clip(a["x"], a.number("min"), a.number("max")); }},
      {"add_scalar", row("operator+"), analytic, [](A a) { return a["x"] + a.number("scalar"); }},
      {"sub_scalar", row("operator-"), analytic, [](A a) { return a["x"] - a.number("scalar"); }},
      {"scalar_sub", row("operator-"), analytic, [](A a) { return a.number("scalar") - a["x"]; }},
      {"mul_scalar", row("operator*"), analytic, [](A a) { return a["x"] * a.number("scalar"); }},
      {"div_scalar", row("operator/"), analytic, [](A a) { return a["x"] / a.number("scalar"); }},
      {"scalar_div", row("operator/"), analytic, [](A a) { return a.number("scalar") / a["x"]; }},
      {"scalar_pow", row("pow"), analytic, [](A a) { return pow(a.number("scalar"), a["x"]); }},
      {"zero_pow", row("pow"), analytic, [](A a) { return pow(a.number("scalar"), a["x"]); }},
      {"pow_2", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_3", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_1", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_0", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_0.5", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_-1", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"pow_1.7", row("pow"), analytic, [](A a) { return pow(a["x"], a.number("exponent")); }},
      {"add", row("operator+"), analytic, [](A a) { return a["a"] + a["b"]; }},
      {"sub", row("operator-"), analytic, [](A a) { return a["a"] - a["b"]; }},
      {"mul", row("operator*"), analytic, [](A a) { return a["a"] * a["b"]; }, 1},
      {"div", row("operator/"), analytic, [](A a) { return a["a"] / a["b"]; }},
      {"pow", row("pow"), analytic, [](A a) { return pow(a["a"], a["b"]); }},
      {"atan2", row("atan2"), analytic, [](A a) { return atan2(a["a"], a["b"]); }},
      {"maximum", row("maximum"), real, [](A a) { return maximum(a["a"], a["b"]); }},
      {"minimum", row("minimum"), real, [](A a) { return minimum(a["a"], a["b"]); }},
      {"where", row("where"), analytic, [](A a) { return where(a["condition"], a["a"], a["b"]); }},
  };
}

class PointwiseReference : public ::testing::TestWithParam<Group> {};

TEST_P(PointwiseReference, ValuesAndGradients) {
  const Group& group = GetParam();
  const std::vector<std::string> cases = cases_of(group.name);
  ASSERT_FALSE(cases.empty());
  for (const std::string& name : cases) {
    // PyTorch computes this power as a square root; see HalfPowersAreThoseOfStdPow.
    if (name == "pow_0.5/kink" || name == "pow_0.5/special") continue;
    // Its sign of NaN is 0; see SignAndFloor. Its r^2 overflows; see Atan2AtItsBorders.
    if (name == "sign/special" || name == "atan2/special") continue;
    const auto value = [&](const Arguments& a) { return std::vector{group.value(a)}; };
    // A power takes over the rounding of its logarithm, of up to 710, as a relative error.
    const double lost = name.starts_with("pow") ? 710 : 0;
    check_case(name, value, {.magnitude = group.magnitude, .lost = lost, .complex = group.complex});
  }
}

INSTANTIATE_TEST_SUITE_P(All, PointwiseReference, ::testing::ValuesIn(groups()),
                         [](const auto& group) {
                           std::string name = group.param.name;
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

const OpRow rows[] = {OpRow("erf"),        OpRow("operator>"),  OpRow("operator<"),
                      OpRow("operator>="), OpRow("operator<="), OpRow("equal")};

using Vars = std::span<const Var>;

/// Value and gradient of a function of one number.
std::pair<double, double> value_and_slope(const std::function<Var(const Var&)>& f, double x,
                                          DType dtype) {
  const Var at = parameter(Tensor({1}, {x}, dtype));
  Tape tape;
  const Var y = f(at);
  tape.backward(total(y));
  return {y.item(), at.grad().item()};
}

TEST(Pointwise, HalfPowersAreThoseOfStdPow) {
  const auto root = [](const Var& x) { return pow(x, 0.5); };
  for (const double x : {-0.0, 0.0, -inf, inf, 2.0}) {
    const auto [y, slope] = value_and_slope(root, x, DType::float64);
    EXPECT_EQ(y, std::pow(x, 0.5)) << x;
    EXPECT_EQ(slope, 0.5 * std::pow(x, -0.5)) << x;
  }
  EXPECT_TRUE(std::isnan(value_and_slope(root, -1, DType::float64).first));
  EXPECT_TRUE(std::isnan(value_and_slope(root, -1, DType::float64).second));
}

TEST(Pointwise, Log1pOfComplexNumbers) {
  // By the complex logarithm where 1 + z loses nothing, and by z - z^2 / 2 near 0.
  for (const double r : {0.25, 0.5, 1.0, 3.0}) {
    for (const double angle : {-3.0, -1.5, -0.5, 0.5, 1.0, 2.0, 3.0}) {
      const std::complex<double> z = std::polar(r, angle);
      const std::complex<double> exact = std::log(1.0 + z);
      // The real part is a difference of numbers up to (2 + r) r.
      const double bound = testing::rounding_bound(DType::float64, 8, (2 + r) * r + 1);
      EXPECT_NEAR(detail::log1p(z).real(), exact.real(), bound / std::norm(1.0 + z)) << z;
      EXPECT_NEAR(detail::log1p(z).imag(), exact.imag(), bound / std::norm(1.0 + z)) << z;
    }
  }
  const std::complex<double> tiny(3e-9, -4e-9);
  const std::complex<double> exact = tiny - 0.5 * tiny * tiny;
  EXPECT_NEAR(detail::log1p(tiny).real(), exact.real(), 4e-24);
  EXPECT_NEAR(detail::log1p(tiny).imag(), exact.imag(), 4e-24);
}

TEST(Pointwise, Expm1OfComplexNumbers) {
  // By the complex exponential where e^z is not near 1, and by z + z^2 / 2 near 0.
  for (const double r : {0.5, 1.0, 3.0}) {
    for (const double angle : {-3.0, -1.5, -0.5, 0.5, 1.0, 2.0, 3.0}) {
      const std::complex<double> z = std::polar(r, angle);
      const std::complex<double> exact = std::exp(z) - 1.0;
      const double bound = testing::rounding_bound(DType::float64, 8, 2 + std::exp(z.real()));
      EXPECT_NEAR(detail::expm1(z).real(), exact.real(), bound) << z;
      EXPECT_NEAR(detail::expm1(z).imag(), exact.imag(), bound) << z;
    }
  }
  const std::complex<double> tiny(3e-9, -4e-9);
  const std::complex<double> exact = tiny + 0.5 * tiny * tiny;
  EXPECT_NEAR(detail::expm1(tiny).real(), exact.real(), 4e-24);
  EXPECT_NEAR(detail::expm1(tiny).imag(), exact.imag(), 4e-24);
}

TEST(Pointwise, MinusZeroKeepsItsSign) {
  using Op = Var (*)(const Var&);
  const std::pair<const char*, Op> ops[] = {
      {"sqrt", [](const Var& x) -> Var { return sqrt(x); }},
      {"sin", [](const Var& x) -> Var { return sin(x); }},
      {"tan", [](const Var& x) -> Var { return tan(x); }},
      {"asin", [](const Var& x) -> Var { return asin(x); }},
      {"atan", [](const Var& x) -> Var { return atan(x); }},
      {"sinh", [](const Var& x) -> Var { return sinh(x); }},
      {"tanh", [](const Var& x) -> Var { return tanh(x); }},
      {"expm1", [](const Var& x) -> Var { return expm1(x); }},
      {"log1p", [](const Var& x) -> Var { return log1p(x); }},
      {"erf", [](const Var& x) -> Var { return erf(x); }},
      {"gelu", [](const Var& x) -> Var { return gelu(x); }},
      {"silu", [](const Var& x) -> Var { return silu(x); }},
      {"sign", [](const Var& x) -> Var { return sign(x); }},
      {"floor", [](const Var& x) -> Var { return floor(x); }},
  };
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = Tensor::full({19}, -0.0, dtype);
    for (const auto& [name, op] : ops) {
      for (const double y : op(x).tensor().to_vector()) {
        EXPECT_TRUE(y == 0 && std::signbit(y)) << name << " is " << y;
      }
    }
  }
}

TEST(Pointwise, SignAndFloor) {
  const double nan = std::nan("");
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = parameter(Tensor({7}, {-2.5, -0.0, 0, 0.75, inf, -inf, nan}, dtype));
    Tape tape;
    const Var signs = sign(x);
    const Var floors = floor(x);
    expect_close(signs.tensor().to_vector(), std::vector<double>{-1, 0, 0, 1, 1, -1, nan}, 0);
    expect_close(floors.tensor().to_vector(), std::vector<double>{-3, 0, 0, 0, inf, -inf, nan}, 0);
    EXPECT_TRUE(std::signbit(signs.tensor().to_vector()[1]));
    // 0 is added to the slopes of x, whatever it is.
    const Var gradient = grad(total(signs + floors + x), {x})[0];
    EXPECT_EQ(gradient.tensor().to_vector(), std::vector<double>(7, 1));
  }
  const Var z = Tensor({1}, {1}, DType::complex128);
  EXPECT_EQ(error_of([&] { Var y = sign(z); }),
            "sign: complex128 is not supported: it is not analytic");
  EXPECT_EQ(error_of([&] { Var y = floor(z); }),
            "floor: complex128 is not supported: it is not analytic");
}

TEST(Pointwise, Atan2AtItsBorders) {
  const std::vector<double> edges{0.0, -0.0, 1, -1, inf, -inf, std::nan("")};
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double tolerance = testing::rounding_bound(dtype, testing::elementary);
    for (const double b : edges) {
      for (const double a : edges) {
        const auto one = [&](double number) { return Var(Tensor({1}, {number}, dtype)); };
        const double angle = Var(atan2(one(a), one(b))).item();
        expect_close(std::vector{angle}, std::vector{std::atan2(a, b)}, tolerance);
        EXPECT_EQ(angle == 0 && std::signbit(angle), angle == 0 && std::signbit(a)) << a << b;
      }
    }
  }
  // Where x^2 + y^2 overflows or vanishes, the slopes x / r^2 and -y / r^2 do not.
  for (const auto& [a, b] :
       {std::pair{3e200, 4e200}, {4e-200, -3e-200}, {1e300, 1.0}, {1.0, inf}, {-inf, 1.0}}) {
    const Var y = parameter(Tensor({1}, {a}, DType::float64));
    const Var x = parameter(Tensor({1}, {b}, DType::float64));
    Tape tape;
    tape.backward(total(atan2(y, x)));
    const double r = std::hypot(a, b);
    const auto slope = [&](double part) { return std::isinf(r) ? 0 : part / r / r; };
    expect_close(y.grad().to_vector(), std::vector{slope(b)}, 1e-15);
    expect_close(x.grad().to_vector(), std::vector{slope(-a)}, 1e-15);
  }
}

TEST(Pointwise, ExponentialsReachTheEndsOfTheirRange) {
  const std::function<Var(const Var&)> exp_of = [](const Var& a) { return exp(a); };
  const std::function<Var(const Var&)> expm1_of = [](const Var& a) { return expm1(a); };
  struct End {
    DType dtype;
    double largest, smallest, vanishing;  // the last finite, normal and positive result is there
  };
  for (const auto& [dtype, largest, smallest, vanishing] :
       {End{DType::float32, 88.722, -87.336, -103.97},
        {DType::float64, 709.78, -708.39, -745.13}}) {
    for (const auto& f : {exp_of, expm1_of}) {
      EXPECT_LT(value_and_slope(f, largest, dtype).first, inf);
      EXPECT_EQ(value_and_slope(f, largest + 0.01, dtype).first, inf);
      EXPECT_EQ(value_and_slope(f, inf, dtype).first, inf);
      EXPECT_TRUE(std::isnan(value_and_slope(f, std::nan(""), dtype).first));
    }
    const double last = value_and_slope(exp_of, smallest, dtype).first;
    EXPECT_NEAR(last / std::exp(smallest), 1, 1e-5);
    EXPECT_GT(value_and_slope(exp_of, vanishing, dtype).first, 0);
    EXPECT_EQ(value_and_slope(exp_of, vanishing - 1, dtype).first, 0);
    EXPECT_EQ(value_and_slope(exp_of, -inf, dtype).first, 0);
  }
}

TEST(Pointwise, ErfIsThatOfTheStandardLibrary) {
  for (double x = -6.5; x < 6.6; x += 0.125) {
    const auto [y, slope] = value_and_slope([](const Var& a) { return erf(a); }, x, DType::float64);
    // Both sides are rounded; the slope's factor and its exponential, too.
    EXPECT_NEAR(y, std::erf(x), rounding_bound(DType::float64, 2 * elementary)) << x;
    EXPECT_NEAR(slope, 2 / std::sqrt(std::acos(-1.0)) * std::exp(-x * x),
                rounding_bound(DType::float64, 4 * elementary))
        << x;
    const auto in_float = value_and_slope([](const Var& a) { return erf(a); }, x, DType::float32);
    EXPECT_NEAR(in_float.first, std::erf(x), rounding_bound(DType::float32, elementary)) << x;
  }
  EXPECT_THROW(Var(erf(Var(Tensor({1}, {1}, DType::complex128)))), Error);
  using Result = std::pair<double, double>;
  for (const double x : {20.0, 1e38, 1e63, 1e308, inf}) {
    const DType dtype = x < 1e39 ? DType::float32 : DType::float64;
    const auto erf_at = [&](double at) {
      return value_and_slope([](const Var& a) { return erf(a); }, at, dtype);
    };
    EXPECT_EQ(erf_at(x), Result(1, 0)) << x;
    EXPECT_EQ(erf_at(-x), Result(-1, 0)) << x;
  }
  const auto gelu_of = [](const Var& a) { return gelu(a); };
  EXPECT_EQ(value_and_slope(gelu_of, 1e63, DType::float64), Result(1e63, 1));
  EXPECT_EQ(value_and_slope(gelu_of, -1e63, DType::float64), Result(-0.0, 0));
  EXPECT_TRUE(std::isnan(value_and_slope(gelu_of, std::nan(""), DType::float64).first));
}

TEST(Pointwise, LogIsThatOfTheStandardLibrary) {
  const auto log_of = [](const Var& a) { return log(a); };
  for (const double x : {5e-324, 1e-310, 2.2e-308, 2.3e-308, 1e-300, 0.5, 1.0, 1e300, 0.0, inf}) {
    EXPECT_DOUBLE_EQ(value_and_slope(log_of, x, DType::float64).first, std::log(x)) << x;
  }
  EXPECT_EQ(value_and_slope(log_of, -0.0, DType::float64).first, -inf);
  EXPECT_TRUE(std::isnan(value_and_slope(log_of, -1e-310, DType::float64).first));
  EXPECT_TRUE(std::isnan(value_and_slope(log_of, std::nan(""), DType::float64).first));
}

TEST(Pointwise, StableFormsStayFiniteFarOut) {
  struct Case {
    std::function<Var(const Var&)> f;
    double x, y, slope;
  };
  const Case cases[] = {
      {[](const Var& x) { return softplus(x); }, 1000, 1000, 1},
      {[](const Var& x) { return softplus(x); }, -1000, 0, 0},
      {[](const Var& x) { return sigmoid(x); }, 1000, 1, 0},
      {[](const Var& x) { return sigmoid(x); }, -1000, 0, 0},
      {[](const Var& x) { return tanh(x); }, 1000, 1, 0},
      {[](const Var& x) { return tanh(x); }, -1000, -1, 0},
      {[](const Var& x) { return silu(x); }, 1000, 1000, 1},
      {[](const Var& x) { return silu(x); }, -1000, 0, 0},
      {[](const Var& x) { return gelu(x); }, 1000, 1000, 1},
      {[](const Var& x) { return gelu(x); }, -1000, 0, 0},
      {[](const Var& x) { return elu(x); }, 1000, 1000, 1},
      {[](const Var& x) { return elu(x); }, -1000, -1, 0},
      {[](const Var& x) { return erf(x); }, -1000, -1, 0},
      {[](const Var& x) { return expm1(x); }, -1000, -1, 0},
  };
  for (const Case& each : cases) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      const auto [y, slope] = value_and_slope(each.f, each.x, dtype);
      EXPECT_EQ(y, each.y);
      EXPECT_EQ(slope, each.slope);
    }
    // So do the second and third derivative, zero at that distance.
    const Var x = parameter(Tensor({1}, {each.x}, DType::float64));
    Tape tape;
    const Var first = grad(each.f(x), {x}, {.create_graph = true})[0];
    const Var second = grad(first, {x}, {.create_graph = true})[0];
    EXPECT_EQ(second.item(), 0) << each.x;
    EXPECT_EQ(grad(second, {x})[0].item(), 0) << each.x;
  }
}

/// A function, and the interval from which its arguments are drawn.
struct Smooth {
  const char* name;
  std::function<Var(Vars)> f;
  double low;
  double high;
  int arguments = 1;
};

TEST(Pointwise, HigherDerivatives) {
  const Smooth functions[] = {
      {"negate", [](Vars x) { return -x[0]; }, -2, 2},
      {"exp", [](Vars x) { return exp(x[0]); }, -2, 2},
      {"log", [](Vars x) { return log(x[0]); }, 0.5, 3},
      {"log1p", [](Vars x) { return log1p(x[0]); }, -0.5, 2},
      {"expm1", [](Vars x) { return expm1(x[0]); }, -2, 2},
      {"sqrt", [](Vars x) { return sqrt(x[0]); }, 0.5, 3},
      {"square", [](Vars x) { return square(x[0]); }, -2, 2},
      {"abs", [](Vars x) { return abs(x[0]) * x[0]; }, 0.5, 2},
      {"sin", [](Vars x) { return sin(x[0]); }, -3, 3},
      {"cos", [](Vars x) { return cos(x[0]); }, -3, 3},
      {"tan", [](Vars x) { return tan(x[0]); }, -1, 1},
      {"sinh", [](Vars x) { return sinh(x[0]); }, -2, 2},
      {"cosh", [](Vars x) { return cosh(x[0]); }, -2, 2},
      {"asin", [](Vars x) { return asin(x[0]); }, -0.7, 0.7},
      {"acos", [](Vars x) { return acos(x[0]); }, -0.7, 0.7},
      {"atan", [](Vars x) { return atan(x[0]); }, -2, 2},
      {"atan2", [](Vars x) { return atan2(x[0], x[1]); }, 0.5, 2, 2},
      {"sign", [](Vars x) { return sign(x[0]) * x[0]; }, -2, -0.5},
      {"floor", [](Vars x) { return floor(x[0]) * x[0]; }, 1.1, 1.9},
      {"erf", [](Vars x) { return erf(x[0]); }, -2, 2},
      {"sigmoid", [](Vars x) { return sigmoid(x[0]); }, -3, 3},
      {"tanh", [](Vars x) { return tanh(x[0]); }, -2, 2},
      {"relu", [](Vars x) { return relu(x[0]) * x[0]; }, 0.5, 2},
      {"leaky_relu", [](Vars x) { return leaky_relu(x[0], 0.2) * x[0]; }, -2, -0.5},
      {"elu", [](Vars x) { return elu(x[0], 0.7); }, -2, -0.5},
      {"elu", [](Vars x) { return elu(x[0], 0.7) * x[0]; }, 0.5, 2},
      {"gelu", [](Vars x) { return gelu(x[0]); }, -2, 2},
      {"softplus", [](Vars x) { return softplus(x[0]); }, -3, 3},
      {"silu", [](Vars x) { return silu(x[0]); }, -3, 3},
      {"clip", [](Vars x) { return clip(x[0], -3, 3) * x[0]; }, -2, 2},
      {"pow 3", [](Vars x) { return pow(x[0], 3); }, -2, 2},
      {"pow -1.5", [](Vars x) { return pow(x[0], -1.5); }, 0.5, 2},
      {"2 pow", [](Vars x) { return pow(2, x[0]); }, -2, 2},
      {"pow", [](Vars x) { return pow(x[0], x[1]); }, 0.5, 2, 2},
      {"add", [](Vars x) { return x[0] + x[1]; }, -2, 2, 2},
      {"subtract", [](Vars x) { return x[0] - x[1]; }, -2, 2, 2},
      {"multiply", [](Vars x) { return x[0] * x[1]; }, -2, 2, 2},
      {"divide", [](Vars x) { return x[0] / x[1]; }, 0.5, 2, 2},
      {"maximum", [](Vars x) { return maximum(x[0], 3 * x[1]) * x[0]; }, 1, 2, 2},
      {"minimum", [](Vars x) { return minimum(x[0], 3 * x[1]) * x[0]; }, 1, 2, 2},
      {"where", [](Vars x) { return where(x[0] > 1.0, x[0], x[1]) * x[0] * x[1]; }, 1.1, 2, 2},
      {"fused", [](Vars x) { return sigmoid(x[0]) * tanh(x[1]) + x[0] * x[0] / exp(x[1]); }, -1, 1,
       2},
  };
  for (const Smooth& each : functions) {
    SCOPED_TRACE(each.name);
    std::vector<Tensor> xs;
    for (int i = 0; i < each.arguments; ++i) {
      const Shape shape = i == 0 ? Shape{2, 3} : Shape{3};  // the second one broadcasts
      const Var unit = (Var(numbers(shape, 7 + i)) + 1) / 2;
      xs.push_back(Var(each.low + (each.high - each.low) * unit).tensor());
    }
    check_derivatives(each.f, xs);
  }
}

// The second derivative of asin is x / (1 - x^2)^(3/2), the third (1 + 2 x^2) / (1 - x^2)^(5/2);
// those of acos have the other sign.
TEST(Pointwise, HigherDerivativesOfAsinAndAcosKeepSmallNumbersAndReachTheEnds) {
  const std::vector<double> xs{0, 1e-30, -1e-10, 1e-5, -1e-3, 0.1, -0.5, 0.9, -0.99, 1 - 1e-6};
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const double sign : {1, -1}) {
      const auto f = [&](const Var& x) { return sign > 0 ? Var(asin(x)) : Var(acos(x)); };
      const auto derivatives = [&](const Tensor& at) {
        const Var x = parameter(at);
        const Tape tape;
        const Var first = grad(total(f(x)), {x}, {.create_graph = true})[0];
        const Var second = grad(total(first), {x}, {.create_graph = true})[0];
        return std::pair(second.tensor().to_vector(),
                         grad(total(second), {x})[0].tensor().to_vector());
      };
      const Tensor at = Tensor({static_cast<Index>(xs.size())}, xs).to(dtype);
      const auto [second, third] = derivatives(at);
      for (std::size_t i = 0; i < xs.size(); ++i) {
        const long double x = at.to_vector()[i];
        const long double slope = 1 / std::sqrt((1 - x) * (1 + x));
        const auto expect = [&](double y, long double exact, double roundings) {
          const auto expected = static_cast<double>(exact);
          EXPECT_NEAR(y, expected, testing::rounding_bound(dtype, roundings, std::abs(expected)))
              << static_cast<double>(x);
        };
        // The slope has 4 roundings (1 - x, 1 + x, and their product count half), its cube three
        // times as many; then come the products: 5 of the second, and of the third's two terms,
        // one of which has the fifth power of the slope, 10 and a sum.
        expect(second[i], sign * x * slope * slope * slope, 3 * 4 + 5);
        expect(third[i], sign * (1 + 2 * x * x) * std::pow(slope, 5), 5 * 4 + 10 + 1);
      }
      const auto ends = derivatives(Tensor({2}, {-1, 1}, dtype));
      EXPECT_EQ(ends.first, (std::vector<double>{-sign * inf, sign * inf}));
      EXPECT_EQ(ends.second, (std::vector<double>{sign * inf, sign * inf}));
    }
  }
}

TEST(Pointwise, HigherDerivativesOfPowersAtZero) {
  const Var x = parameter(Tensor({4}, {0, 0, 0, 0}, DType::float64));
  const Var exponent = parameter(Tensor({4}, {1, 2, 3, 4}, DType::float64));
  Tape tape;
  const Var y = pow(x, exponent);
  const Var first = grad(total(y), {x}, {.create_graph = true})[0];
  const Var second = grad(total(first), {x}, {.create_graph = true})[0];
  const Var third = grad(total(second), {x})[0];
  EXPECT_EQ(first.tensor().to_vector(), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(second.tensor().to_vector(), (std::vector<double>{0, 2, 0, 0}));
  EXPECT_EQ(third.tensor().to_vector(), (std::vector<double>{0, 0, 6, 0}));
}

// d/db of b a^(b - 1) is a^(b - 1) (1 + b log a), also at b = 0.
TEST(Pointwise, TheSlopeOfAPowerGoesOnAtTheExponentZero) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var a = parameter(Tensor({4}, {2, 0.5, 0, 4e-320}, DType::float64));
    const Var b = parameter(Tensor({4}, {0, 0, 0, 0}, DType::float64));
    Tape tape(mode);
    const Var by_a = grad(total(pow(a, b)), {a}, {.create_graph = true})[0];
    EXPECT_EQ(by_a.tensor().to_vector(), (std::vector<double>{0, 0, 0, 0}));
    const std::vector<Var> second = grad(total(by_a), {a, b});
    const std::vector<double> mixed = second[1].tensor().to_vector();
    EXPECT_EQ(mixed[0], 0.5);
    EXPECT_EQ(mixed[1], 2);
    EXPECT_EQ(mixed[2], 0);  // as PyTorch's
    EXPECT_EQ(second[0].tensor().to_vector()[0], 0);
  }
}

TEST(Pointwise, ComparisonsAreZeroOrOneAndHaveNoGradient) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var a = parameter(Tensor({6}, {1, 2, 3, nan, inf, -0.0}, dtype));
    const Var b = parameter(Tensor({6}, {2, 2, 2, 2, inf, 0.0}, dtype));
    EXPECT_EQ(Var(a > b).tensor().to_vector(), (std::vector<double>{0, 0, 1, 0, 0, 0}));
    EXPECT_EQ(Var(a < b).tensor().to_vector(), (std::vector<double>{1, 0, 0, 0, 0, 0}));
    EXPECT_EQ(Var(equal(a, b)).tensor().to_vector(), (std::vector<double>{0, 1, 0, 0, 1, 1}));
    EXPECT_EQ(Var(a >= b).tensor().to_vector(), (std::vector<double>{0, 1, 1, 0, 1, 1}));
    EXPECT_EQ(Var(a <= b).tensor().to_vector(), (std::vector<double>{1, 1, 0, 0, 1, 1}));
    EXPECT_EQ(Var(2 > a).tensor().to_vector(), (std::vector<double>{1, 0, 0, 0, 0, 1}));
    Tape tape;
    const Var sum = total((a > b) + (a < b) + equal(a, b) + (a >= b) + (a <= b));
    const auto gradients = grad(sum, {a, b});
    EXPECT_EQ(gradients[0].tensor().to_vector(), std::vector<double>(6, 0.0));
    EXPECT_EQ(gradients[1].tensor().to_vector(), std::vector<double>(6, 0.0));
  }
  const Var z = Tensor({1}, {1}, DType::complex128);
  EXPECT_EQ(error_of([&] { Var y = z > z; }),
            "greater: complex128 is not supported: it is not analytic");
}

// Nothing is pulled on from a comparison: 0 times the infinite slope of sqrt at 0 would be NaN.
TEST(Pointwise, WhatOnlyAComparisonReadsHasNoGradient) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const auto gradient = [&](const std::function<Var(const Var&)>& f) {
      const Var x = parameter(Tensor({1}, {0}, DType::float64));
      Tape tape(mode);
      tape.backward(total(f(x)));
      return x.grad().item();
    };
    EXPECT_EQ(gradient([](const Var& x) { return Var(where(sqrt(x) > 0.5, x, 2.0 * x)); }), 2);
    EXPECT_EQ(gradient([](const Var& x) {
                const Var root = sqrt(x);
                const Var condition = root > 0.5;
                return Var(where(condition, x, 2.0 * x));
              }),
              2);
    EXPECT_EQ(gradient([](const Var& x) { return Var(where(log(x) < -5.0, x, 2.0 * x)); }), 1);
    EXPECT_EQ(gradient([](const Var& x) { return Var(where(equal(sqrt(x), 0.0), x, 2.0 * x)); }),
              1);
    EXPECT_EQ(gradient([](const Var& x) { return Var(where(sqrt(x), x, 2.0 * x)); }), 2);

    const Var border = parameter(Tensor({1}, {1}, DType::float64));
    const Var x = parameter(Tensor({1}, {3}, DType::float64));
    Tape tape(mode);
    tape.backward(total(where(x > border, x, 2.0 * x)));
    EXPECT_EQ(x.grad().item(), 1);
    EXPECT_FALSE(border.has_grad());
  }
}

// Of an expression, what `where` does not choose leaves no trace: neither its values nor its
// slopes.
TEST(Pointwise, WhatIsNotChosenLeavesNoTrace) {
  const double nan = std::nan("");
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      for (const bool create_graph : {false, true}) {
        const auto gradients = [&](const std::vector<Var>& xs, const auto& f) {
          const Tape tape(mode);
          std::vector<std::vector<double>> all;
          for (const Var& g : grad(total(f(xs)), xs, {.create_graph = create_graph})) {
            all.push_back(g.tensor().to_vector());
          }
          return all;
        };
        using Lists = std::vector<std::vector<double>>;
        using Xs = const std::vector<Var>&;
        const auto p = [&](const Shape& shape, std::initializer_list<double> values) {
          return parameter(Tensor(shape, values, dtype));
        };
        EXPECT_EQ(gradients({p({4}, {0, -1, 4, nan})},
                            [](Xs x) { return where(x[0] > 0.0, log(x[0]), 0.0); }),
                  (Lists{{0, 0, 0.25, 0}}));
        EXPECT_EQ(gradients({p({3}, {0, 1, 4})},
                            [](Xs x) { return where(equal(x[0], 0.0), 7.0, 2.0 * sqrt(x[0])); }),
                  (Lists{{0, 1, 0.5}}));
        // A loss of which some targets are missing.
        const Var mask = Tensor({3}, {1, 0, 1}, dtype);
        EXPECT_EQ(gradients({p({3}, {1, 2, 3}), p({3}, {3, nan, 1})},
                            [&](Xs x) { return where(mask, square(x[0] - x[1]), 0.0) * 2.0; }),
                  (Lists{{-8, 0, 8}, {8, 0, -8}}));
        // One within the other, and operands that broadcast.
        EXPECT_EQ(gradients({p({2, 1}, {0, 4}), p({3}, {1, nan, 2})},
                            [&](Xs x) {
                              return where(mask, 3.0 * where(x[0] > 0.0, sqrt(x[0]) * x[1], 1.0),
                                           0.0);
                            }),
                  (Lists{{0, 2.25}, {6, 0, 6}}));
      }
    }
  }
}

// Not even in derivatives of derivatives, where 0 would meet the infinite slopes of slopes.
TEST(Pointwise, WhatIsNotChosenLeavesNoTraceInHigherDerivatives) {
  using Lists = std::vector<std::vector<double>>;
  using Xs = const std::vector<Var>&;
  const double nan = std::nan("");
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      // The derivatives by all xs, each time of the derivative by the first.
      const auto derivatives = [&](const std::vector<Var>& xs, const auto& f) {
        const Tape tape(mode);
        Lists all;
        Var y = f(xs);
        for (const int order : {1, 2, 3}) {
          const std::vector<Var> gradients = grad(total(y), xs, {.create_graph = order < 3});
          for (const Var& g : gradients) all.push_back(g.tensor().to_vector());
          y = gradients[0];
        }
        return all;
      };
      const auto p = [&](const Shape& shape, std::initializer_list<double> values) {
        return parameter(Tensor(shape, values, dtype));
      };
      EXPECT_EQ(derivatives({p({4}, {0, -1, 4, nan})},
                            [](Xs x) { return where(x[0] > 0.0, sqrt(x[0]), 2.0 * x[0]); }),
                (Lists{{2, 2, 0.25, 2}, {0, 0, -1. / 32, 0}, {0, 0, 3. / 256, 0}}));
      // log(0) of the number that stands in for x would follow.
      EXPECT_EQ(
          derivatives({p({3}, {-1, 0.25, 1.5})},
                      [](Xs x) { return where(x[0] > 1.0, log(x[0] - 0.5), x[0] * x[0] * x[0]); }),
          (Lists{{3, 3. / 16, 1}, {-6, 1.5, -1}, {6, 6, 2}}));
      // One within the other, and one within a condition.
      EXPECT_EQ(derivatives({p({4}, {-1, 1, 2, 0})},
                            [](Xs x) {
                              return where(x[0] > 0.0,
                                           where(x[0] > 1.0, log(x[0] - 1.0), sqrt(x[0])),
                                           x[0] * x[0]);
                            }),
                (Lists{{-2, 0.5, 1, 0}, {2, -0.25, -1, 2}, {0, 0.375, 2, 0}}));
      EXPECT_EQ(derivatives({p({4}, {-1, 1, 5, 0})},
                            [](Xs x) {
                              return where(where(x[0] > 0.0, log(x[0]), -1.0) > 0.0,
                                           sqrt(x[0] - 1.0), x[0] * x[0] * x[0]);
                            }),
                (Lists{{3, 3, 0.25, 0}, {-6, 6, -1. / 32, 0}, {6, 6, 3. / 256, 6}}));
      // Operands that broadcast: each number is chosen with some of the others.
      EXPECT_EQ(
          derivatives({p({2, 1}, {0, 4}), p({3}, {0, 3, 4})},
                      [](Xs x) { return where(x[0] > x[1], sqrt(x[0] - x[1]), x[0] * x[1]); }),
          (Lists{{7, 4.75},
                 {-0.25, -0.5, 4},
                 {0, -9. / 32},
                 {33. / 32, 1.25, 2},
                 {0, 99. / 256},
                 {-3. / 256, -0.375, 0}}));
    }
  }
}

TEST(Pointwise, TheSameVarSeveralTimes) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var x = parameter(Tensor({3}, {0.5, 1, 2}, DType::float64));
    const auto gradient = [&](const std::function<Var()>& f) {
      Tape tape(mode);
      return grad(total(f()), {x})[0].tensor().to_vector();
    };
    EXPECT_EQ(gradient([&] { return x * x; }), (std::vector<double>{1, 2, 4}));
    EXPECT_EQ(gradient([&] { return x + x; }), (std::vector<double>{2, 2, 2}));
    EXPECT_EQ(gradient([&] { return x - x; }), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(gradient([&] { return x / x; }), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(gradient([&] { return maximum(x, x); }), (std::vector<double>{1, 1, 1}));
    EXPECT_EQ(gradient([&] { return where(x, x, x); }), (std::vector<double>{1, 1, 1}));
    const double ln2 = std::log(2.0);
    expect_close(gradient([&] { return pow(x, x); }),
                 std::vector{std::sqrt(0.5) * (1 - ln2), 1.0, 4 * (1 + ln2)},
                 rounding_bound(DType::float64, 4 * elementary), 1);
  }
}

TEST(Pointwise, ScalarsAndEmptyAxes) {
  const Var scalar = parameter(Tensor({}, {2}, DType::float64));
  const Var none = parameter(Tensor({2, 0, 3}, {}, DType::float64));
  Tape tape;
  EXPECT_EQ(Var(square(scalar)).shape(), Shape());
  const Var y = tanh(none) * scalar;
  EXPECT_EQ(y.shape(), (Shape{2, 0, 3}));
  tape.backward(total(y) + square(scalar));
  EXPECT_EQ(scalar.grad().item(), 4);
  EXPECT_EQ(none.grad().shape(), (Shape{2, 0, 3}));
}

TEST(Pointwise, ErrorsNameTheOpTheShapesAndTheRule) {
  const Var a = numbers({2, 3}, 1);
  const Var b = numbers({4}, 2);
  EXPECT_EQ(error_of([&] { Var y = a + b; }),
            "add: a is (2,3), b is (4): the extents of each axis, aligned at the right, must be "
            "equal or 1");
  EXPECT_EQ(error_of([&] { Var y = exp(a) * (tanh(b) + 1); }),
            "multiply: a is (2,3), b is (4): the extents of each axis, aligned at the right, must "
            "be equal or 1");
  const Var single = a.tensor().to(DType::float32);
  EXPECT_EQ(error_of([&] { Var y = pow(a, single); }),
            "pow: operands are float64 and float32: they must have one dtype");
  const Var z = a.tensor().to(DType::complex128);
  EXPECT_EQ(error_of([&] { Var y = abs(z); }),
            "abs: complex128 is not supported: it is not analytic");
  EXPECT_EQ(error_of([&] { Var y = exp(Var()); }), "exp: an operand has no value");
}

}  // namespace
}  // namespace xgrad::testing
