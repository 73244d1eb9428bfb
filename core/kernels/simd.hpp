#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// gcc 12 sees uninitialised values in its own AVX-512 headers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <xgrad/core/shape.hpp>

#ifdef __aarch64__
// On ARM xsimd (8.1 as well as 14.3) divides floats and takes their roots by estimates: a few units
// in the last place off, sqrt(inf) is NaN, and quotients by huge and denormal numbers are wrong;
// and its floor by way of integers takes the sign from -0. The processor's own instructions do not.
namespace xsimd {
template <>
[[gnu::always_inline]] inline batch<float>& batch<float>::operator/=(
    const batch<float>& other) noexcept {
  data = vdivq_f32(data, other.data);
  return *this;
}
template <>
[[gnu::always_inline]] inline batch<float> sqrt(const batch<float>& x) noexcept {
  return vsqrtq_f32(x);
}
template <>
[[gnu::always_inline]] inline batch<float> floor(const batch<float>& x) noexcept {
  return vrndmq_f32(x);
}
template <>
[[gnu::always_inline]] inline batch<double> floor(const batch<double>& x) noexcept {
  return vrndmq_f64(x);
}
}  // namespace xsimd
#endif

/// What the pointwise kernels compute on: xsimd batches of float and double, and complex numbers
/// one by one.
namespace xgrad::detail {

template <class T>
struct SimdTraits {
  using Vector = xsimd::batch<T>;
  static constexpr Index width = static_cast<Index>(xsimd::batch<T>::size);
};
template <>
struct SimdTraits<std::complex<double>> {
  using Vector = std::complex<double>;
  static constexpr Index width = 1;
};

template <class T>
using SimdVector = typename SimdTraits<T>::Vector;
template <class T>
inline constexpr Index simd_width = SimdTraits<T>::width;

template <class T>
[[gnu::always_inline]] inline SimdVector<T> simd_broadcast(double value) {
  return SimdVector<T>(static_cast<T>(value));
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// All ones in the first n lanes of T, zeros in the others.
template <class T>
[[gnu::always_inline]] inline __m256i first_lanes(Index n) {
  static constexpr std::int32_t ones_and_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  const std::int32_t* const begin = ones_and_zeros + 8 - n * static_cast<Index>(sizeof(T) / 4);
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(begin));
}
#endif

/// The first n elements from `from`, `padding` behind them; a whole vector if n is at least its
/// width.
template <class T>
[[gnu::always_inline]] inline SimdVector<T> simd_load(const T* from, Index n,
                                                      const SimdVector<T>& padding) {
  if constexpr (simd_width<T> == 1) {
    return *from;
  } else {
#ifdef __AVX512F__
    const unsigned mask = n >= simd_width<T> ? ~0u : (1u << n) - 1u;
    if constexpr (std::is_same_v<T, float>) {
      return _mm512_mask_loadu_ps(padding, static_cast<__mmask16>(mask), from);
    } else {
      return _mm512_mask_loadu_pd(padding, static_cast<__mmask8>(mask), from);
    }
#elif defined(__AVX2__)
    if (n >= simd_width<T>) return SimdVector<T>::load_unaligned(from);
    const __m256i mask = first_lanes<T>(n);
    if constexpr (std::is_same_v<T, float>) {
      return _mm256_blendv_ps(padding, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask));
    } else {
      return _mm256_blendv_pd(padding, _mm256_maskload_pd(from, mask), _mm256_castsi256_pd(mask));
    }
#else
    if (n >= simd_width<T>) return SimdVector<T>::load_unaligned(from);
    alignas(64) T part[simd_width<T>];
    padding.store_aligned(part);
    std::memcpy(part, from, static_cast<std::size_t>(n) * sizeof(T));
    return SimdVector<T>::load_aligned(part);
#endif
  }
}

/// The same with zeros behind them.
template <class T>
[[gnu::always_inline]] inline SimdVector<T> simd_load(const T* from, Index n) {
  return simd_load(from, n, SimdVector<T>(T(0)));
}

/// Writes the first n elements; all if n is at least the width.
template <class T>
[[gnu::always_inline]] inline void simd_store(T* to, Index n, const SimdVector<T>& value) {
  if constexpr (simd_width<T> == 1) {
    *to = value;
  } else {
#ifdef __AVX512F__
    const unsigned mask = n >= simd_width<T> ? ~0u : (1u << n) - 1u;
    if constexpr (std::is_same_v<T, float>) {
      _mm512_mask_storeu_ps(to, static_cast<__mmask16>(mask), value);
    } else {
      _mm512_mask_storeu_pd(to, static_cast<__mmask8>(mask), value);
    }
#elif defined(__AVX2__)
    if (n >= simd_width<T>) return value.store_unaligned(to);
    // In pieces: stores with masks are slow on some processors.
    __m256i whole;
    std::memcpy(&whole, &value, sizeof(whole));
    const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
    std::byte* at = reinterpret_cast<std::byte*>(to);
    __m128i piece = _mm256_castsi256_si128(whole);
    if (bytes & 16) {
      std::memcpy(at, &piece, 16);
      at += 16;
      piece = _mm256_extracti128_si256(whole, 1);
    }
    if (bytes & 8) {
      std::memcpy(at, &piece, 8);
      at += 8;
      piece = _mm_unpackhi_epi64(piece, piece);
    }
    if (bytes & 4) std::memcpy(at, &piece, 4);
#else
    if (n >= simd_width<T>) {
      value.store_unaligned(to);
    } else {
      alignas(64) T part[simd_width<T>];
      value.store_aligned(part);
      std::memcpy(to, part, static_cast<std::size_t>(n) * sizeof(T));
    }
#endif
  }
}

/// A product as it is, rounded: the compiler does not fuse it into what is added to it.
template <class T>
SimdVector<T> rounded(SimdVector<T> product) {
  // In a register, whose kind has one letter for x86 and another one for ARM.
#if defined(__x86_64__)
  if constexpr (simd_width<T> != 1) {
    asm("" : "+v"(product.data));
    return product;
  }
#elif defined(__aarch64__)
  if constexpr (simd_width<T> != 1) {
    asm("" : "+w"(product.data));
    return product;
  }
#endif
  asm("" : "+m"(product));
  return product;
}

// xsimd's free functions, whose names change from version to version, are called here only.

/// x * y + z, rounded once where the processor can.
template <class T>
[[gnu::always_inline]] inline SimdVector<T> multiply_add(SimdVector<T> x, SimdVector<T> y,
                                                         SimdVector<T> z) {
  if constexpr (simd_width<T> == 1) {
    return x * y + z;
  } else {
#ifdef __AVX512F__  // where xsimd 8 multiplies, then adds
    if constexpr (std::is_same_v<T, float>) {
      return _mm512_fmadd_ps(x, y, z);
    } else {
      return _mm512_fmadd_pd(x, y, z);
    }
#else
    return xsimd::fma(x, y, z);
#endif
  }
}

/// The sum of the lanes.
template <class T>
[[gnu::always_inline]] inline T lane_sum(const SimdVector<T>& v) {
  if constexpr (simd_width<T> == 1) {
    return v;
  } else {
#if XSIMD_VERSION_MAJOR >= 9
    return xsimd::reduce_add(v);
#else
    return xsimd::hadd(v);
#endif
  }
}

/// Whether every lane is zero.
template <class T>
[[gnu::always_inline]] inline bool all_zero(const SimdVector<T>& v) {
  if constexpr (simd_width<T> == 1) {
    return v == T(0);
  } else {
    return xsimd::all(v == SimdVector<T>(T(0)));
  }
}

/// f(j, left) for j = 0, width, ... below n. For whole vectors `left` is a constant, so that
/// simd_load and simd_store need no mask.
template <class T, class F>
[[gnu::always_inline]] inline void each_vector(Index n, F&& f) {
  Index j = 0;
  for (; j + simd_width<T> <= n; j += simd_width<T>) f(j, simd_width<T>);
  if (j < n) f(j, n - j);
}

/// The type in which sums of T are taken.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, float>, double, T>;

/// The lanes of a SimdVector<T> as Accumulators.
template <class T>
struct WideVector {
  static constexpr int parts = sizeof(Accumulator<T>) / sizeof(T);
  using Part = SimdVector<Accumulator<T>>;
  Part part[parts];

  WideVector() { std::fill_n(part, parts, Part(Accumulator<T>(0))); }
  explicit WideVector(const SimdVector<T>& v) {
    if constexpr (parts == 1) {
      part[0] = v;
    } else {
#if defined(__AVX512F__)
      part[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
      part[1] = _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
#elif defined(__AVX__)
      part[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
      part[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
#elif defined(__aarch64__)
      part[0] = vcvt_f64_f32(vget_low_f32(v));
      part[1] = vcvt_high_f64_f32(v);
#else
      alignas(64) T lanes[simd_width<T>];
      alignas(64) Accumulator<T> wide[simd_width<T>];
      v.store_aligned(lanes);
      std::copy_n(lanes, simd_width<T>, wide);
      for (int i = 0; i < parts; ++i)
        part[i] = Part::load_aligned(wide + i * simd_width<T> / parts);
#endif
    }
  }

  WideVector& operator+=(const WideVector& other) {
    for (int i = 0; i < parts; ++i) part[i] += other.part[i];
    return *this;
  }
  friend WideVector operator-(WideVector a, const WideVector& b) {
    for (int i = 0; i < parts; ++i) a.part[i] -= b.part[i];
    return a;
  }
  friend WideVector operator*(WideVector a, const WideVector& b) {
    for (int i = 0; i < parts; ++i) a.part[i] *= b.part[i];
    return a;
  }

  /// Of all lanes.
  Accumulator<T> sum() const {
    Part all = part[0];
    for (int i = 1; i < parts; ++i) all += part[i];
    return lane_sum<Accumulator<T>>(all);
  }
};

}  // namespace xgrad::detail

namespace xgrad {

/// `condition ? a : b` in the bodies of pointwise ops, lane by lane. The condition is a comparison,
/// or a number that is not 0.
template <class T, class A>
xsimd::batch<T, A> where(const xsimd::batch_bool<T, A>& condition,
                         const std::type_identity_t<xsimd::batch<T, A>>& a,
                         const std::type_identity_t<xsimd::batch<T, A>>& b) {
  return xsimd::select(condition, a, b);
}
template <class T, class A>
xsimd::batch<T, A> where(const xsimd::batch<T, A>& condition,
                         const std::type_identity_t<xsimd::batch<T, A>>& a,
                         const std::type_identity_t<xsimd::batch<T, A>>& b) {
  // Not `condition != 0`, which xsimd 8 answers with no for NaN.
  return xsimd::select(condition == xsimd::batch<T, A>(T(0)), b, a);
}
inline std::complex<double> where(bool condition, std::complex<double> a, std::complex<double> b) {
  return condition ? a : b;
}
inline std::complex<double> where(std::complex<double> condition, std::complex<double> a,
                                  std::complex<double> b) {
  return condition != 0.0 ? a : b;
}

/// The comparison a == b in the bodies of pointwise ops.
template <class T, class A>
xsimd::batch_bool<T, A> equal(const xsimd::batch<T, A>& a,
                              const std::type_identity_t<xsimd::batch<T, A>>& b) {
  return a == b;
}

}  // namespace xgrad
