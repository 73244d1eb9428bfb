#pragma once

#include <numbers>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/kernels/elementary.hpp>

/// The pointwise functions. Each is one struct, its value and its pullback, and one function.
/// Conventions at kinks, ties and NaN follow PyTorch 1.13. Every function takes a Var or a
/// pointwise expression (`atan2`, `pow`, `maximum` and `minimum` numbers beside one, too) and
/// returns an expression; a Tensor or an xtensor array is wrapped, `tanh(Var(array))`. y is the
/// result, dy its gradient.
///
/// Values and derivatives are right to 4 units in the last place (ulps), those of exp, sigmoid,
/// tanh, sqrt and / to 2, in float32 and float64, for every finite number; README has the table.
/// What is known less well is said at the function. Results below the smallest normal number may be
/// 0.
namespace xgrad {
namespace detail {

template <class T>
concept PointwiseOperand = Operands<T>;

// The names for numbers; for SIMD batches and Vars argument-dependent lookup finds theirs.
using std::abs;
using std::acos;
using std::asin;
using std::atan;
using std::cosh;
using std::log;
using std::sinh;
using std::sqrt;
using std::tanh;

/// Branches of a piecewise analytic function are chosen by the real part.
template <class T, class A>
auto is_negative(const xsimd::batch<T, A>& x) {
  return x < xsimd::batch<T, A>(T(0));
}
inline bool is_negative(std::complex<double> x) { return x.real() < 0; }
inline auto is_negative(const Var& x) { return x < 0.0; }

/// x <= 0; false for NaN.
template <class T, class A>
auto not_positive(const xsimd::batch<T, A>& x) {
  return x <= xsimd::batch<T, A>(T(0));
}
inline auto not_positive(const Var& x) { return (x < 0.0) + equal(x, 0.0); }

inline std::complex<double> log1p(std::complex<double> x) {
  const double a = x.real();
  const double b = x.imag();
  return {0.5 * std::log1p(a * (2 + a) + b * b), std::atan2(b, 1 + a)};
}
inline std::complex<double> expm1(std::complex<double> x) {
  const double half = std::sin(0.5 * x.imag());
  return {std::expm1(x.real()) * std::cos(x.imag()) - 2 * half * half,
          std::exp(x.real()) * std::sin(x.imag())};
}

// Those of core/kernels/elementary.hpp for complex numbers and Vars.
struct Exp;
struct Gaussian;
struct NormalCdf;
struct Cos;
struct Sigmoid;
struct Sin;
namespace elementary {

inline std::complex<double> exp(std::complex<double> x) { return std::exp(x); }
inline std::complex<double> sin(std::complex<double> x) { return std::sin(x); }
inline std::complex<double> cos(std::complex<double> x) { return std::cos(x); }
inline std::complex<double> tan(std::complex<double> x) { return std::tan(x); }
/// By the quotient that is at most 1; the other part is a constant.
inline std::complex<double> atan2(std::complex<double> y, std::complex<double> x) {
  const double angle = std::atan2(y.real(), x.real());
  const bool steep = std::abs(y.real()) > std::abs(x.real());
  const std::complex<double> part = steep ? -std::atan(x / y) : std::atan(y / x);
  return {angle, part.imag()};
}
inline std::complex<double> expm1(std::complex<double> x) { return detail::expm1(x); }
inline std::complex<double> log1p(std::complex<double> x) { return detail::log1p(x); }

auto exp(const PointwiseOperand auto& x) { return pointwise<Exp>(x); }
auto sin(const PointwiseOperand auto& x) { return pointwise<Sin>(x); }
auto cos(const PointwiseOperand auto& x) { return pointwise<Cos>(x); }
auto gaussian(const PointwiseOperand auto& x, double c, const auto& factor) {
  return factor * pointwise<Gaussian>(x, c);
}
auto normal_cdf(const PointwiseOperand auto& x, const auto& factor) {
  return factor * pointwise<NormalCdf>(x);
}

}  // namespace elementary

template <class T, class A>
xsimd::batch<T, A> sigmoid(const xsimd::batch<T, A>& x) {
  return elementary::sigmoid(x);
}
inline std::complex<double> sigmoid(std::complex<double> x) {
  return x.real() < 0 ? std::exp(x) / (1.0 + std::exp(x)) : 1.0 / (1.0 + std::exp(-x));
}

/// sigmoid(x) down to the smallest numbers, where e^-x overflows.
template <class T, class A>
xsimd::batch<T, A> sigmoid_to_its_end(const xsimd::batch<T, A>& x) {
  const auto e = elementary::exp(-abs(x));
  return where(x < 0.0, e, 1.0) / (1.0 + e);
}
inline std::complex<double> sigmoid_to_its_end(std::complex<double> x) { return sigmoid(x); }
auto sigmoid_to_its_end(const PointwiseOperand auto& x) { return pointwise<Sigmoid>(x); }

/// sigmoid(x) (1 + x sigmoid(-x)), by s = sigmoid(-|x|).
template <class T, class A>
xsimd::batch<T, A> silu_slope(const xsimd::batch<T, A>& x) {
  const auto e = elementary::exp(-abs(x));
  const auto s = e / (1.0 + e);
  return where(x < 0.0, s * (1.0 + x - x * s), (1.0 + x * s) / (1.0 + e));
}
template <class X>
auto silu_slope(const X& x) {
  return sigmoid_to_its_end(x) * (1.0 + x * sigmoid_to_its_end(-x));
}

/// Lane by lane: xsimd's own pow is off by many units in the last place, and wrong at zero.
template <class T, class A>
xsimd::batch<T, A> power(const xsimd::batch<T, A>& a, const xsimd::batch<T, A>& b) {
  alignas(64) T x[xsimd::batch<T, A>::size];
  alignas(64) T y[xsimd::batch<T, A>::size];
  a.store_aligned(x);
  b.store_aligned(y);
  for (std::size_t i = 0; i < xsimd::batch<T, A>::size; ++i) x[i] = std::pow(x[i], y[i]);
  return xsimd::batch<T, A>::load_aligned(x);
}
inline std::complex<double> power(std::complex<double> a, std::complex<double> b) {
  if (b == 0.0) return 1.0;
  const bool whole = b.imag() == 0 && b.real() == std::trunc(b.real());
  if (a.real() >= 0 || !whole) return std::pow(a, b);
  // By way of the logarithm of a negative number the small imaginary part would be lost.
  const std::complex<double> positive = std::pow(-a, b);
  return std::fmod(b.real(), 2) == 0 ? positive : -positive;
}
struct Pow;
template <class A, class B>
requires Operands<A, B>
auto power(const A& a, const B& b) { return pointwise<Pow>(a, b); }

/// A number in x's arithmetic, rounded if that is float.
template <class T, class A>
xsimd::batch<T, A> number(const xsimd::batch<T, A>&, double value) {
  return xsimd::batch<T, A>(static_cast<T>(value));
}
template <class V>
double number(const V&, double value) {
  return value;
}

/// Of Vars the value of an expression, so that it is not computed at each use.
template <class E>
auto computed(const E& expression) {
  if constexpr (PointwiseExpression<E>) {
    return Var(expression);
  } else {
    return expression;
  }
}

struct Exp {
  static constexpr const char* name = "exp";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::exp(x); }
  static auto pullback(auto g, auto y, auto) { return g * y; }
};
struct Log {
  static constexpr const char* name = "log";
  static constexpr bool transcendental = true;
  static auto value(auto x) {
    if constexpr (std::is_same_v<decltype(x), SimdVector<double>>) {
      // xsimd 8 takes no denormal ones.
      const auto tiny = x < 0x1p-1022;
      return log(where(tiny, x * 0x1p54, x)) -
             where(tiny, SimdVector<double>(54 * std::numbers::ln2), 0.0);
    } else {
      return log(x);
    }
  }
  static auto pullback(auto g, auto, auto x) { return g / x; }
};
struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::log1p(x); }
  static auto pullback(auto g, auto, auto x) { return g / (1.0 + x); }
};
struct Expm1 {
  static constexpr const char* name = "expm1";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::expm1(x); }
  static auto pullback(auto g, auto, auto x) { return g * elementary::exp(x); }  // y + 1 cancels
};
struct Sqrt {
  static constexpr const char* name = "sqrt";
  static auto value(auto x) { return sqrt(x); }
  static auto pullback(auto g, auto y, auto) { return g / (2.0 * y); }
};
struct Square {
  static constexpr const char* name = "square";
  static auto value(auto x) { return x * x; }
  static auto pullback(auto g, auto, auto x) { return g * (2.0 * x); }
};
struct Pow {
  static constexpr const char* name = "pow";
  static constexpr bool transcendental = true;
  static auto value(auto a, auto b) { return power(a, b); }
  static auto pullback(auto g, auto y, auto a, auto b) {
    const auto constant =
        where(equal(a, 0.0), where(b > 0.0, 1.0, where(equal(b, 0.0), 1.0, 0.0)), 0.0);
    // At b = 0 it is 0 even where 1 / a is not finite; elsewhere its derivative by b goes on.
    const auto slope = b * power(a, b - 1.0);
    const auto is_number = where(equal(b, 0.0), where(equal(slope, slope), 1.0, 0.0), 1.0);
    return std::tuple(where(is_number, g * slope, 0.0), where(constant, 0.0, g * (y * log(a))));
  }
};
struct Abs {
  static constexpr const char* name = "abs";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto x) { return abs(x); }
  static auto pullback(auto g, auto, auto x) {
    return where(x > 0.0, g, where(x < 0.0, -g, 0.0 * g));
  }
};
struct Sin {
  static constexpr const char* name = "sin";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::sin(x); }
  static auto pullback(auto g, auto, auto x) { return g * elementary::cos(x); }
};
struct Cos {
  static constexpr const char* name = "cos";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::cos(x); }
  static auto pullback(auto g, auto, auto x) { return -g * elementary::sin(x); }
};
struct Tan {
  static constexpr const char* name = "tan";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return elementary::tan(x); }
  static auto pullback(auto g, auto y, auto) { return g * (1.0 + y * y); }
};
struct Sinh {
  static constexpr const char* name = "sinh";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return sinh(x); }
  static auto pullback(auto g, auto, auto x) { return g * cosh(x); }
};
struct Cosh {
  static constexpr const char* name = "cosh";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return cosh(x); }
  static auto pullback(auto g, auto, auto x) { return g * sinh(x); }
};
/// 1 / sqrt(1 - x^2), whose own derivative y^3 x keeps small numbers: that of (1 - x) (1 + x) is
/// the difference of two large terms.
struct AsinSlope {
  static constexpr const char* name = "asin_slope";
  static auto value(auto x) { return of(x, number(x, 1.0)); }
  static auto pullback(auto g, auto y, auto x) { return g * (y * y * y * x); }
  /// factor times the slope.
  static auto of(const auto& x, const auto& factor) {
    if constexpr (PointwiseOperand<decltype(x)>) {
      return factor * pointwise<AsinSlope>(x);
    } else {
      return factor / sqrt((1.0 - x) * (1.0 + x));
    }
  }
};
struct Asin {
  static constexpr const char* name = "asin";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return asin(x); }
  static auto pullback(auto g, auto, auto x) { return AsinSlope::of(x, g); }
};
struct Acos {
  static constexpr const char* name = "acos";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return acos(x); }
  static auto pullback(auto g, auto, auto x) { return AsinSlope::of(x, -g); }
};
struct Atan {
  static constexpr const char* name = "atan";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return atan(x); }
  static auto pullback(auto g, auto, auto x) { return g / (1.0 + x * x); }
};
struct Atan2 {
  static constexpr const char* name = "atan2";
  static constexpr bool transcendental = true;
  static auto value(auto y, auto x) { return elementary::atan2(y, x); }
  static auto pullback(auto g, auto, auto y, auto x) {
    // x / (x^2 + y^2) = 1 / (x + y (y / x)): by the smaller quotient nothing overflows.
    const auto steep = computed(abs(y) > abs(x));
    const auto longer = computed(where(steep, y, x));
    const auto shorter = computed(where(steep, x, y));
    const auto quotient = computed(shorter / longer);
    const auto divisor = computed(longer + shorter * quotient);
    return std::tuple(g * (where(steep, quotient, 1.0) / divisor),
                      -g * (where(steep, 1.0, quotient) / divisor));
  }
};
struct Sign {
  static constexpr const char* name = "sign";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto x) {
    return where(x > 0.0, number(x, 1.0), where(x < 0.0, number(x, -1.0), x));
  }
  static auto pullback(auto, auto, auto) { return NoGradient(); }
};
struct Floor {
  static constexpr const char* name = "floor";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto x) { return floor(x); }
  static auto pullback(auto, auto, auto) { return NoGradient(); }
};
/// e^(-c x^2) for c = 1 or 1/2.
struct Gaussian {
  static constexpr const char* name = "gaussian";
  static constexpr bool transcendental = true;
  static constexpr bool analytic = false;
  static auto value(auto x, auto c) { return elementary::gaussian(x, c, number(x, 1.0)); }
  static auto pullback(auto g, auto y, auto x, auto c) {
    return std::tuple(g * (-2.0 * c * x * y), NoGradient());
  }
};
/// The standard normal distribution function.
struct NormalCdf {
  static constexpr const char* name = "normal_cdf";
  static constexpr bool transcendental = true;
  static constexpr bool analytic = false;
  static auto value(auto x) { return elementary::normal_cdf(x, number(x, 1.0)); }
  static auto pullback(auto g, auto, auto x) { return g * density(x, number(x, 1.0)); }
  /// factor times the density.
  static auto density(auto x, const auto& factor) {
    const auto scale = number(x, std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return elementary::gaussian(x, number(x, 0.5), scale * factor);
  }
};
struct Erf {
  static constexpr const char* name = "erf";
  static constexpr bool transcendental = true;
  static constexpr bool analytic = false;
  static auto value(auto x) { return elementary::erf(x); }
  static auto pullback(auto g, auto, auto x) {
    return g * elementary::gaussian(x, number(x, 1.0), number(x, 2 * std::numbers::inv_sqrtpi));
  }
};
struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return sigmoid(x); }
  static auto pullback(auto g, auto y, auto) { return g * y * (1.0 - y); }
};
struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return tanh(x); }
  static auto pullback(auto g, auto y, auto) { return g * (1.0 - y * y); }
};
struct Relu {
  static constexpr const char* name = "relu";
  static constexpr bool exact = true;
  static auto value(auto x) { return where(is_negative(x), 0.0, x); }
  static auto pullback(auto g, auto, auto x) { return where(not_positive(x), 0.0, g); }
};
struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static auto value(auto x, auto slope) { return where(is_negative(x), slope * x, x); }
  static auto pullback(auto g, auto, auto x, auto slope) {
    return std::tuple(where(x > 0.0, g, g * slope), NoGradient());
  }
};
struct Elu {
  static constexpr const char* name = "elu";
  static constexpr bool transcendental = true;
  static auto value(auto x, auto alpha) { return where(is_negative(x), alpha * expm1(x), x); }
  static auto pullback(auto g, auto, auto x, auto alpha) {
    return std::tuple(where(not_positive(x), g * (alpha * elementary::exp(x)), g), NoGradient());
  }
};
struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr bool transcendental = true;
  static constexpr bool analytic = false;
  static auto value(auto x) { return elementary::normal_cdf(x, x); }
  static auto pullback(auto g, auto, auto x) {
    return g * (elementary::normal_cdf(x, number(x, 1.0)) + NormalCdf::density(x, x));
  }
};
struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr bool transcendental = true;
  static auto value(auto x) {
    const auto negative = is_negative(x);  // of x and of -|x| alike
    return where(negative, 0.0, x) + log1p(elementary::exp(where(negative, x, -x)));
  }
  static auto pullback(auto g, auto, auto x) { return g * sigmoid(x); }
};
struct Silu {
  static constexpr const char* name = "silu";
  static constexpr bool transcendental = true;
  static auto value(auto x) { return x * sigmoid_to_its_end(x); }
  static auto pullback(auto g, auto, auto x) { return g * silu_slope(x); }
};
struct Maximum {
  static constexpr const char* name = "maximum";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto a, auto b) { return where(a > b, a, where(equal(a, a), b, a)); }
  static auto pullback(auto g, auto, auto a, auto b) {
    return std::tuple(where(a < b, 0.0, where(equal(a, b), 0.5 * g, g)),
                      where(a > b, 0.0, where(equal(a, b), 0.5 * g, g)));
  }
};
struct Minimum {
  static constexpr const char* name = "minimum";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto a, auto b) { return where(a < b, a, where(equal(a, a), b, a)); }
  static auto pullback(auto g, auto, auto a, auto b) {
    return std::tuple(where(a > b, 0.0, where(equal(a, b), 0.5 * g, g)),
                      where(a < b, 0.0, where(equal(a, b), 0.5 * g, g)));
  }
};
struct Clip {
  static constexpr const char* name = "clip";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  static auto value(auto x, auto low, auto high) {
    const auto raised = where(x < low, low, x);
    return where(raised > high, high, raised);
  }
  static auto pullback(auto g, auto, auto x, auto low, auto high) {
    return std::tuple(where(x < low, 0.0, where(x > high, 0.0, where(equal(x, x), g, 0.0))),
                      NoGradient(), NoGradient());
  }
};

}  // namespace detail

/// y = e^x; dx = dy y.
auto exp(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Exp>(std::forward<decltype(x)>(x));
}

/// Natural logarithm; dx = dy / x. NaN for x < 0, -inf at 0.
auto log(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Log>(std::forward<decltype(x)>(x));
}

/// log(1 + x), exact for small x; dx = dy / (1 + x).
auto log1p(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Log1p>(std::forward<decltype(x)>(x));
}

/// e^x - 1, exact for small x; dx = dy e^x.
auto expm1(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Expm1>(std::forward<decltype(x)>(x));
}

/// dx = dy / (2 y): infinite at 0. NaN for x < 0.
auto sqrt(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Sqrt>(std::forward<decltype(x)>(x));
}

/// x^2; dx = 2 x dy.
auto square(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Square>(std::forward<decltype(x)>(x));
}

/// a^b as std::pow has it; da = dy b a^(b-1), 0 where b is 0; db = dy y log(a), 0 where a is 0 and
/// b at least 0. The exponent b - 1 is rounded, which puts da off by |b log(a)| ulps more; da and
/// db are infinite where the power is, and less exact where it is below the normal numbers.
template <class A, class B>
requires detail::Operands<A, B>
auto pow(A&& a, B&& b) { return pointwise<detail::Pow>(std::forward<A>(a), std::forward<B>(b)); }

/// |x|; dx = dy sign(x), 0 at 0.
auto abs(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Abs>(std::forward<decltype(x)>(x));
}

/// Sine of x in radians; dx = dy cos(x).
auto sin(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Sin>(std::forward<decltype(x)>(x));
}

/// Cosine of x in radians; dx = -dy sin(x).
auto cos(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Cos>(std::forward<decltype(x)>(x));
}

/// Tangent of x in radians; dx = dy (1 + y^2), of which the error is twice that of y: up to 6 ulps.
auto tan(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Tan>(std::forward<decltype(x)>(x));
}

/// Hyperbolic sine; dx = dy cosh(x).
auto sinh(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Sinh>(std::forward<decltype(x)>(x));
}

/// Hyperbolic cosine; dx = dy sinh(x).
auto cosh(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Cosh>(std::forward<decltype(x)>(x));
}

/// The angle in [-pi/2, pi/2] whose sine is x; dx = dy / sqrt(1 - x^2): infinite at -1 and 1, and
/// so are the higher derivatives. NaN for |x| > 1.
auto asin(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Asin>(std::forward<decltype(x)>(x));
}

/// The angle in [0, pi] whose cosine is x; dx = -dy / sqrt(1 - x^2): infinite at -1 and 1. NaN for
/// |x| > 1.
auto acos(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Acos>(std::forward<decltype(x)>(x));
}

/// The angle in [-pi/2, pi/2] whose tangent is x; dx = dy / (1 + x^2).
auto atan(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Atan>(std::forward<decltype(x)>(x));
}

/// The angle in [-pi, pi] of the point (x, y), as std::atan2 has it for zeros and infinities, too.
/// With r^2 = x^2 + y^2: dy = dz x / r^2, dx = -dz y / r^2 for z = atan2(y, x), NaN at (0, 0) as in
/// PyTorch; less exact where y / x, x / y or both x and y are below the normal numbers.
template <class Y, class X>
requires detail::Operands<Y, X>
auto atan2(Y&& y, X&& x) {
  return pointwise<detail::Atan2>(std::forward<Y>(y), std::forward<X>(x));
}

/// 1 where x > 0, -1 where x < 0, else x itself: 0, or NaN. No gradient. Not for complex128.
auto sign(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Sign>(std::forward<decltype(x)>(x));
}

/// The largest whole number that is not above x. No gradient. Not for complex128.
auto floor(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Floor>(std::forward<decltype(x)>(x));
}

/// The error function; dx = dy 2/sqrt(pi) e^(-x^2).
auto erf(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Erf>(std::forward<decltype(x)>(x));
}

/// y = 1 / (1 + e^-x); dx = dy y (1 - y). For x > 0 the derivative has the absolute error of y, an
/// ulp of 1, since 1 - y is all that is known of it: 0 where y is 1. So have the higher ones, and
/// those of softplus and silu from the second on.
auto sigmoid(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Sigmoid>(std::forward<decltype(x)>(x));
}

/// y = tanh(x); dx = dy (1 - y^2): with an absolute error of an ulp of 1, 0 where |y| is 1.
auto tanh(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Tanh>(std::forward<decltype(x)>(x));
}

/// max(x, 0), NaN for NaN; dx = 0 where x <= 0, dy elsewhere.
auto relu(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Relu>(std::forward<decltype(x)>(x));
}

/// x where x > 0, slope x elsewhere; the derivative at 0 is slope. Maas et al. 2013.
auto leaky_relu(detail::PointwiseOperand auto&& x, double slope = 0.01) {
  return pointwise<detail::LeakyRelu>(std::forward<decltype(x)>(x), slope);
}

/// x where x > 0, alpha (e^x - 1) elsewhere; the derivative at 0 is alpha. Clevert et al. 2015.
auto elu(detail::PointwiseOperand auto&& x, double alpha = 1.0) {
  return pointwise<detail::Elu>(std::forward<decltype(x)>(x), alpha);
}

/// x Phi(x), with Phi the standard normal distribution function (by erfc, no tanh approximation);
/// dx = dy (Phi(x) + x phi(x)), where the derivative is 0 with the absolute error of the two terms.
/// Hendrycks and Gimpel 2016.
auto gelu(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Gelu>(std::forward<decltype(x)>(x));
}

/// log(1 + e^x), without overflow; dx = dy sigmoid(x).
auto softplus(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Softplus>(std::forward<decltype(x)>(x));
}

/// x sigmoid(x); dx = dy s (1 + x (1 - s)) with s = sigmoid(x), where the derivative is 0 with the
/// absolute error of the two terms. Elfwing et al. 2018; also known as
/// swish.
auto silu(detail::PointwiseOperand auto&& x) {
  return pointwise<detail::Silu>(std::forward<decltype(x)>(x));
}

/// The larger of a and b, NaN if one is NaN. Where they are equal each gets half of dy.
template <class A, class B>
requires detail::Operands<A, B>
auto maximum(A&& a, B&& b) {
  return pointwise<detail::Maximum>(std::forward<A>(a), std::forward<B>(b));
}

/// The smaller of a and b, NaN if one is NaN. Where they are equal each gets half of dy.
template <class A, class B>
requires detail::Operands<A, B>
auto minimum(A&& a, B&& b) {
  return pointwise<detail::Minimum>(std::forward<A>(a), std::forward<B>(b));
}

/// x limited to [low, high], min(max(x, low), high); dx = dy inside and on the borders, 0 outside
/// and where x is NaN.
auto clip(detail::PointwiseOperand auto&& x, double low, double high) {
  return pointwise<detail::Clip>(std::forward<decltype(x)>(x), low, high);
}

namespace detail {

// Compiled once, in the library.
#define XGRAD_UNARY(Op)                             \
  extern template struct PointwiseFunctions<Op, 1>; \
  extern template struct Kernels<Pointwise<Op, Leaf>>;
XGRAD_UNARY(Exp)
XGRAD_UNARY(Log)
XGRAD_UNARY(Log1p)
XGRAD_UNARY(Expm1)
XGRAD_UNARY(Sqrt)
XGRAD_UNARY(Square)
XGRAD_UNARY(Abs)
XGRAD_UNARY(Sin)
XGRAD_UNARY(Cos)
XGRAD_UNARY(Tan)
XGRAD_UNARY(Sinh)
XGRAD_UNARY(Cosh)
XGRAD_UNARY(Asin)
XGRAD_UNARY(AsinSlope)
XGRAD_UNARY(Acos)
XGRAD_UNARY(Atan)
XGRAD_UNARY(Sign)
XGRAD_UNARY(Floor)
XGRAD_UNARY(NormalCdf)
XGRAD_UNARY(Erf)
XGRAD_UNARY(Sigmoid)
XGRAD_UNARY(Tanh)
XGRAD_UNARY(Relu)
XGRAD_UNARY(Gelu)
XGRAD_UNARY(Softplus)
XGRAD_UNARY(Silu)
#undef XGRAD_UNARY
extern template struct PointwiseFunctions<Pow, 2>;
extern template struct PointwiseFunctions<Atan2, 2>;
extern template struct PointwiseFunctions<Gaussian, 2>;
extern template struct PointwiseFunctions<LeakyRelu, 2>;
extern template struct PointwiseFunctions<Elu, 2>;
extern template struct PointwiseFunctions<Maximum, 2>;
extern template struct PointwiseFunctions<Minimum, 2>;
extern template struct PointwiseFunctions<Clip, 3>;
extern template struct Kernels<Pointwise<Pow, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Pow, Leaf, Constant>>;
extern template struct Kernels<Pointwise<Atan2, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Gaussian, Leaf, Constant>>;
extern template struct Kernels<Pointwise<LeakyRelu, Leaf, Constant>>;
extern template struct Kernels<Pointwise<Elu, Leaf, Constant>>;
extern template struct Kernels<Pointwise<Maximum, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Minimum, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Clip, Leaf, Constant, Constant>>;

}  // namespace detail
}  // namespace xgrad
