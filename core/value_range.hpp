#pragma once

#include <cstdint>
#include <string>

#include <xgrad/core/tensor.hpp>

namespace xgrad {

/// What an array holds, at a glance.
struct ValueRange {
  Shape shape;
  double low = 0;        ///< the least finite element; NaN if there is none
  double high = 0;       ///< the largest
  Index nans = 0;        ///< elements that are NaN
  Index infinities = 0;  ///< elements that are infinite
  Index first = -1;      ///< row-major position of the first NaN or infinity, -1: there is none
};

/// Of complex128 the real parts.
ValueRange range_of(const Tensor& x);

/// "(32,64) in [-3.1, 712.4]", or "(2,3) in [0, 1] but for 1 inf and 2 NaN, the first at (1,0)".
std::string to_string(const ValueRange& range);

namespace detail {

/// In the order of badness.
enum class Finiteness : std::uint8_t { finite, infinite, nan };

/// The worst that an element is.
Finiteness finiteness(const Tensor& x);
Finiteness finiteness(double x);

/// The Euclidean norm, without overflow or underflow on the way.
double norm(const Tensor& x);

/// The indices of the element at a row-major position.
Shape indices_at(const Shape& shape, Index position);

/// The offset in x, in elements, of what x contributes to the element at `indices` of an array to
/// which x broadcasts.
Index broadcast_offset(const Tensor& x, const Shape& indices);

}  // namespace detail
}  // namespace xgrad
