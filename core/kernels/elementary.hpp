#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include <xgrad/core/kernels/simd.hpp>

/// Elementary functions on SIMD batches, where xsimd's own lose digits or end too early. Each is
/// right for every number, denormal and infinite ones included, and NaN for NaN. The polynomials
/// were fitted in 60 digits for the interval given: with Remez' exchange, those of erfc as
/// interpolants at Chebyshev's points.
namespace xgrad::detail::elementary {

template <class T, class A>
using Batch = xsimd::batch<T, A>;

/// The constants of float and of double.
template <class T>
struct Constants;
template <>
struct Constants<float> {
  using Integer = std::int32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr float exponent_shift = 0x1.8p23F + 127;
  static constexpr std::uint32_t upper_half = 0xfffff000;
  static constexpr float exp_lowest = -110;  // 40 e^-110 rounds to 0
  static constexpr float exp_simple = 87;    // 2^k is no denormal
  static constexpr float sigmoid_lowest = -88.375F;
  static constexpr float expm1_is_exp = 20;
  static constexpr float exp_highest = 89;  // e^89 is above the largest float
  static constexpr float ln2_high = 0x1.62e4p-1F;
  static constexpr float ln2_low = 0x1.7f7d1cp-20F;
  /// (e^r - 1 - r) / r^2 for |r| <= 0.347.
  static constexpr std::array exp{0x1p-1F, 0x1.5554dcp-3F, 0x1.5554b8p-5F, 0x1.120be6p-7F,
                                  0x1.6d75ep-10F};
  /// erf(x) / x - 1 as a polynomial in x^2 for |x| <= 3/4.
  static constexpr std::array erf{0x1.06eba8p-3F,  -0x1.81273ap-2F, 0x1.ce2ac8p-4F,
                                  -0x1.b7a894p-6F, 0x1.4f2c8p-8F,   -0x1.61de6ep-11F};
  static constexpr float tail_end = 14.5F;
  static constexpr float tail_middle = 3.375F;
  /// (1 + x) e^(z^2) erfc(z) with x = sqrt(2) z, as a polynomial in (x - tail_middle) /
  /// (x + tail_middle), for 0.75 <= x <= tail_end.
  static constexpr std::array erfc{
      0x1.ebdb94p-1F, -0x1.900edcp-3F, -0x1.997b38p-8F, 0x1.490014p-4F,   -0x1.da87e2p-5F,
      0x1.0a9f9ep-6F, 0x1.4ef7bp-9F,   -0x1.5d439ap-9F, -0x1.b037eap-14F, 0x1.826ap-12F};
  static constexpr float reduced_highest = 6400;  // with 12 bits of quarters
  static constexpr std::array half_pi{0x1.92p+0F, 0x1.fb4p-12F, 0x1.444p-24F, 0x1.68c234p-39F};
};
template <>
struct Constants<double> {
  using Integer = std::int64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr double exponent_shift = 0x1.8p52 + 1023;
  static constexpr std::uint64_t upper_half = 0xfffffffff8000000;
  static constexpr double exp_lowest = -752;
  static constexpr double exp_simple = 708;
  static constexpr double sigmoid_lowest = -709.4;
  static constexpr double expm1_is_exp = 40;
  static constexpr double exp_highest = 710;
  static constexpr double ln2_high = 0x1.62e42fefa38p-1;
  static constexpr double ln2_low = 0x1.ef35793c7673p-45;
  static constexpr std::array exp{
      0x1.0000000000001p-1,  0x1.5555555555558p-3,  0x1.5555555553d38p-5,  0x1.111111110f7d8p-7,
      0x1.6c16c1789c6b9p-10, 0x1.a01a01b020d83p-13, 0x1.a019b8cd14b2cp-16, 0x1.71ddf67988513p-19,
      0x1.2891d1504245p-22,  0x1.af6398d3df4d8p-26};
  static constexpr std::array erf{
      0x1.06eba8214db69p-3, -0x1.812746b0379ep-2,   0x1.ce2f21a042471p-4,  -0x1.b82ce31255709p-6,
      0x1.565bcd031212cp-8, -0x1.c02db110d56c5p-11, 0x1.f9a2ad7975ae3p-14, -0x1.f4c5b39897b1fp-17,
      0x1.b90cc5527439p-20, -0x1.5641e38e161adp-23, 0x1.89e4415f04942p-27};
  static constexpr double tail_end = 38.75;
  static constexpr double tail_middle = 4.109375;
  static constexpr std::array erfc{
      0x1.e20cb0d750ca1p-1,  -0x1.8a6a8d6e76822p-3,  0x1.0cf340cedc605p-5,   0x1.b1734ced57908p-5,
      -0x1.069fb6936d0e7p-4, 0x1.3ad100cac895dp-5,   -0x1.9a27cee467026p-7,  0x1.0074e2a6877afp-11,
      0x1.6501997e6d477p-10, -0x1.790b34f534554p-12, -0x1.1936a342f29cbp-13, 0x1.1a74e02838d53p-14,
      0x1.23c1d49b42c99p-16, -0x1.7d5ea8c0a029ap-17, -0x1.be4961286ed94p-19, 0x1.f1eafd3db6dbfp-20,
      0x1.abd3426404f7ap-21, -0x1.2cc9131c12915p-22, -0x1.90ef086862461p-23, 0x1.69b82aae1534cp-25,
      0x1.fb141707ec1eap-26, -0x1.f6dee329c7138p-28};
  static constexpr double reduced_highest = 0x1p20;  // with 20 bits
  static constexpr std::array half_pi{0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69,
                                      0x1.b839a252049c1p-104};
};

/// c[i] + c[i + 2] x + c[i + 4] x^2 + ..., by Horner's rule; recursive, so that it is unrolled.
template <std::size_t i, class T, class A, std::size_t n>
[[gnu::always_inline]] inline Batch<T, A> every_second(const Batch<T, A>& x,
                                                       const std::array<T, n>& c) {
  if constexpr (i + 2 < n) {
    return xsimd::fma(every_second<i + 2>(x, c), x, Batch<T, A>(c[i]));
  } else {
    return c[i];
  }
}

/// c[0] + c[1] x + ...; even and odd powers apart, which halves the chain of operations.
template <class T, class A, std::size_t n>
[[gnu::always_inline]] inline Batch<T, A> polynomial(const Batch<T, A>& x,
                                                     const std::array<T, n>& c) {
  const Batch<T, A> square = x * x;
  return xsimd::fma(every_second<1>(square, c), x, every_second<0>(square, c));
}

/// x^2 = rounded_square + error, exactly (Dekker 1971, with x halved by a mask).
template <class T, class A>
struct Square {
  Batch<T, A> rounded_square, error;

  explicit Square(const Batch<T, A>& x) : rounded_square(rounded<T>(x * x)) {
    const Batch<T, A> high = x & Batch<T, A>(std::bit_cast<T>(Constants<T>::upper_half));
    const Batch<T, A> low = x - high;
    error = ((high * high - rounded_square) + T(2) * high * low) + low * low;
  }
};

#ifdef __AVX512F__
/// x 2^k for a whole k, rounded once, with gradual underflow and overflow.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> times_power_of_2(const Batch<T, A>& x,
                                                           const Batch<T, A>& k) {
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_scalef_ps(x, k);
  } else {
    return _mm512_scalef_pd(x, k);
  }
}

/// 2^k for a whole k.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> power_of_2(const Batch<T, A>& k) {
  return times_power_of_2(Batch<T, A>(T(1)), k);
}
#else
/// 2^k for a whole k, with float from -127 (0 then) to 127, with double from -1023 to 1023. In the
/// last bits of the sum stands the exponent of the result, which is shifted to its place.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> power_of_2(const Batch<T, A>& k) {
  const Batch<T, A> sum = k + Batch<T, A>(Constants<T>::exponent_shift);
  xsimd::batch<typename Constants<T>::Integer, A> bits;
  static_assert(sizeof(bits) == sizeof(sum));
  std::memcpy(&bits, &sum, sizeof(bits));
  bits = bits << Constants<T>::mantissa_bits;
  Batch<T, A> power;
  std::memcpy(&power, &bits, sizeof(bits));
  return power;
}

/// x 2^k for a whole k, rounded once, with gradual underflow and overflow: in two halves, since 2^k
/// itself may be out of range.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> times_power_of_2(const Batch<T, A>& x,
                                                           const Batch<T, A>& k) {
  const Batch<T, A> half = xsimd::nearbyint(Batch<T, A>(T(0.5)) * k);
  return x * power_of_2(half) * power_of_2(k - half);
}
#endif

/// x = k log(2) + r, |r| <= log(2) / 2, and e^r - 1 (Tang 1989).
template <class V>
struct ReducedExponent {
  using T = typename V::value_type;
  using C = Constants<T>;
  V k, r;

  explicit ReducedExponent(const V& x) : k(xsimd::nearbyint(x * V(T(std::numbers::log2e)))) {
    r = xsimd::fnma(k, V(C::ln2_low), xsimd::fnma(k, V(C::ln2_high), x));
  }
  V expm1_r() const { return xsimd::fma(r * r, polynomial(r, C::exp), r); }
};

/// The lesser of x and a bound; NaN where x is.
template <class V>
[[gnu::always_inline]] inline V at_most(const V& bound, const V& x) {
#if XSIMD_VERSION_MAJOR >= 9  // of two numbers of which one is NaN, min is not always the second
  return xsimd::select(x > bound, bound, x);
#else
  return xsimd::min(bound, x);
#endif
}

/// The greater of x and a bound; NaN where x is.
template <class V>
[[gnu::always_inline]] inline V at_least(const V& bound, const V& x) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::select(x < bound, bound, x);
#else
  return xsimd::max(bound, x);
#endif
}

/// x, but not beyond where e^x has overflowed or vanished.
template <class V>
[[gnu::always_inline]] inline V exp_bounded(const V& x) {
  using C = Constants<typename V::value_type>;
  return at_least(V(C::exp_lowest), at_most(V(C::exp_highest), x));
}

/// e^x. At most 1.1 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> exp(const Batch<T, A>& x) {
  using V = Batch<T, A>;
  const V one(T(1));
#ifndef __AVX512F__
  if (!xsimd::any(xsimd::abs(x) > V(Constants<T>::exp_simple))) {
    const ReducedExponent<V> reduced(x);
    return (one + reduced.expm1_r()) * power_of_2(reduced.k);
  }
#endif
  const ReducedExponent<V> reduced(exp_bounded(x));
  return times_power_of_2(one + reduced.expm1_r(), reduced.k);
}

/// 1 / (1 + e^-x), of which the denominator is rounded once. At most 2 ulp; 0 where it is less than
/// 2^-127.5 (float), 2^-1023.5 (double), the largest 2^k being finite.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> sigmoid(const Batch<T, A>& x) {
  using V = Batch<T, A>;
  using C = Constants<T>;
  const V one(T(1)), lowest(C::sigmoid_lowest);
  const ReducedExponent<V> reduced(at_least(V(-C::exp_simple), at_most(-lowest, -x)));
  const V power = power_of_2(reduced.k);
  const V y = one / (power + xsimd::fma(power, reduced.expm1_r(), one));
  return xsimd::select(x < lowest, V(T(0)), y);
}

/// e^x - 1; xsimd's overflows too early, and is 0 at -0.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> expm1(const Batch<T, A>& x) {
  const auto y = xsimd::select(x > Batch<T, A>(Constants<T>::expm1_is_exp), elementary::exp(x),
                               xsimd::expm1(x));
  return xsimd::copysign(y, x);
}

/// log(1 + x); xsimd's is 0 at -0.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> log1p(const Batch<T, A>& x) {
  return xsimd::copysign(xsimd::log1p(x), x);
}

/// factor e^(-c x^2) for c = 1 or 1/2 and a factor of at most max(1, |x|), with the rounding error
/// of the square: without it the relative error would be u x^2. At most 1.2 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> gaussian(const Batch<T, A>& x, const Batch<T, A>& c,
                                                   const Batch<T, A>& factor) {
  using V = Batch<T, A>;
  const V end(T(40));  // beyond it is 0
  const V size = xsimd::abs(x);
  const Square<T, A> square(at_most(end, size));
  ReducedExponent<V> reduced(exp_bounded(-c * square.rounded_square));
  reduced.r = xsimd::fnma(c, square.error, reduced.r);
  const V bounded = xsimd::select(size > end, V(T(0)) * factor, factor);
  return times_power_of_2(xsimd::fma(bounded, reduced.expm1_r(), bounded), reduced.k);
}

/// e^(z^2) erfc(z) at x = sqrt(2) z, for z >= 1/2 up to where erfc vanishes, by the transformation
/// of Shepherd and Laframboise 1981. At most 2.5 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> scaled_erfc(const Batch<T, A>& x) {
  using V = Batch<T, A>;
  using C = Constants<T>;
  const V bounded = at_most(V(C::tail_end), x);
  const V t = (bounded - V(C::tail_middle)) / (bounded + V(C::tail_middle));
  return polynomial(t, C::erfc) / (V(T(1)) + x);
}

/// The error function for |x| <= 3/4: x times a polynomial in x^2.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> central_erf(const Batch<T, A>& x) {
  return xsimd::fma(x, polynomial(x * x, Constants<T>::erf), x);
}

/// The error function, further out 1 - erfc. At most 2 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> erf(const Batch<T, A>& x) {
  using V = Batch<T, A>;
  const V size = xsimd::abs(x);
  const V tail = scaled_erfc(size * V(T(std::numbers::sqrt2)));
  const V outside = V(T(1)) - gaussian(x, V(T(1)), tail);
  return xsimd::select(size < V(T(0.75)), central_erf(x), xsimd::copysign(outside, x));
}

/// factor times the standard normal distribution function, erfc(-x / sqrt(2)) / 2. At most 4 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> normal_cdf(const Batch<T, A>& x,
                                                     const Batch<T, A>& factor) {
  using V = Batch<T, A>;
  const V one(T(1)), half(T(0.5));
  const V size = xsimd::abs(x);
  const auto right = x > V(T(0));
  const V half_factor = half * factor;
  // With the factor before 2^k, so that what is no denormal product has no denormal factor.
  const V tail = gaussian(x, half, xsimd::select(right, half, half_factor) * scaled_erfc(size));
  const V outside = xsimd::select(right, factor * (one - tail), tail);
  const V erf_x = central_erf(x * V(T(1 / std::numbers::sqrt2)));
  const V y = xsimd::select(size < V(T(0.8)), xsimd::fma(half_factor, erf_x, half_factor), outside);
  return xsimd::copysign(y, factor);  // -0, too
}

/// Sine and cosine of an angle less multiples of pi / 2, for 0 <= x <= `reduced_highest`, by the
/// method of Cody and Waite 1980: x = quarters pi / 2 + angle + rest, |angle| <= pi / 4. Of the
/// four parts of pi / 2 the products with `quarters` are exact, but for the last.
template <class V>
struct ReducedAngle {
  using T = typename V::value_type;
  using C = Constants<T>;
  V quarters, angle, rest;

  explicit ReducedAngle(const V& x)
      : quarters(xsimd::nearbyint(x * V(T(2 * std::numbers::inv_pi)))) {
    const V first = x - quarters * V(C::half_pi[0]);
    const V second = quarters * V(C::half_pi[1]);
    const V third = quarters * V(C::half_pi[2]);
    const V difference = first - second;
    const V high = difference - third;
    const V low = ((first - difference) - second) + ((difference - high) - third) -
                  quarters * V(C::half_pi[3]);
    angle = high + low;
    rest = (high - angle) + low;
  }
  auto odd() const { return is_odd(quarters); }
  /// Whether quarters + shift leaves 2 or 3, divided by 4.
  auto opposite(T shift) const { return is_odd(xsimd::floor(V(T(0.5)) * (quarters + V(shift)))); }

 private:
  static auto is_odd(const V& n) {
    const V half = V(T(0.5)) * n;
    return xsimd::floor(half) != half;
  }
};

/// f(|x|) where the angle can be reduced, xsimd_f(x) for larger ones.
template <class V, class F, class G>
[[gnu::always_inline]] inline V where_reducible(const V& x, F&& f, G&& xsimd_f) {
  const auto beyond = !(xsimd::abs(x) <= V(Constants<typename V::value_type>::reduced_highest));
  if (!xsimd::any(beyond)) return f(xsimd::abs(x));
  return xsimd::select(beyond, xsimd_f(x), f(xsimd::abs(x)));
}

template <class V>
V with_sign_of(const V& y, const V& x) {
  return y * xsimd::copysign(V(typename V::value_type(1)), x);
}

/// The sine: in float xsimd's, at most 2.4 ulp; in double at most 1.5 ulp, where xsimd's loses
/// digits next to multiples of pi. The cosine likewise.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> sin(const Batch<T, A>& angle) {
  using V = Batch<T, A>;
  if constexpr (std::is_same_v<T, float>) {
    return xsimd::sin(angle);
  } else {
    return where_reducible(
        angle,
        [&](const V& x) {
          const ReducedAngle<V> reduced(x);
          const auto [s, c] = xsimd::sincos(reduced.angle);
          const V y = xsimd::select(reduced.odd(), xsimd::fnma(reduced.rest, s, c),
                                    xsimd::fma(reduced.rest, c, s));
          return with_sign_of(xsimd::select(reduced.opposite(T(0)), -y, y), angle);
        },
        [](const V& x) { return xsimd::sin(x); });
  }
}

template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> cos(const Batch<T, A>& angle) {
  using V = Batch<T, A>;
  if constexpr (std::is_same_v<T, float>) {
    return xsimd::cos(angle);
  } else {
    return where_reducible(
        angle,
        [&](const V& x) {
          const ReducedAngle<V> reduced(x);
          const auto [s, c] = xsimd::sincos(reduced.angle);
          const V y = xsimd::select(reduced.odd(), xsimd::fma(reduced.rest, c, s),
                                    xsimd::fnma(reduced.rest, s, c));
          return V(xsimd::select(reduced.opposite(T(1)), -y, y));
        },
        [](const V& x) { return xsimd::cos(x); });
  }
}

/// The tangent, at most 2.9 ulp in float; in double 3.2 are known.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> tan(const Batch<T, A>& angle) {
  using V = Batch<T, A>;
  return where_reducible(
      angle,
      [&](const V& x) {
        const ReducedAngle<V> reduced(x);
        const V t = xsimd::tan(reduced.angle);
        const V y = xsimd::fma(reduced.rest, xsimd::fma(t, t, V(T(1))), t);
        return with_sign_of(xsimd::select(reduced.odd(), V(T(-1)) / y, y), angle);
      },
      [](const V& x) { return xsimd::tan(x); });
}

/// The angle of the point (x, y); zeros, infinities and their signs as in std::atan2. At most
/// 4 ulp.
template <class T, class A>
[[gnu::always_inline]] inline Batch<T, A> atan2(const Batch<T, A>& y, const Batch<T, A>& x) {
  using V = Batch<T, A>;
  constexpr double pi = std::numbers::pi;
  const auto taken_from = [](double whole, double rest, const V& angle) {
    return (V(T(whole)) - angle) + V(T(rest + (whole - static_cast<double>(T(whole)))));
  };
  const V width = xsimd::abs(x), height = xsimd::abs(y);
  const auto steep = height > width;
  const V longer = xsimd::select(steep, height, width);
  const V shorter = xsimd::select(steep, width, height);
  V slope = shorter / longer;
  slope = xsimd::select(shorter == V(std::numeric_limits<T>::infinity()), V(T(1)), slope);
  slope = xsimd::select(longer + shorter == V(T(0)), V(T(0)), slope);
  V angle = xsimd::atan(slope);
  angle = xsimd::select(steep, taken_from(pi / 2, 0x1.1a62633145c07p-54, angle), angle);
  const auto left = xsimd::copysign(V(T(1)), x) < V(T(0));
  angle = xsimd::select(left, taken_from(pi, 0x1.1a62633145c07p-53, angle), angle);
  const auto is_nan = xsimd::isnan(x) || xsimd::isnan(y);
  return xsimd::select(is_nan, x + y, xsimd::copysign(angle, y));
}

}  // namespace xgrad::detail::elementary
