#pragma once

#include <span>

#include <xgrad/core/kernels/pointwise_loop.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad::detail {

/// A view's place in its base: what it takes to look at another array in the same way.
struct ViewLayout {
  Index offset;  ///< in elements
  Shape shape;
  Shape strides;
};

/// The view of x (made row-major first) at that place.
Var view_at(const Var& x, const ViewLayout& layout);

/// Adds `gradient`, broadcast to `shape`, to the memory of a tensor laid out as `like`, summed over
/// the axes along which `like` broadcasts to `shape`.
void add_to(const LeafTarget& target, const Tensor& like, const Shape& shape,
            const Tensor& gradient);

/// x summed over the axes along which `shape` broadcasts to x's shape. Recorded.
Var sum_to(const Var& x, const Shape& shape);

/// x repeated to `shape`, as a new array. Recorded.
Var broadcast_to(const Var& x, const Shape& shape);

/// A row-major copy of x. Recorded.
Var copy(const Var& x);

/// Zeros of `shape` to which each part is added at its place. Recorded.
Var assemble(const Shape& shape, std::span<const ViewLayout> places, std::span<const Var> parts);

}  // namespace xgrad::detail
