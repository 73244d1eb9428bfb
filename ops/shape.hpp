#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <vector>

#include <xgrad/core/var.hpp>

/// Ops that rearrange elements. Those marked as views copy nothing and record nothing: the result
/// shares the memory of x and of its gradient. Negative axes count from the end.
namespace xgrad {

/// The same elements in row-major order under another shape; one extent may be -1, which stands for
/// what is left. A view if x is contiguous, else a copy. Throws if the numbers of elements differ.
Var reshape(const Var& x, const Shape& shape);

/// The axes in reverse order: for a matrix its transpose. A view.
Var transpose(const Var& x);

/// Axis i of the result is axis order[i] of x. A view. Throws unless order names each axis once.
Var transpose(const Var& x, const Axes& order);

/// The entries begin, begin + step, ... before end along an axis. A view. Negative begin and end
/// count from the end of the axis. Throws unless 0 <= begin <= end <= extent after that, and
/// step >= 1, and if there is no such axis.
Var slice(const Var& x, Index axis, Index begin, Index end, Index step = 1);

/// n equal parts along an axis, as views. Throws if there is no such axis or n does not divide its
/// extent.
std::vector<Var> split(const Var& x, Index n, Index axis);

namespace detail {
void split(const Var& x, Index axis, std::span<Var> parts);
}

/// The same for a number known at compile time: `auto [i, f, g, o] = split<4>(z);`
template <std::size_t n>
std::array<Var, n> split(const Var& x, Index axis = -1) {
  std::array<Var, n> parts;
  detail::split(x, axis, parts);
  return parts;
}

/// The arrays one after the other along an axis; dx_i = the part of dy at its place. Throws if xs
/// is empty, or if the shapes differ elsewhere than along the axis.
Var concat(std::span<const Var> xs, Index axis = 0);
inline Var concat(std::initializer_list<Var> xs, Index axis = 0) {
  return concat(std::span<const Var>(xs.begin(), xs.size()), axis);
}

/// Arrays of one shape along a new axis of the result; dx_i = the slice i of dy. Throws if xs is
/// empty or the shapes differ.
Var stack(std::span<const Var> xs, Index axis = 0);
inline Var stack(std::initializer_list<Var> xs, Index axis = 0) {
  return stack(std::span<const Var>(xs.begin(), xs.size()), axis);
}

/// x repeated along axes of extent 1 and new leading axes (NumPy's rule), as a new array; dx = dy
/// summed over the repetitions. Throws if x does not stretch to the shape.
Var broadcast_to(const Var& x, const Shape& shape);

/// The entries of an axis in reverse order; dx = flip(dy). A copy. Throws if there is no such axis.
Var flip(const Var& x, Index axis);

/// Without an axis of extent 1. A view. Throws if there is no such axis or its extent is not 1.
Var squeeze(const Var& x, Index axis);

/// With a new axis of extent 1 at that position of the result. A view. Throws if the result has no
/// such axis, or more than 8.
Var unsqueeze(const Var& x, Index axis);

}  // namespace xgrad
