#pragma once

#include <algorithm>
#include <complex>
#include <limits>
#include <type_traits>

#include <xgrad/core/kernels/simd.hpp>
#include <xgrad/core/tensor.hpp>

/// For the sources of ops that work along axes: x as contiguous rows, and what to do with a row.
namespace xgrad::detail {

/// The axes an op reduces.
struct ReducedAxes {
  Shape kept;    ///< the shape of the result with the reduced axes kept, with extent 1
  Shape result;  ///< without them
  Shape order;   ///< the axes that stay, then the reduced ones
  Index length;  ///< the number of elements behind each element of the result

  /// Throws if an axis is not there or listed twice.
  ReducedAxes(const char* op, const Shape& shape, const Axes& axes);
};

/// x with its axes in that order, row-major: a row for each element of the result. Not a copy if x
/// lies so already.
Tensor as_rows(const Tensor& x, const Shape& order);

/// The opposite: rows as an array of that shape.
Tensor from_rows(const Tensor& rows, const Shape& order, const Shape& shape);

/// f(f(lanes[0], lanes[n / 2]), ...) as a tree; n is a power of two.
template <Index n, class T, class F>
T fold(T* lanes, F&& f) {
  if constexpr (n == 1) {
    return lanes[0];
  } else {
    for (Index k = 0; k < n / 2; ++k) lanes[k] = f(lanes[k], lanes[k + n / 2]);
    return fold<n / 2>(lanes, f);
  }
}

/// The sum of f(x[i]). Lanes behind the row's end take part as `padding`, for which f is 0.
template <class T, class F>
Accumulator<T> row_sum(const T* x, Index n, T padding, F&& f) {
  const SimdVector<T> fill(padding);
  WideVector<T> sum;
  for (Index j = 0; j < n; j += simd_width<T>) {
    sum += f(WideVector<T>(simd_load(x + j, n - j, fill)));
  }
  return sum.sum();
}

template <class T>
Accumulator<T> row_sum(const T* x, Index n) {
  return row_sum(x, n, T(0), [](const WideVector<T>& value) { return value; });
}

/// How far the elements of x are from the first one; behind the end 0.
template <class T>
struct Distances {
  const T* x;
  Index n;
  SimdVector<T> first;
  WideVector<T> origin;

  Distances(const T* row, Index length)
      : x(row), n(length), first(n > 0 ? x[0] : T(0)), origin(first) {}
  WideVector<T> operator()(Index j, Index left) const {
    __builtin_prefetch(x + n + j);  // the next row
    return WideVector<T>(simd_load(x + j, left, first)) - origin;
  }
};

/// The mean of x and the sum of its squared deviations from it, in one pass. Both are taken from
/// the distances to the first element: (x[0] - mean)^2 is no more than that sum, so that what
/// cancels costs n roundings at most, whatever the mean is.
template <class T>
struct Moments {
  Accumulator<T> first;  ///< element
  Accumulator<T> shift;  ///< of the mean from it
  Accumulator<T> mean;
  Accumulator<T> squares;

  Moments(const T* x, Index n) : Moments(Distances<T>(x, n)) {}
  explicit Moments(const Distances<T>& distances) {
    WideVector<T> sum, sum_of_squares;
    each_vector<T>(distances.n, [&](Index j, Index left) {
      const WideVector<T> distance = distances(j, left);
      sum += distance;
      sum_of_squares += distance * distance;
    });
    *this = Moments(distances, sum, sum_of_squares);
  }
  /// The mean less a number close to it, with all digits.
  Accumulator<T> beside(T number) const { return shift - (Accumulator<T>(number) - first); }

  /// From the sums of the distances and of their squares.
  Moments(const Distances<T>& distances, const WideVector<T>& sum,
          const WideVector<T>& sum_of_squares) {
    const Accumulator<T> total = sum.sum();
    first = Accumulator<T>(distances.n > 0 ? distances.x[0] : T(0));
    shift = total * (1.0 / static_cast<double>(distances.n));
    mean = first + shift;
    squares = sum_of_squares.sum() - total * shift;
  }
};

/// x - mean, with the digits of the difference: the mean is the sum of two numbers, since it loses
/// its own where T rounds it, beside which those of x - mean may be few.
template <class T>
struct Centering {
  SimdVector<T> center;
  SimdVector<T> rest;

  explicit Centering(const Moments<T>& moments)
      : center(static_cast<T>(moments.mean)),
        rest(static_cast<T>(moments.beside(static_cast<T>(moments.mean)))) {}
  /// Of a mean that is not finite.
  explicit Centering(T mean) : center(mean), rest(T(0)) {}
  SimdVector<T> operator()(const SimdVector<T>& x) const { return x - center - rest; }
};

/// The orders of `row_extremum`: whether a comes before b, and what comes after all numbers.
struct Largest {
  static auto before(const auto& a, const auto& b) { return a > b; }
  template <class T>
  static constexpr T last = -std::numeric_limits<T>::infinity();
};
struct Smallest {
  static auto before(const auto& a, const auto& b) { return a < b; }
  template <class T>
  static constexpr T last = std::numeric_limits<T>::infinity();
};

/// The first of two in that order, NaN if one is.
template <class Order, class T>
T extremum(T a, T b) {
  return Order::before(a, b) || a != a ? a : b;
}

/// The first element in that order, NaN if there is one; -inf or inf if n is 0. Of complex numbers
/// that of the real parts.
template <class Order, class T>
T row_extremum(const T* x, Index n) {
  if constexpr (std::is_same_v<T, std::complex<double>>) {
    double found = Order::template last<double>;
    for (Index i = 0; i < n; ++i) found = extremum<Order>(x[i].real(), found);
    return found;
  } else {
    constexpr Index width = simd_width<T>;
    T lanes[width];
    std::fill_n(lanes, width, Order::template last<T>);
    if (n < width) {
      std::copy_n(x, n, lanes);
    } else {
      SimdVector<T> found = simd_load(x, width);
      for (Index j = width; j < n; j += width) {
        // The last vector may take elements again.
        const SimdVector<T> v = simd_load(x + std::min(j, n - width), width);
        found = where(Order::before(v, found), v, where(v == v, found, v));
      }
      simd_store(lanes, width, found);
    }
    return fold<width>(lanes, extremum<Order, T>);
  }
}

template <class T>
T row_max(const T* x, Index n) {
  return row_extremum<Largest>(x, n);
}

/// The sum of the first `n` lanes of the vectors f(0, n), f(width, n - width), ...
template <class T, class F>
Accumulator<T> vector_sum(Index n, F&& f) {
  constexpr Index width = simd_width<T>;
  constexpr Index chunk = 64 * width;  // short enough for T to sum without much loss
  Accumulator<T> total(0);
  for (Index begin = 0; begin < n; begin += chunk) {
    SimdVector<T> sum(T(0));
    const Index end = std::min(n, begin + chunk);
    for (Index j = begin; j < end; j += width) {
      SimdVector<T> value = f(j, n - j);
      if (n - j < width) {
        T lanes[width];
        simd_store(lanes, n - j, value);
        value = simd_load(lanes, n - j);
      }
      sum += value;
    }
    T lanes[width];
    simd_store(lanes, width, sum);
    total += static_cast<Accumulator<T>>(fold<width>(lanes, [](T a, T b) { return a + b; }));
  }
  return total;
}

/// The sum of e^(x - shift).
template <class T>
Accumulator<T> row_exp_sum(const T* x, Index n, T shift) {
  const SimdVector<T> offset(shift);
  return vector_sum<T>(n,
                       [&](Index j, Index left) { return exp(simd_load(x + j, left) - offset); });
}

/// y = f(x) by vectors.
template <class T, class F>
void row_map(const T* x, T* y, Index n, F&& f) {
  each_vector<T>(n,
                 [&](Index j, Index left) { simd_store(y + j, left, f(simd_load(x + j, left))); });
}

}  // namespace xgrad::detail
