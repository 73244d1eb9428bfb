#pragma once

#include <xgrad/core/var.hpp>

/// Reductions over chosen axes. `axes` lists them, negative ones counting from the end; without it,
/// all axes are reduced and the result is a scalar. Over an empty list nothing is reduced. All
/// throw for an axis that is not there or is listed twice. Conventions follow PyTorch 1.13. Sums of
/// float32 are taken in float64 and rounded once.
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

/// y = log(sum(e^x)), without overflow; dx = dy e^(x - y). -inf over no elements.
Var logsumexp(const Var& x);
Var logsumexp(const Var& x, const Axes& axes, ReduceOptions options = {});

/// sum((x - mean(x))^2) / m with m = n - 1 (n if not unbiased); dx = dy 2 (x - mean(x)) / m.
/// NaN for m = 0. complex128: no conjugate is taken, so that it stays analytic.
Var variance(const Var& x);
Var variance(const Var& x, const Axes& axes, VarianceOptions options = {});

}  // namespace xgrad
