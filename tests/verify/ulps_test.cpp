// How many units in the last place (ulps) the pointwise ops and the terms of losses are off, values
// and derivatives: float32 against float64, float64 against 50 digits. With XGRAD_THOROUGH float32
// takes every float there is, and everything else a million numbers, random and hard.
#include <atomic>
#include <bit>
#include <cmath>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/expm1.hpp>
#include <boost/math/special_functions/log1p.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <gtest/gtest.h>

#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>

#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

using Digits50 = boost::multiprecision::cpp_bin_float_50;

// -- the functions, exactly -----------------------------------------------------------------------
// R is double or Digits50.

double erfc_of(double x) { return std::erfc(x); }
double erf_of(double x) { return std::erf(x); }
double log1p_of(double x) { return std::log1p(x); }
double expm1_of(double x) { return std::expm1(x); }
// Boost throws where a result is infinite or undefined.
Digits50 erfc_of(const Digits50& x) {
  return x > 1000 ? Digits50(0) : x < -1000 ? Digits50(2) : boost::math::erfc(x);
}
Digits50 erf_of(const Digits50& x) {
  return abs(x) > 1000 ? Digits50(x > 0 ? 1 : -1) : boost::math::erf(x);
}
Digits50 log1p_of(const Digits50& x) { return x > -0.5 ? boost::math::log1p(x) : log(1 + x); }
// From numbers of 50 digits no multiples of pi can be taken off; std::sin is right to 0.6 ulp.
Digits50 sin_of(const Digits50& x) {
  return abs(x) < 1e15 ? Digits50(sin(x)) : Digits50(std::sin(static_cast<double>(x)));
}
Digits50 cos_of(const Digits50& x) {
  return abs(x) < 1e15 ? Digits50(cos(x)) : Digits50(std::cos(static_cast<double>(x)));
}
double sin_of(double x) { return std::sin(x); }
double cos_of(double x) { return std::cos(x); }
Digits50 expm1_of(const Digits50& x) { return x < 1 ? boost::math::expm1(x) : exp(x) - 1; }

template <class R>
R constant(const char* digits) {
  if constexpr (std::is_same_v<R, double>) {
    return std::strtod(digits, nullptr);
  } else {
    return R(digits);
  }
}
template <class R>
const R& inverse_sqrt_pi() {
  static const R value = constant<R>("0.56418958354775628694807945156077258584405062932900");
  return value;
}
template <class R>
const R& sqrt_half() {
  static const R value = constant<R>("0.70710678118654752440084436210484903928483593768847");
  return value;
}

template <class R>
R sigmoid_of(const R& x) {
  using std::exp;
  const R e = x < 0 ? exp(x) : exp(R(-x));
  return x < 0 ? R(e / (1 + e)) : R(1 / (1 + e));
}
/// sigmoid(x) sigmoid(-x).
template <class R>
R sigmoid_slope(const R& x) {
  using std::abs, std::exp;
  const R e = exp(R(-abs(x)));
  return e / ((1 + e) * (1 + e));
}
template <class R>
R normal_cdf(const R& x) {
  return erfc_of(R(-x * sqrt_half<R>())) / 2;
}
/// x times the standard normal density.
template <class R>
R x_density(const R& x) {
  using std::exp;
  return x * exp(R(-x * x / 2)) * inverse_sqrt_pi<R>() * sqrt_half<R>();
}
/// 1 / sqrt(1 - x^2). In Boost's numbers (1 - 1) (1 + 1) is -0.
template <class R>
R arcsine_slope(const R& x) {
  using std::abs, std::sqrt;
  return abs(x) == 1 ? R(std::numeric_limits<double>::infinity())
                     : R(1 / sqrt(R((1 - x) * (1 + x))));
}
template <class R>
R softplus_of(const R& x) {
  using std::abs, std::exp;
  return (x > 0 ? x : R(0)) + log1p_of(exp(R(-abs(x))));
}

/// A function applied to many numbers at once: with all floats a call for each takes too long.
template <class R>
class OfEach {
 public:
  template <class F>
  OfEach(F f)
      : apply_([f](const std::vector<R>& xs, std::vector<R>& ys) {
          for (std::size_t i = 0; i < xs.size(); ++i) ys[i] = f(xs[i]);
        }) {}

  std::vector<R> operator()(const std::vector<R>& xs) const {
    std::vector<R> ys(xs.size());
    apply_(xs, ys);
    return ys;
  }

 private:
  std::function<void(const std::vector<R>&, std::vector<R>&)> apply_;
};

/// An op of one number, as it should be.
template <class R>
struct Exact {
  const char* name;
  OfEach<R> value;
  OfEach<R> slope;
};

template <class R>
std::vector<Exact<R>> exact_functions() {
  using std::abs, std::acos, std::asin, std::atan, std::cosh, std::exp, std::floor, std::log,
      std::sinh, std::sqrt, std::tanh;
  using X = const R&;
  const R slope = 0.25, alpha = 0.5;
  return {
      {"exp", [](X x) -> R { return exp(x); }, [](X x) -> R { return exp(x); }},
      {"log", [](X x) -> R { return log(x); }, [](X x) -> R { return 1 / x; }},
      {"log1p", [](X x) -> R { return log1p_of(x); }, [](X x) -> R { return 1 / (1 + x); }},
      {"expm1", [](X x) -> R { return expm1_of(x); }, [](X x) -> R { return exp(x); }},
      {"sqrt", [](X x) -> R { return sqrt(x); }, [](X x) -> R { return 1 / (2 * sqrt(x)); }},
      {"square", [](X x) -> R { return x * x; }, [](X x) -> R { return 2 * x; }},
      {"abs", [](X x) -> R { return abs(x); }, [](X x) -> R { return x > 0   ? 1
                                                                     : x < 0 ? -1
                                                                             : 0; }},
      {"sin", [](X x) -> R { return sin_of(x); }, [](X x) -> R { return cos_of(x); }},
      {"cos", [](X x) -> R { return cos_of(x); }, [](X x) -> R { return -sin_of(x); }},
      {"tan", [](X x) -> R { return sin_of(x) / cos_of(x); },
       [](X x) -> R { return 1 / (cos_of(x) * cos_of(x)); }},
      {"sinh", [](X x) -> R { return sinh(x); }, [](X x) -> R { return cosh(x); }},
      {"cosh", [](X x) -> R { return cosh(x); }, [](X x) -> R { return sinh(x); }},
      {"asin", [](X x) -> R { return asin(x); }, [](X x) -> R { return arcsine_slope(x); }},
      {"acos", [](X x) -> R { return acos(x); }, [](X x) -> R { return -arcsine_slope(x); }},
      {"atan", [](X x) -> R { return atan(x); }, [](X x) -> R { return 1 / (1 + x * x); }},
      {"sign", [](X x) -> R { return x > 0   ? 1
                                     : x < 0 ? -1
                                             : 0; }, [](X) -> R { return 0; }},
      {"floor", [](X x) -> R { return floor(x); }, [](X) -> R { return 0; }},
      {"erf", [](X x) -> R { return erf_of(x); },
       [](X x) -> R { return 2 * inverse_sqrt_pi<R>() * exp(R(-x * x)); }},
      {"sigmoid", [](X x) -> R { return sigmoid_of(x); },
       [](X x) -> R { return sigmoid_slope(x); }},
      {"tanh", [](X x) -> R { return tanh(x); },
       [](X x) -> R { return 4 * sigmoid_slope(R(2 * x)); }},
      {"relu", [](X x) -> R { return x > 0 ? x : 0; }, [](X x) -> R { return x > 0 ? 1 : 0; }},
      {"leaky_relu", [=](X x) -> R { return x > 0 ? x : R(slope * x); },
       [=](X x) -> R { return x > 0 ? R(1) : slope; }},
      {"elu", [=](X x) -> R { return x > 0 ? x : R(alpha * expm1_of(x)); },
       [=](X x) -> R { return x > 0 ? R(1) : R(alpha * exp(x)); }},
      {"gelu", [](X x) -> R { return x * normal_cdf(x); },
       [](X x) -> R { return normal_cdf(x) + x_density(x); }},
      {"softplus", [](X x) -> R { return softplus_of(x); }, [](X x) -> R { return sigmoid_of(x); }},
      {"silu", [](X x) -> R { return x * sigmoid_of(x); },
       [](X x) -> R { return sigmoid_of(x) + x * sigmoid_slope(x); }},
      {"binary_cross_entropy_with_logits, target 0", [](X x) -> R { return softplus_of(x); },
       [](X x) -> R { return sigmoid_of(x); }},
      {"binary_cross_entropy_with_logits, target 1", [](X x) -> R { return softplus_of(R(-x)); },
       [](X x) -> R { return -sigmoid_of(R(-x)); }},
      {"huber, delta 1", [](X x) -> R { return abs(x) < 1 ? R(x * x / 2) : R(abs(x) - R(0.5)); },
       [](X x) -> R { return x > 1    ? R(1)
                             : x < -1 ? R(-1)
                                      : x; }},
  };
}

/// An op of two numbers, and its derivative by each.
template <class R>
struct ExactBinary {
  const char* name;
  using Of = std::function<R(const R& a, const R& b)>;
  Of value, by_a, by_b;
};

template <class R>
std::vector<ExactBinary<R>> exact_binary_functions() {
  using std::atan2, std::log, std::pow;
  using X = const R&;
  return {
      {"divide", [](X a, X b) -> R { return a / b; }, [](X, X b) -> R { return 1 / b; },
       [](X a, X b) -> R { return -a / (b * b); }},
      {"multiply", [](X a, X b) -> R { return a * b; }, [](X, X b) -> R { return b; },
       [](X a, X) -> R { return a; }},
      {"pow", [](X a, X b) -> R { return pow(a, b); },
       [](X a, X b) -> R { return b * pow(a, R(b - 1)); },
       [](X a, X b) -> R { return pow(a, b) * log(a); }},
      {"atan2", [](X a, X b) -> R { return atan2(a, b); },
       [](X a, X b) -> R { return b / (a * a + b * b); },
       [](X a, X b) -> R { return -a / (a * a + b * b); }},
      {"binary_cross_entropy_with_logits",
       [](X a, X b) -> R {
         return a > 0 ? R((1 - b) * a + softplus_of(R(-a))) : R(-b * a + softplus_of(a));
       },
       [](X a, X b) -> R { return a > 0 ? R((1 - b) - sigmoid_of(R(-a))) : R(sigmoid_of(a) - b); },
       [](X a, X) -> R { return -a; }},
  };
}

// -- the functions of xgrad -----------------------------------------------------------------------

/// What results may be off by ulps of, where that is larger than the result itself; `smallest` is
/// the smallest normal number.
using Magnitude = std::function<double(double x, double smallest)>;

struct Function {
  const char* name;
  std::function<Var(const Var&)> f;
  double value_bound = 4;
  double slope_bound = 4;
  Magnitude value_magnitude = {};
  Magnitude slope_magnitude = {};
};

/// In the order of exact_functions().
std::vector<Function> functions() {
  using X = const Var&;
  const auto none = Reduction::none;
  const auto full = [](X x, double t) { return Var(Tensor::full(x.shape(), t, x.dtype())); };
  // A factor that vanishes below the smallest normal number times another one.
  const auto product = [](double x, double smallest) { return std::abs(x) * smallest; };
  // Of 1 - y with a rounded y.
  const auto one = [](double, double) { return 1.0; };
  const auto one_at_right = [](double x, double) { return x > 0 ? 1.0 : 0.0; };
  // Two terms cancel where the function has its minimum.
  const auto gelu_terms = [](double x, double) { return normal_cdf(x) + std::abs(x_density(x)); };
  const auto silu_terms = [](double x, double smallest) {
    return sigmoid_of(x) + std::abs(x) * (sigmoid_slope(x) + smallest);
  };
  return {
      {"exp", [](X x) -> Var { return exp(x); }, 2, 2},
      {"log", [](X x) -> Var { return log(x); }},
      {"log1p", [](X x) -> Var { return log1p(x); }},
      {"expm1", [](X x) -> Var { return expm1(x); }},
      {"sqrt", [](X x) -> Var { return sqrt(x); }, 2, 2},
      {"square", [](X x) -> Var { return square(x); }},
      {"abs", [](X x) -> Var { return abs(x); }, 0, 0},
      {"sin", [](X x) -> Var { return sin(x); }},
      {"cos", [](X x) -> Var { return cos(x); }},
      {"tan", [](X x) -> Var { return tan(x); }, 4, 8},
      {"sinh", [](X x) -> Var { return sinh(x); }},
      {"cosh", [](X x) -> Var { return cosh(x); }},
      {"asin", [](X x) -> Var { return asin(x); }},
      {"acos", [](X x) -> Var { return acos(x); }},
      {"atan", [](X x) -> Var { return atan(x); }},
      {"sign", [](X x) -> Var { return sign(x); }, 0, 0},
      {"floor", [](X x) -> Var { return floor(x); }, 0, 0},
      {"erf", [](X x) -> Var { return erf(x); }},
      {"sigmoid", [](X x) -> Var { return sigmoid(x); }, 2, 4, {}, one_at_right},
      {"tanh", [](X x) -> Var { return tanh(x); }, 2, 4, {}, one},
      {"relu", [](X x) -> Var { return relu(x); }, 0, 0},
      {"leaky_relu", [](X x) -> Var { return leaky_relu(x, 0.25); }},
      {"elu", [](X x) -> Var { return elu(x, 0.5); }},
      {"gelu", [](X x) -> Var { return gelu(x); }, 4, 4, {}, gelu_terms},
      {"softplus", [](X x) -> Var { return softplus(x); }},
      {"silu", [](X x) -> Var { return silu(x); }, 4, 4, product, silu_terms},
      {"binary_cross_entropy_with_logits, target 0",
       [=](X x) { return binary_cross_entropy_with_logits(x, full(x, 0), none); }},
      {"binary_cross_entropy_with_logits, target 1",
       [=](X x) { return binary_cross_entropy_with_logits(x, full(x, 1), none); }},
      {"huber, delta 1", [=](X x) { return huber(x, full(x, 0), 1, none); }},
  };
}

using BinaryMagnitude = std::function<double(double result, double a, double b, double smallest)>;

struct BinaryFunction {
  const char* name;
  std::function<Var(const Var&, const Var&)> f;
  double bound = 4;
  BinaryMagnitude by_a_magnitude = {};
  BinaryMagnitude by_b_magnitude = {};
  std::function<void(double& a, double& b, double smallest)> prepare =
      {};  ///< turns any numbers into arguments
};

/// In the order of exact_binary_functions().
std::vector<BinaryFunction> binary_functions() {
  using X = const Var&;
  // A quotient below the normal numbers, divided once more.
  const auto quotient = [](double, double a, double b, double smallest) {
    return smallest / std::max(std::abs(a), std::abs(b));
  };
  const auto one_normal = [](double& a, double& b, double smallest) {
    if (std::max(std::abs(a), std::abs(b)) >= smallest) return;
    a /= smallest;
    b /= smallest;
  };
  const auto quotient_by_b = [](double, double, double b, double smallest) {
    return smallest / std::abs(b);
  };
  // The exponent b - 1 is rounded.
  const auto rounded_exponent = [](double result, double a, double b, double) {
    return std::abs(result) * (1 + (1 + std::abs(b)) * std::abs(std::log(a)));
  };
  // Neither a^b nor a^(b - 1) overflows or vanishes.
  const auto power = [](double& a, double& b, double) {
    a = std::max(std::abs(a), std::numeric_limits<double>::min());
    while (std::abs(std::log(a)) > 40) a = std::sqrt(a);
    while ((1 + std::abs(b)) * std::abs(std::log(a)) > 80) b /= 16;
  };
  // The two terms whose difference the gradient is: sigmoid(a) and b, or what they lack to 1.
  const auto terms = [](double, double a, double b, double) {
    return a < 0 ? sigmoid_of(a) + b : sigmoid_of(-a) + (1 - b);
  };
  // Not so small that what sigmoid lacks below the normal numbers would be seen beside it.
  const auto target = [](double&, double& b, double) {
    if (!(b > 0 && b <= 1)) b = 1 / (1 + std::min(std::abs(b), 1e30));
    b = std::max(b, 1e-30);
  };
  return {
      {"divide", [](X a, X b) -> Var { return a / b; }, 2, {}, quotient_by_b},
      {"multiply", [](X a, X b) -> Var { return a * b; }, 2},
      {"pow", [](X a, X b) -> Var { return pow(a, b); }, 4, rounded_exponent, {}, power},
      {"atan2", [](X a, X b) -> Var { return atan2(a, b); }, 4, quotient, quotient, one_normal},
      {"binary_cross_entropy_with_logits",
       [](X a, X b) { return binary_cross_entropy_with_logits(a, b, Reduction::none); },
       4,
       terms,
       {},
       target},
  };
}

// -- ulps -----------------------------------------------------------------------------------------

/// |y - exact| in ulps of T at the larger of |exact| and `magnitude`. Results below the smallest
/// normal number may be 0.
template <class T, class R>
double ulps(T y, const R& exact, double magnitude) {
  using std::abs, std::isnan;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr int digits = std::numeric_limits<T>::digits;
  constexpr int largest = std::numeric_limits<T>::max_exponent;
  if (isnan(exact) || std::isnan(y)) return isnan(exact) && std::isnan(y) ? 0 : infinity;
  const R size = abs(exact);
  const R smallest = R(std::numeric_limits<T>::min());
  const R overflow = ldexp(R(1), largest) - ldexp(R(1), largest - digits - 1);
  if (size >= overflow && std::isinf(y)) return std::signbit(y) == (exact < 0) ? 0 : infinity;
  // What is infinite too early counts as the number behind the largest one.
  const R result = std::isinf(y) ? R(ldexp(R(std::signbit(y) ? -1 : 1), largest)) : R(y);
  const R error = abs(R(result - exact));
  if (size < smallest && error <= smallest) return 0;
  const R unit_of = size > R(magnitude) ? size : R(magnitude);
  int exponent = 0;
  frexp(unit_of > smallest ? unit_of : smallest, &exponent);
  return static_cast<double>(R(ldexp(error, digits - std::min(exponent, largest))));
}

/// The same for finite numbers, of which there are many, by the bits of the exponent.
inline double ulps(float y, double exact, double magnitude) {
  if (!std::isfinite(y) || !std::isfinite(exact)) return ulps<float, double>(y, exact, magnitude);
  constexpr double smallest = std::numeric_limits<float>::min();
  const double size = std::abs(exact);
  const double error = std::abs(y - exact);
  if (size < smallest && error <= smallest) return 0;
  const double unit_of = std::max({size, magnitude, smallest});
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(unit_of) >> 52) - 1022;
  const auto scale = static_cast<std::uint64_t>(1023 + 24 - std::min(exponent, 128)) << 52;
  return error * std::bit_cast<double>(scale);
}

struct Worst {
  double ulps = 0;
  std::string at = "";

  void note(const Worst& other) {
    if (other.ulps > ulps) *this = other;
  }
};

std::string number(double x) {
  std::ostringstream text;
  text << std::setprecision(17) << x;
  return text.str();
}

/// Prints and checks one entry of the table.
void report(const std::string& name, const Worst& worst, double bound) {
  std::cout << std::left << std::setw(72) << name << std::setprecision(3) << worst.ulps
            << (worst.at.empty() ? "" : " at " + worst.at) << "\n";
  EXPECT_LE(worst.ulps, bound) << name << " at " << worst.at;
}

bool thorough() { return std::getenv("XGRAD_THOROUGH") != nullptr; }

/// task(0), ..., task(n - 1) on all processors.
void side_by_side(std::uint64_t n, const std::function<void(std::uint64_t)>& task) {
  std::atomic<std::uint64_t> next = 0;
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    workers.emplace_back([&] {
      for (std::uint64_t k = next++; k < n; k = next++) task(k);
    });
  }
  for (std::thread& worker : workers) worker.join();
}

/// The worst of the results `ys` at the numbers `xs`.
template <class T, class R>
Worst worst_of(const std::vector<T>& xs, const T* ys, const std::vector<R>& exact,
               const Magnitude& magnitude) {
  double worst = 0;
  std::size_t at = xs.size();
  for (std::size_t i = 0; i < xs.size(); ++i) {
    double error = ulps(ys[i], exact[i], 0);
    if (!(error > worst)) continue;
    // A magnitude only makes it less.
    if (magnitude) {
      error = ulps(ys[i], exact[i], magnitude(xs[i], std::numeric_limits<T>::min()));
      if (!(error > worst)) continue;
    }
    worst = error;
    at = i;
  }
  return at < xs.size() ? Worst{worst, number(xs[at])} : Worst();
}

/// The worst of a function's values and slopes at the numbers `xs`.
template <class T, class R>
std::pair<Worst, Worst> worst_of(const Function& f, const Exact<R>& exact,
                                 const std::vector<T>& xs) {
  const Shape shape{static_cast<Index>(xs.size())};
  const Var x = parameter(Tensor::uninitialized(shape, dtype_of<T>()));
  std::copy(xs.begin(), xs.end(), x.tensor().template mutable_data<T>());
  Tape tape;
  const Var y = f.f(x);
  std::vector<T> slopes(xs.size(), T(0));
  const Var total = sum(y);
  if (total.requires_grad()) {
    const Tensor gradient = detail::contiguous(grad(total, {x})[0].tensor());
    std::copy_n(gradient.template data<T>(), xs.size(), slopes.begin());
  }
  const Tensor values = detail::contiguous(y.tensor());
  const std::vector<R> exactly(xs.begin(), xs.end());
  return {worst_of(xs, values.template data<T>(), exact.value(exactly), f.value_magnitude),
          worst_of(xs, slopes.data(), exact.slope(exactly), f.slope_magnitude)};
}

constexpr std::uint64_t block = 1 << 15;

/// All of a function's values and slopes, a block of numbers at a time.
template <class T, class R>
void check(const Function& f, const Exact<R>& exact, std::uint64_t blocks,
           const std::function<std::vector<T>(std::uint64_t)>& numbers) {
  std::mutex mutex;
  std::pair<Worst, Worst> worst;
  side_by_side(blocks, [&](std::uint64_t k) {
    const std::vector<T> xs = numbers(k);
    if (xs.empty()) return;
    const auto found = worst_of<T, R>(f, exact, xs);
    const std::lock_guard lock(mutex);
    worst.first.note(found.first);
    worst.second.note(found.second);
  });
  const std::string dtype = name(dtype_of<T>());
  report(dtype + " " + f.name, worst.first, f.value_bound);
  report(dtype + " " + f.name + ", derivative", worst.second, f.slope_bound);
}

/// The finite ones of the floats whose bits are first, first + stride, ...
std::vector<float> floats(std::uint64_t first, std::uint64_t stride) {
  std::vector<float> xs;
  xs.reserve(block);
  for (std::uint64_t i = 0; i < block; ++i) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(first + i * stride));
    if (std::isfinite(x)) xs.push_back(x);
  }
  return xs;
}

/// Random numbers of all sizes, and of the places where functions are hard: poles and zeros of
/// trigonometric functions, 0 and 1, the ends of exponentials, overflow and denormals.
double hard_number(std::mt19937_64& random) {
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53;
  };
  const double sign = random() & 1 ? 1 : -1;
  const double half_pi = std::acos(0.0);
  switch (random() % 10) {
    case 0: {
      const double any = std::bit_cast<double>(random());
      return std::isfinite(any) ? any : sign;
    }
    case 1:
      return uniform(-3, 3);
    case 2:
      return uniform(-40, 40);
    case 3:
      return uniform(-800, 800);
    case 4:
      return sign * std::exp(uniform(-745, 5));
    case 5:
      return std::nextafter(std::round(uniform(-100, 100)) * half_pi, sign * 1e9);
    case 6:
      return std::round(uniform(-1e6, 1e6)) * half_pi;
    case 7:
      return sign * (1 + (random() & 1 ? 1 : -1) * std::exp(uniform(-37, -1)));
    case 8:
      return uniform(-1, 1);
    default: {
      static constexpr double ends[] = {745.2, 708.4, 709.78, 710.4, 88.7, 103.9,  87.3,  89.4,
                                        36.7,  16.6,  26.6,   38.5,  13.2, 5e-324, 1e-38, 3e38};
      return sign * ends[random() % std::size(ends)] * (1 + uniform(-1e-3, 1e-3));
    }
  }
}

template <class T>
std::vector<T> hard_numbers(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 random(seed);
  std::vector<T> xs;
  while (xs.size() < n) {
    const T x = static_cast<T>(hard_number(random));
    xs.push_back(std::isfinite(x) ? x : T(1));
  }
  return xs;
}

template <class T, class R>
void check_binary(const BinaryFunction& f, const ExactBinary<R>& exact, std::uint64_t seed,
                  std::size_t n) {
  constexpr double smallest = std::numeric_limits<T>::min();
  std::mutex mutex;
  Worst worst[3];
  side_by_side(thorough() ? 200 : 1, [&](std::uint64_t k) {
    std::mt19937_64 random(seed + k);
    std::vector<double> a, b;
    while (a.size() < n) {
      double x = hard_number(random), y = hard_number(random);
      if (random() % 4 == 0 && std::abs(x) < 1e300) y = x * (1 + 1e-3 * std::sin(y));
      for (int rounded = 0; f.prepare && rounded < 2; ++rounded) {
        f.prepare(x, y, smallest);
        x = static_cast<T>(x);
        y = static_cast<T>(y);
      }
      const T rounded_x = static_cast<T>(x), rounded_y = static_cast<T>(y);
      const bool finite = std::isfinite(rounded_x) && std::isfinite(rounded_y);
      a.push_back(finite && rounded_x != 0 ? rounded_x : 1);
      b.push_back(finite && rounded_y != 0 ? rounded_y : 1);
    }
    const Shape shape{static_cast<Index>(n)};
    const Var va = parameter(Tensor(shape, a).to(dtype_of<T>()));
    const Var vb = parameter(Tensor(shape, b).to(dtype_of<T>()));
    Tape tape;
    const Var y = f.f(va, vb);
    const std::vector<Var> gradients = grad(sum(y), {va, vb});
    const std::vector<double> results[] = {y.tensor().to_vector(),
                                           gradients[0].tensor().to_vector(),
                                           gradients[1].tensor().to_vector()};
    const typename ExactBinary<R>::Of* exactly[] = {&exact.value, &exact.by_a, &exact.by_b};
    const BinaryMagnitude magnitudes[] = {{}, f.by_a_magnitude, f.by_b_magnitude};
    Worst found[3];
    for (std::size_t i = 0; i < n; ++i) {
      for (int part = 0; part < 3; ++part) {
        const R expected = (*exactly[part])(R(a[i]), R(b[i]));
        const double magnitude =
            magnitudes[part] ? magnitudes[part](static_cast<double>(expected), a[i], b[i], smallest)
                             : 0;
        const double error = ulps(static_cast<T>(results[part][i]), expected, magnitude);
        if (error > found[part].ulps) found[part] = {error, number(a[i]) + " and " + number(b[i])};
      }
    }
    const std::lock_guard lock(mutex);
    for (int part = 0; part < 3; ++part) worst[part].note(found[part]);
  });
  const std::string title = std::string(name(dtype_of<T>())) + " " + f.name;
  report(title, worst[0], f.bound);
  report(title + ", by the first", worst[1], f.bound);
  report(title + ", by the second", worst[2], f.bound);
}

class UlpsOfFloat32 : public ::testing::TestWithParam<std::size_t> {};

TEST_P(UlpsOfFloat32, ValueAndDerivative) {
  const Function f = functions()[GetParam()];
  const Exact<double> exact = exact_functions<double>()[GetParam()];
  ASSERT_STREQ(f.name, exact.name);
  constexpr std::uint64_t stride = (std::uint64_t{1} << 32) / block;
  const std::uint64_t offset = verify::seeds(1)[0] % stride;
  check<float, double>(f, exact, thorough() ? stride : 1, [=](std::uint64_t k) {
    return thorough() ? floats(k * block, 1) : floats(offset, stride);
  });
}

// One test for each, since with all floats each takes a minute or more.
INSTANTIATE_TEST_SUITE_P(All, UlpsOfFloat32, ::testing::Range<std::size_t>(0, functions().size()),
                         [](const auto& index) {
                           std::string title = functions()[index.param].name;
                           for (char& c : title) c = std::isalnum(c) ? c : '_';
                           return title;
                         });

TEST(Ulps, Float64) {
  const auto exact = exact_functions<Digits50>();
  const auto all = functions();
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_STREQ(all[i].name, exact[i].name);
    const std::uint64_t first = verify::seeds(1)[0];
    const std::size_t n = thorough() ? 5000 : 200;
    check<double, Digits50>(all[i], exact[i], thorough() ? 200 : 1,
                            [=](std::uint64_t k) { return hard_numbers<double>(first + k, n); });
  }
}

TEST(Ulps, OfTwoNumbers) {
  const auto all = binary_functions();
  const auto exact32 = exact_binary_functions<double>();
  const auto exact64 = exact_binary_functions<Digits50>();
  ASSERT_EQ(all.size(), exact64.size());
  const std::uint64_t seed = verify::seeds(1)[0];
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_STREQ(all[i].name, exact64[i].name);
    check_binary<float, double>(all[i], exact32[i], seed, 5000);
    check_binary<double, Digits50>(all[i], exact64[i], seed, thorough() ? 5000 : 200);
  }
}

}  // namespace
}  // namespace xgrad::testing
