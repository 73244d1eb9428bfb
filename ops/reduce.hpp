#pragma once

#include <xgrad/core/var.hpp>

/// Reductions over chosen axes. `axes` lists them, negative ones counting from the end; without it,
/// all axes are reduced and the result is a scalar. Over an empty list nothing is reduced, where
/// PyTorch 1.13 reduces all. All throw for an axis that is not there or is listed twice. Other
/// conventions follow PyTorch 1.13. Sums of float32 are taken in float64 and rounded once.
///
/// y is the result, dy its gradient, repeated along the reduced axes where it meets x.
namespace xgrad {

struct ReduceOptions {
  bool keep = false;  ///< keep the reduced axes, with extent 1
};

struct VarianceOptions {
  bool unbiased = true;  ///< divide by n - 1 instead of n
  bool keep = false;
};

/// The sum; dx = dy. 0 over no elements.
Var sum(const Var& x);
Var sum(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The sum divided by the number n of elements; dx = dy / n. NaN over no elements.
Var mean(const Var& x);
Var mean(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The largest element, NaN if there is one. Equal ones share dy; if they are NaN, dx is NaN for
/// all that were reduced with them (as torch.amax; over all axes the NaN elements share dy, as
/// torch.max). Throws over no elements, and for complex128.
Var max(const Var& x);
Var max(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The smallest element; otherwise as `max`.
Var min(const Var& x);
Var min(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The product; dx = dy times the product of the others, right with any number of zeros. 1 over no
/// elements. The elements are multiplied in pairs, the pairs in pairs and so on: n of them round
/// log2(n) times.
Var prod(const Var& x);
Var prod(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The Euclidean norm sqrt(sum(x^2)), which does not overflow or underflow on its way;
/// dx = dy x / y, and 0 where y is 0. 0 over no elements. complex128: no conjugate is taken, so
/// that it stays analytic.
Var norm(const Var& x);
Var norm(const Var& x, const Axes& axes, ReduceOptions options = {});

/// y = log(sum(e^x)), without overflow; dx = dy e^(x - y). -inf over no elements, and over such
/// that are all -inf; these have the gradient 0 (PyTorch 1.13: NaN).
Var logsumexp(const Var& x);
Var logsumexp(const Var& x, const Axes& axes, ReduceOptions options = {});

/// The sums of the elements up to each along the axis, y_i = x_0 + ... + x_i; dx_i is the sum of
/// dy_i and all behind it. Same shape as x. Throws if there is no such axis.
Var cumsum(const Var& x, Index axis);

/// sum((x - mean(x))^2) / m with m = n - 1 (n if not unbiased); dx = dy 2 (x - mean(x)) / m.
/// NaN for m = 0. complex128: no conjugate is taken, so that it stays analytic.
Var variance(const Var& x);
Var variance(const Var& x, const Axes& axes, VarianceOptions options = {});

}  // namespace xgrad
