#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <sstream>

#include <xgrad/core/simd.hpp>
#include <xgrad/core/value_range.hpp>

namespace xgrad {
namespace detail {
namespace {

/// Calls f(first, count, stride) for every row of x, which is one row if x is contiguous.
template <class T, class F>
void for_each_row(const Tensor& x, F&& f) {
  if (x.size() == 0) return;
  const T* data = x.data<T>();
  if (x.is_contiguous()) return f(data, x.size(), Index{1});
  const std::size_t last = x.dim() - 1;
  Shape at = x.shape();
  std::fill(at.begin(), at.end(), 0);
  for (;;) {
    f(data, x.shape()[last], x.strides()[last]);
    std::size_t axis = last;
    for (;;) {
      if (axis-- == 0) return;
      data += x.strides()[axis];
      if (++at[axis] < x.shape()[axis]) break;
      data -= at[axis] * x.strides()[axis];
      at[axis] = 0;
    }
  }
}

// The bits of |x|: in the order of the numbers, then infinity, then NaN.
std::uint32_t magnitude_bits(float x) { return std::bit_cast<std::uint32_t>(x) & 0x7fffffffu; }
std::uint64_t magnitude_bits(double x) {
  return std::bit_cast<std::uint64_t>(x) & 0x7fffffffffffffffu;
}
std::uint64_t magnitude_bits(const std::complex<double>& x) {
  return std::max(magnitude_bits(x.real()), magnitude_bits(x.imag()));
}

template <class T>
double real_part(const T& x) {
  if constexpr (std::is_same_v<T, std::complex<double>>) {
    return x.real();
  } else {
    return static_cast<double>(x);
  }
}

template <class Bits>
Finiteness classify(Bits magnitude) {
  const Bits infinity = std::is_same_v<Bits, std::uint32_t>
                            ? Bits{0x7f800000u}
                            : static_cast<Bits>(0x7ff0000000000000u);
  if (magnitude < infinity) return Finiteness::finite;
  return magnitude == infinity ? Finiteness::infinite : Finiteness::nan;
}

}  // namespace

namespace {

/// The sum of 0 x over a row, in lanes: 0, or NaN if an element is NaN or infinite.
template <class T>
SimdVector<T> sum_of_nothing(const T* row, Index count, Index stride) {
  using V = SimdVector<T>;
  constexpr Index width = simd_width<T>;
  V sums[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
  const auto add = [](V& sum, const V& x) {
    if constexpr (width == 1) {
      sum += x - x;
    } else {
      sum = xsimd::fma(x, V(T(0)), sum);
    }
  };
  Index i = 0;
  if (stride != 1) {
    for (; i < count; ++i) add(sums[0], V(row[i * stride]));
    return sums[0];
  }
  for (; i + 4 * width <= count; i += 4 * width) {
    for (Index k = 0; k < 4; ++k) add(sums[k], simd_load(row + i + k * width, width));
  }
  for (; i < count; i += width) {  // the last vector overlaps the one before, if there is one
    const Index from = count < width ? i : std::min(i, count - width);
    add(sums[1], simd_load(row + from, count - from));
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
bool is_zero(const SimdVector<T>& sum) {
  if constexpr (simd_width<T> == 1) {
    return sum == T(0);
  } else {
    return xsimd::all(sum == SimdVector<T>(T(0)));
  }
}

}  // namespace

Finiteness finiteness(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    SimdVector<T> sum(T(0));
    for_each_row<T>(x, [&](const T* row, Index count, Index stride) {
      sum = sum + sum_of_nothing(row, count, stride);
    });
    if (is_zero<T>(sum)) return Finiteness::finite;
    auto worst = magnitude_bits(T());
    for_each_row<T>(x, [&](const T* row, Index count, Index stride) {
      for (Index i = 0; i < count; ++i) worst = std::max(worst, magnitude_bits(row[i * stride]));
    });
    return classify(worst);
  });
}

Finiteness finiteness(double x) { return classify(magnitude_bits(x)); }

double norm(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    // Scaled by the square of `half`, in two steps, since the whole scale may be out of range.
    const auto sum_of_squares = [&](double half) {
      double sum = 0;
      for_each_row<T>(x, [&](const T* row, Index count, Index stride) {
        for (Index i = 0; i < count; ++i) {
          const double value = real_part(row[i * stride]) * half * half;
          sum += value * value;
        }
      });
      return sum;
    };
    const double sum = sum_of_squares(1);
    if (std::isnan(sum) || (sum >= std::numeric_limits<double>::min() && std::isfinite(sum))) {
      return std::sqrt(sum);
    }
    const ValueRange range = range_of(x);
    const double largest = std::max(std::abs(range.low), std::abs(range.high));
    if (range.infinities > 0) return std::numeric_limits<double>::infinity();
    if (!(largest > 0)) return 0.0;
    const double half = std::ldexp(1.0, -std::ilogb(largest) / 2);
    return std::sqrt(sum_of_squares(half)) / half / half;
  });
}

Shape indices_at(const Shape& shape, Index position) {
  Shape indices = shape;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    indices[axis] = position % shape[axis];
    position /= shape[axis];
  }
  return indices;
}

Index broadcast_offset(const Tensor& x, const Shape& indices) {
  const std::size_t lead = indices.size() - x.dim();
  Index offset = 0;
  for (std::size_t axis = 0; axis < x.dim(); ++axis) {
    if (x.shape()[axis] != 1) offset += indices[axis + lead] * x.strides()[axis];
  }
  return offset;
}

}  // namespace detail

ValueRange range_of(const Tensor& x) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  ValueRange range{x.shape(), none, none};
  detail::dispatch(x.dtype(), [&]<class T>() {
    Index position = 0;
    detail::for_each_row<T>(x, [&](const T* row, Index count, Index stride) {
      for (Index i = 0; i < count; ++i, ++position) {
        const T& element = row[i * stride];
        const auto kind = detail::classify(detail::magnitude_bits(element));
        if (kind == detail::Finiteness::finite) {
          const double value = detail::real_part(element);
          if (!(range.low <= value)) range.low = value;
          if (!(range.high >= value)) range.high = value;
          continue;
        }
        if (range.first < 0) range.first = position;
        ++(kind == detail::Finiteness::nan ? range.nans : range.infinities);
      }
    });
  });
  return range;
}

std::string to_string(const ValueRange& range) {
  std::ostringstream text;
  text << to_string(range.shape);
  if (!std::isnan(range.low)) text << " in [" << range.low << ", " << range.high << "]";
  if (range.first < 0) return text.str();
  text << (std::isnan(range.low) ? " of " : " but for ");
  if (range.infinities > 0) text << range.infinities << " inf";
  if (range.infinities > 0 && range.nans > 0) text << " and ";
  if (range.nans > 0) text << range.nans << " NaN";
  if (!range.shape.empty()) {
    text << ", the first at " << to_string(detail::indices_at(range.shape, range.first));
  }
  return text.str();
}

}  // namespace xgrad
