#pragma once

#include <span>

#include <xgrad/core/kernels/pointwise_kernel.hpp>
#include <xgrad/core/tensor.hpp>

namespace xgrad::detail {

using Tensors = std::span<const Tensor* const>;

/// Who else is in the memory of a leaf: nobody, the same view of it, or one that overlaps.
enum class Sharing { none, same_view, overlap };

/// Where the gradient of a leaf goes: memory laid out as the leaf, assigned or added to.
struct LeafTarget {
  std::byte* memory = nullptr;  ///< null: not wanted
  bool assign = false;  ///< only if no two elements of the result read one element of the leaf
  Sharing sharing = Sharing::none;  ///< with other leaves
};

/// Runs an expression's forward kernel. The leaves broadcast to `out`, which is row-major.
void run_forward(const ExpressionType& type, Tensors leaves, const double* constants,
                 const Tensor& out);

/// Runs its backward kernel: adds the pulls of `gradient` (broadcast to `shape`, the result's) to
/// the targets, summed over the axes along which a leaf was broadcast.
void run_backward(const ExpressionType& type, Tensors leaves, const double* constants,
                  const Shape& shape, const Tensor& gradient, std::span<const LeafTarget> targets);

/// True if broadcasting to `shape` repeats elements of a tensor of shape `from`.
bool repeats(const Shape& from, const Shape& shape);

}  // namespace xgrad::detail
