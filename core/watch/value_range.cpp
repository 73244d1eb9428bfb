#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <xgrad/core/kernels/simd.hpp>
#include <xgrad/core/runtime/text_stream.hpp>
#include <xgrad/core/value_range.hpp>

namespace xgrad {
namespace detail {
namespace {

/// Rows and columns of elements, with their strides.
template <class T>
struct Block {
  const T* first;
  Index rows, row_stride;
  Index cols, col_stride;
};

/// Calls f with each block of x: the last two axes, or everything if x is contiguous.
template <class T, class F>
void for_each_block(const Tensor& x, F&& f) {
  if (x.size() == 0) return;
  Block<T> block{x.data<T>(), 1, 0, x.size(), 1};
  if (x.is_contiguous()) return f(block);
  const std::size_t outer = x.dim() < 2 ? 0 : x.dim() - 2;
  block.cols = x.shape().back();
  block.col_stride = x.strides().back();
  if (x.dim() >= 2) {
    block.rows = x.shape()[outer];
    block.row_stride = x.strides()[outer];
  }
  Shape at = x.shape();
  std::fill(at.begin(), at.end(), 0);
  for (;;) {
    f(block);
    for (std::size_t axis = outer;;) {
      if (axis-- == 0) return;
      block.first += x.strides()[axis];
      if (++at[axis] < x.shape()[axis]) break;
      block.first -= at[axis] * x.strides()[axis];
      at[axis] = 0;
    }
  }
}

/// Calls f with each element of x in row-major order.
template <class T, class F>
void for_each_element(const Tensor& x, F&& f) {
  for_each_block<T>(x, [&](const Block<T>& block) {
    for (Index i = 0; i < block.rows; ++i) {
      const T* row = block.first + i * block.row_stride;
      for (Index j = 0; j < block.cols; ++j) f(row[j * block.col_stride]);
    }
  });
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

/// The sum of 0 x over a block, in lanes: 0, or NaN if an element is NaN or infinite.
template <class T>
SimdVector<T> sum_of_nothing(const Block<T>& block) {
  using V = SimdVector<T>;
  constexpr Index width = simd_width<T>;
  const auto add = [](V& sum, const V& x) {
    if constexpr (width == 1) {
      sum += x - x;
    } else {
      sum = multiply_add<T>(x, V(T(0)), sum);
    }
  };
  V sum[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
  const Index whole = block.cols / (4 * width) * (4 * width);
  for (Index i = 0; i < block.rows; ++i) {
    const T* row = block.first + i * block.row_stride;
    if (block.col_stride != 1 || block.cols < width) {
      for (Index j = 0; j < block.cols; ++j) add(sum[0], V(row[j * block.col_stride]));
      continue;
    }
    for (Index j = 0; j < whole; j += 4 * width) {
      for (Index k = 0; k < 4; ++k) add(sum[k], simd_load(row + j + k * width, width));
    }
    for (Index j = whole; j < block.cols; j += width) {  // the last vector overlaps
      add(sum[1], simd_load(row + std::min(j, block.cols - width), width));
    }
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

Finiteness finiteness(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    SimdVector<T> sum(T(0));
    for_each_block<T>(x, [&](const Block<T>& block) { sum = sum + sum_of_nothing(block); });
    if (all_zero<T>(sum)) return Finiteness::finite;
    auto worst = magnitude_bits(T());
    for_each_element<T>(x, [&](const T& value) { worst = std::max(worst, magnitude_bits(value)); });
    return classify(worst);
  });
}

Finiteness finiteness(double x) { return classify(magnitude_bits(x)); }

double norm(const Tensor& x) {
  return dispatch(x.dtype(), [&]<class T>() {
    // Scaled by the square of `half`, in two steps, since the whole scale may be out of range.
    const auto sum_of_squares = [&](double half) {
      double sum = 0;
      for_each_element<T>(x, [&](const T& element) {
        const double value = real_part(element) * half * half;
        sum += value * value;
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
  dispatch(x.dtype(), [&]<class T>() {
    Index position = 0;
    detail::for_each_element<T>(x, [&](const T& element) {
      const auto kind = detail::classify(detail::magnitude_bits(element));
      if (kind == detail::Finiteness::finite) {
        const double value = detail::real_part(element);
        if (!(range.low <= value)) range.low = value;
        if (!(range.high >= value)) range.high = value;
      } else {
        if (range.first < 0) range.first = position;
        ++(kind == detail::Finiteness::nan ? range.nans : range.infinities);
      }
      ++position;
    });
  });
  return range;
}

std::string to_string(const ValueRange& range) {
  detail::TextStream text;
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
