#include <cmath>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>

namespace xgrad {
namespace detail {
namespace {

/// An op along one axis, from arrays to an array of one shape: row by row.
struct Along {
  ReducedAxes axes;
  Index axis;

  Along(const char* op, const Shape& shape, Index along) : axes(op, shape, {along}), axis(along) {}

  /// f(first input's row, ..., result's row, length)
  template <class F, class... Inputs>
  Tensor each_row(F&& f, const Tensor& x, const Inputs&... xs) const {
    return dispatch(x.dtype(), [&]<class T>() {
      const std::array<Tensor, 1 + sizeof...(xs)> inputs{as_rows(x, axes.order),
                                                         as_rows(xs, axes.order)...};
      const Tensor y = Tensor::uninitialized(inputs[0].shape(), x.dtype());
      const Index size = y.size();
      for (Index at = 0; at < size; at += axes.length) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
          f(inputs[I].template data<T>() + at..., y.mutable_data<T>() + at, axes.length);
        }
        (std::make_index_sequence<1 + sizeof...(xs)>());
      }
      return from_rows(y, axes.order, x.shape());
    });
  }

  Var total(const Var& x) const { return sum(x, {axis}, {.keep = true}); }
};

// The derivative of each op is an op again, so that it too is one pass over the rows; its own
// pullback is written in simple ones.

struct SoftmaxGradient : Along {
  static constexpr const char* name = "softmax_gradient";
  Tensor value(const Tensor& y, const Tensor& g) const {
    return each_row(
        []<class T>(const T* yr, const T* gr, T* to, Index n) {
          const auto dot = vector_sum<T>(n, [&](Index j, Index left) {
            return simd_load(yr + j, left) * simd_load(gr + j, left);
          });
          const SimdVector<T> s(static_cast<T>(dot));
          for (Index j = 0; j < n; j += simd_width<T>) {
            const SimdVector<T> gj = simd_load(gr + j, n - j);
            simd_store(to + j, n - j, simd_load(yr + j, n - j) * (gj - s));
          }
        },
        y, g);
  }
  void pullback(Pullback& p) const {
    const Var& y = p.input(0);
    const Var& g = p.input(1);
    const Var& upper = p.gradient();
    const Var upper_dot = total(y * upper);
    if (p.wants(0)) p.add(0, upper * (g - total(y * g)) - g * upper_dot);
    p.add(1, y * (upper - upper_dot));
  }
};

struct Softmax : Along {
  static constexpr const char* name = "softmax";
  Tensor value(const Tensor& x) const {
    return each_row(
        []<class T>(const T* row, T* to, Index n) {
          using V = SimdVector<T>;
          const V shift(row_max(row, n));
          const auto sum = vector_sum<T>(n, [&](Index j, Index left) {
            const V e = exp(simd_load(row + j, left) - shift);
            simd_store(to + j, left, e);
            return e;
          });
          const V factor(static_cast<T>(1.0 / sum));
          row_map(to, to, n, [&](const V& e) { return e * factor; });
        },
        x);
  }
  void pullback(Pullback& p) const {
    p.add(0, apply(SoftmaxGradient{*this}, p.output(), p.gradient()));
  }
};

struct LogSoftmaxGradient : Along {
  static constexpr const char* name = "log_softmax_gradient";
  Tensor value(const Tensor& y, const Tensor& g) const {
    return each_row(
        []<class T>(const T* yr, const T* gr, T* to, Index n) {
          const SimdVector<T> s(static_cast<T>(row_sum(gr, n)));
          for (Index j = 0; j < n; j += simd_width<T>) {
            const SimdVector<T> gj = simd_load(gr + j, n - j);
            simd_store(to + j, n - j, gj - exp(simd_load(yr + j, n - j)) * s);
          }
        },
        y, g);
  }
  void pullback(Pullback& p) const {
    const Var probability = exp(p.input(0));
    const Var weighted = probability * p.gradient();
    if (p.wants(0)) p.add(0, -weighted * total(p.input(1)));
    p.add(1, p.gradient() - total(weighted));
  }
};

struct LogSoftmax : Along {
  static constexpr const char* name = "log_softmax";
  Tensor value(const Tensor& x) const {
    return each_row(
        []<class T>(const T* row, T* to, Index n) {
          using V = SimdVector<T>;
          const T shift = row_max(row, n);
          const V log_sum(static_cast<T>(std::log(row_exp_sum(row, n, shift))));
          row_map(row, to, n, [&](const V& v) { return v - V(shift) - log_sum; });
        },
        x);
  }
  /// The logarithm is off by a rounding of the sum, which is between 1 and n; beside it the result
  /// may be small.
  Tensor magnitude(std::span<const Var> inputs) const {
    return Tensor::full(inputs[0].shape(), 1, inputs[0].dtype());
  }
  void pullback(Pullback& p) const {
    p.add(0, apply(LogSoftmaxGradient{*this}, p.output(), p.gradient()));
  }
};

}  // namespace
}  // namespace detail

Var softmax(const Var& x, Index axis) {
  return apply(detail::Softmax{{detail::Softmax::name, x.shape(), axis}}, x);
}

Var log_softmax(const Var& x, Index axis) {
  return apply(detail::LogSoftmax{{detail::LogSoftmax::name, x.shape(), axis}}, x);
}

}  // namespace xgrad
