#include <cmath>
#include <limits>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/graph_ops.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>

namespace xgrad {
namespace detail {
namespace {

/// The same elements under another shape.
Var reshaped(const Var& x, const Shape& shape) {
  return view_at(x, {0, shape, contiguous_strides(shape)});
}

Axes all_axes(const Shape& shape) {
  Axes axes = shape;
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<Index>(i);
  return axes;
}

/// What the reductions have in common.
struct Reduce {
  ReducedAxes axes;
  bool keep;

  Tensor result(DType dtype) const {
    return Tensor::uninitialized(keep ? axes.kept : axes.result, dtype);
  }
  /// The result or its gradient, so that it broadcasts to x.
  Var kept(const Var& y) const { return reshaped(y, axes.kept); }

  /// y = f(row, length) for every row.
  template <class T, class F>
  void each_row(const Tensor& x, const Tensor& y, F&& f) const {
    const Tensor rows = as_rows(x, axes.order);
    const T* row = rows.data<T>();
    T* to = y.mutable_data<T>();
    const Index size = y.size();
    for (Index i = 0; i < size; ++i, row += axes.length) {
      to[i] = static_cast<T>(f(row, axes.length));
    }
  }
};

/// Sums over leading axes, column by column without a transposed copy: x is (n, y.size()).
template <class T>
void sum_columns(const T* x, Index n, T* y, Index cols, double divisor) {
  constexpr Index block = 256;
  for (Index col = 0; col < cols; col += block) {
    const Index width = std::min(block, cols - col);
    Accumulator<T> sum[block] = {};
    const T* row = x + col;
    for (Index i = 0; i < n; ++i, row += cols) {
      for (Index j = 0; j < width; ++j) sum[j] += static_cast<Accumulator<T>>(row[j]);
    }
    for (Index j = 0; j < width; ++j) y[col + j] = static_cast<T>(sum[j] / divisor);
  }
}

Tensor sum_of(const Reduce& reduce, const Tensor& x, double divisor) {
  const Tensor y = reduce.result(x.dtype());
  bool leading = x.is_contiguous();
  for (std::size_t i = 0; i < reduce.axes.result.size(); ++i) {
    const auto axis = static_cast<std::size_t>(reduce.axes.order[i]);
    leading = leading && axis == x.dim() - reduce.axes.result.size() + i;
  }
  dispatch(x.dtype(), [&]<class T>() {
    if (leading && y.size() > 1) {
      sum_columns(x.data<T>(), reduce.axes.length, y.mutable_data<T>(), y.size(), divisor);
    } else {
      reduce.each_row<T>(x, y, [&](const T* row, Index n) { return row_sum(row, n) / divisor; });
    }
  });
  return y;
}

struct Sum : Reduce {
  static constexpr const char* name = "sum";
  Tensor value(const Tensor& x) const { return sum_of(*this, x, 1.0); }
  void pullback(Pullback& p) const { p.add(0, kept(p.gradient())); }
};

struct Mean : Reduce {
  static constexpr const char* name = "mean";
  double length() const { return static_cast<double>(axes.length); }
  Tensor value(const Tensor& x) const { return sum_of(*this, x, length()); }
  void pullback(Pullback& p) const { p.add(0, kept(p.gradient()) / length()); }
};

struct Max : Reduce {
  static constexpr const char* name = "max";
  static constexpr bool exact = true;
  bool share_nan;

  Tensor value(const Tensor& x) const {
    if (axes.length == 0) {
      throw Error("max: x is " + to_string(x.shape()) +
                  ": the reduced axes must have at least one element");
    }
    const Tensor y = result(x.dtype());
    dispatch_real(x.dtype(), name, [&]<class T>() { each_row<T>(x, y, row_max<T>); });
    return y;
  }
  void pullback(Pullback& p) const {
    const Var& x = p.input(0);
    const Var y = kept(p.output());
    Var largest = equal(x, y);
    if (share_nan) largest = where(equal(y, y), largest, 1.0 - equal(x, x));
    const Var count = apply(Sum{axes, true}, largest);
    p.add(0, kept(p.gradient()) * largest / count);
  }
};

struct LogSumExp : Reduce {
  static constexpr const char* name = "logsumexp";
  Tensor shift = {};  ///< the maximum where it is finite

  Tensor value(const Tensor& x) {
    const Tensor y = result(x.dtype());
    shift = Tensor::uninitialized(axes.kept, x.dtype());
    dispatch(x.dtype(), [&]<class T>() {
      T* next = shift.mutable_data<T>();
      each_row<T>(x, y, [&](const T* row, Index n) {
        const T largest = row_max(row, n);
        const auto top = std::real(largest);
        // Beside an infinity all others count nothing, those too whose power would overflow.
        const T beside_infinity(top > 0 ? std::numeric_limits<decltype(top)>::max() : 0);
        *next = std::isfinite(top) ? largest : beside_infinity;
        const auto log_sum = std::log(row_exp_sum(row, n, *next));
        return static_cast<Accumulator<T>>(*next++) + log_sum;
      });
    });
    return y;
  }
  // e^(x - y) would lose the digits that y has before the point.
  void pullback(Pullback& p) const {
    const Var e = exp(p.input(0) - Var(shift));
    const Var factor = kept(p.gradient()) / apply(Sum{axes, true}, e);
    p.add(0, factor * e);
  }
};

struct Variance : Reduce {
  static constexpr const char* name = "variance";
  bool unbiased;

  double divisor() const { return static_cast<double>(axes.length) - (unbiased ? 1 : 0); }
  Tensor value(const Tensor& x) const {
    const Tensor y = result(x.dtype());
    dispatch(x.dtype(), [&]<class T>() {
      each_row<T>(x, y, [&](const T* row, Index n) {
        return Moments<T>(row, n).squares / std::max(0.0, divisor());
      });
    });
    return y;
  }
  void pullback(Pullback& p) const {
    const Var average = apply(Mean{axes, true}, p.input(0));
    p.add(0, kept(p.gradient()) * (2 / std::max(0.0, divisor())) * (p.input(0) - average));
  }
};

template <class Op, class... Options>
Var reduce(const Var& x, const Axes& axes, bool keep, Options... options) {
  return apply(Op{{ReducedAxes(Op::name, x.shape(), axes), keep}, options...}, x);
}

}  // namespace
}  // namespace detail

using detail::all_axes;
using detail::reduce;

Var sum(const Var& x) { return sum(x, all_axes(x.shape())); }
Var sum(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Sum>(x, axes, options.keep);
}

Var mean(const Var& x) { return mean(x, all_axes(x.shape())); }
Var mean(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Mean>(x, axes, options.keep);
}

Var max(const Var& x) { return reduce<detail::Max>(x, all_axes(x.shape()), false, true); }
Var max(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Max>(x, axes, options.keep, false);
}

Var logsumexp(const Var& x) { return logsumexp(x, all_axes(x.shape())); }
Var logsumexp(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::LogSumExp>(x, axes, options.keep);
}

Var variance(const Var& x) { return variance(x, all_axes(x.shape())); }
Var variance(const Var& x, const Axes& axes, VarianceOptions options) {
  return reduce<detail::Variance>(x, axes, options.keep, options.unbiased);
}

}  // namespace xgrad
