#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>
#include <xgrad/ops/shape.hpp>

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

template <class Order>
struct Extremum : Reduce {
  static constexpr const char* name = std::is_same_v<Order, Largest> ? "max" : "min";
  static constexpr bool exact = true;
  bool share_nan;

  Tensor value(const Tensor& x) const {
    if (axes.length == 0) {
      throw Error(std::string(name) + ": x is " + to_string(x.shape()) +
                  ": the reduced axes must have at least one element");
    }
    const Tensor y = result(x.dtype());
    dispatch_real(x.dtype(), name, [&]<class T>() { each_row<T>(x, y, row_extremum<Order, T>); });
    return y;
  }
  void pullback(Pullback& p) const {
    const Var& x = p.input(0);
    const Var y = kept(p.output());
    Var chosen = equal(x, y);
    if (share_nan) chosen = where(equal(y, y), chosen, 1.0 - equal(x, x));
    const Var count = apply(Sum{axes, true}, chosen);
    p.add(0, where(chosen, kept(p.gradient()), 0.0) / count);
  }
};

/// 1 where y is zero. No op, since that has no complex form.
Tensor zeros_of(const Tensor& y) {
  const Tensor flags = Tensor::uninitialized(y.shape(), y.dtype());
  dispatch(y.dtype(), [&]<class T>() {
    const T* from = y.data<T>();
    std::transform(from, from + y.size(), flags.mutable_data<T>(),
                   [](T value) { return T(value == T(0) ? 1 : 0); });
  });
  return flags;
}

struct Norm : Reduce {
  static constexpr const char* name = "norm";

  Tensor value(const Tensor& x) const {
    const Tensor y = result(x.dtype());
    dispatch(x.dtype(), [&]<class T>() { each_row<T>(x, y, row_norm<T>); });
    return y;
  }
  // x / y first, which is at most 1: dy / y might overflow.
  void pullback(Pullback& p) const {
    const Var y = kept(p.output());
    const Var zero = zeros_of(y.tensor());
    const Var direction = where(zero, 0.0, p.input(0) / where(zero, 1.0, y));
    p.add(0, kept(p.gradient()) * direction);
  }

  template <class T>
  static Accumulator<T> row_norm(const T* x, Index n) {
    using A = Accumulator<T>;
    const auto square = [](const WideVector<T>& v) { return v * v; };
    const A squares = row_sum(x, n, T(0), square);
    if constexpr (std::is_same_v<T, double>) {
      // Beyond these, squares have overflowed, or underflowed that count.
      if (squares < 0x1p-900 || std::isinf(squares)) return scaled_norm(x, n);
    }
    return std::sqrt(squares);
  }

  /// With the largest element as the unit.
  static double scaled_norm(const double* x, Index n) {
    double unit = 0;
    for (Index i = 0; i < n; ++i) unit = std::max(unit, std::abs(x[i]));
    if (unit == 0 || std::isinf(unit)) return unit;
    double squares = 0;
    for (Index i = 0; i < n; ++i) squares += x[i] / unit * (x[i] / unit);
    return unit * std::sqrt(squares);
  }
};

/// The product along the last axis of a matrix (rows, n), as (rows, 1): the first half times the
/// second, until one is left. Made of products alone, so that no derivative divides.
Var row_products(Var x) {
  for (Index n = x.shape()[1]; n > 1; n = x.shape()[1]) {
    const Index half = n / 2;
    Var pairs = slice(x, 1, 0, half) * slice(x, 1, half, 2 * half);
    x = n % 2 == 0 ? pairs : concat({pairs, slice(x, 1, n - 1, n)}, 1);
  }
  return x.shape()[1] == 1 ? x : Var(sum(x, {1}, {.keep = true}) + 1.0);
}

struct CumulativeSum {
  static constexpr const char* name = "cumsum";
  std::size_t axis;
  bool backwards;  ///< from the end, which is the gradient

  Tensor value(const Tensor& x) const {
    const Tensor source = contiguous(x);
    const Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
    const Index n = x.shape()[axis];
    const Index inner = source.strides()[axis];
    dispatch(x.dtype(), [&]<class T>() {
      PoolVector<Accumulator<T>> sums(static_cast<std::size_t>(inner));
      for (Index first = 0; first < x.size(); first += n * inner) {
        std::fill(sums.begin(), sums.end(), Accumulator<T>(0));
        for (Index i = 0; i < n; ++i) {
          const Index at = first + (backwards ? n - 1 - i : i) * inner;
          const T* from = source.data<T>() + at;
          T* to = y.mutable_data<T>() + at;
          for (Index j = 0; j < inner; ++j) {
            Accumulator<T>& sum = sums.data()[j];
            sum += static_cast<Accumulator<T>>(from[j]);
            to[j] = static_cast<T>(sum);
          }
        }
      }
    });
    return y;
  }
  void pullback(Pullback& p) const {
    p.add(0, apply(CumulativeSum{axis, !backwards}, p.gradient()));
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
    const Var total = apply(Sum{axes, true}, e);
    const Var none = zeros_of(total.tensor());  // over only -inf, which no gradient may reach
    const Var factor = where(none, 0.0, kept(p.gradient()) / where(none, 1.0, total));
    p.add(0, factor * e);
  }
};

/// x - mean(x), with the digits that variance has. It is linear and its own transpose.
struct Centered : Reduce {
  static constexpr const char* name = "centered";

  Tensor value(const Tensor& x) const {
    const Tensor rows = as_rows(x, axes.order);
    const Tensor y = Tensor::uninitialized(rows.shape(), x.dtype());
    const Index n = axes.length;
    dispatch(x.dtype(), [&]<class T>() {
      const T* row = rows.data<T>();
      T* to = y.mutable_data<T>();
      for (Index at = 0; at < y.size(); at += n) {
        const Moments<T> moments(row + at, n);
        const bool finite = moments.shift - moments.shift == Accumulator<T>(0);
        row_map(row + at, to + at, n,
                finite
                    ? Centering<T>(moments)
                    : Centering<T>(static_cast<T>(row_sum(row + at, n) / static_cast<double>(n))));
      }
    });
    return from_rows(y, axes.order, x.shape());
  }
  void pullback(Pullback& p) const { p.add(0, apply(*this, p.gradient())); }
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
    const double slope = 2 / std::max(0.0, divisor());
    p.add(0, kept(p.gradient()) * slope * apply(Centered{axes, true}, p.input(0)));
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

Var max(const Var& x) {
  return reduce<detail::Extremum<detail::Largest>>(x, all_axes(x.shape()), false, true);
}
Var max(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Extremum<detail::Largest>>(x, axes, options.keep, false);
}

Var min(const Var& x) {
  return reduce<detail::Extremum<detail::Smallest>>(x, all_axes(x.shape()), false, true);
}
Var min(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Extremum<detail::Smallest>>(x, axes, options.keep, false);
}

Var prod(const Var& x) { return prod(x, all_axes(x.shape())); }
Var prod(const Var& x, const Axes& axes, ReduceOptions options) {
  const detail::ReducedAxes reduced("prod", x.shape(), axes);
  const Shape rows{element_count(reduced.result), reduced.length};
  const Var product = detail::row_products(reshape(transpose(x, reduced.order), rows));
  return reshape(product, options.keep ? reduced.kept : reduced.result);
}

Var norm(const Var& x) { return norm(x, all_axes(x.shape())); }
Var norm(const Var& x, const Axes& axes, ReduceOptions options) {
  return reduce<detail::Norm>(x, axes, options.keep);
}

Var cumsum(const Var& x, Index axis) {
  return apply(detail::CumulativeSum{normalize_axis("cumsum", axis, x.shape()), false}, x);
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
