#include <algorithm>
#include <cmath>
#include <optional>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>

namespace xgrad {
namespace detail {
namespace {

/// h = (x - center) scale.
template <class T>
struct Normalization {
  Accumulator<T> scale;
  SimdVector<T> center;
  SimdVector<T> factor;

  Normalization(const T* x, Index n, double eps) : Normalization(Moments<T>(x, n), n, eps) {}
  Normalization(const Moments<T>& moments, Index n, double eps)
      : scale(1.0 / std::sqrt(moments.squares * (1.0 / static_cast<double>(n)) + eps)),
        center(static_cast<T>(moments.mean)),
        factor(static_cast<T>(scale)) {}
  SimdVector<T> operator()(const SimdVector<T>& x) const { return (x - center) * factor; }
};

/// The derivative along one row: dx = scale (dh - mean(dh) - h mean(dh h)).
template <class T>
class RowGradient {
 public:
  /// gradient(j) is the vector of dh at j, with zeros behind the end.
  template <class F>
  RowGradient(const T* x, Index n, double eps, F&& gradient)
      : RowGradient(Sums(x, n, gradient), n, eps) {}

  SimdVector<T> h(const SimdVector<T>& x) const { return normalization_(x); }
  SimdVector<T> operator()(const SimdVector<T>& dh, const SimdVector<T>& h) const {
    return normalization_.factor * (dh - mean_ - h * slope_);
  }

 private:
  struct Sums {
    WideVector<T> gradient;
    WideVector<T> product;  ///< of gradient and distance
    Moments<T> moments;

    template <class F>
    Sums(const T* x, Index n, F& dh)
        : moments(x, n, [&](Index j, const WideVector<T>& distance) {
            const WideVector<T> wide(dh(j));
            gradient += wide;
            product += wide * distance;
          }) {}
  };

  RowGradient(const Sums& sums, Index n, double eps)
      : normalization_(sums.moments, n, eps), mean_(T(0)), slope_(T(0)) {
    const double inverse = 1.0 / static_cast<double>(n);
    const Accumulator<T> mean = sums.gradient.sum() * inverse;
    const Accumulator<T> product = sums.product.sum() * inverse - sums.moments.shift * mean;
    mean_ = SimdVector<T>(static_cast<T>(mean));
    slope_ = SimdVector<T>(static_cast<T>(normalization_.scale * product));
  }

  Normalization<T> normalization_;
  SimdVector<T> mean_;
  SimdVector<T> slope_;
};

/// use(row, sums(row)) for the first elements of rows of length n, in groups: so the sums of one
/// row do not wait for those of another, and the group stays in cache.
template <class Sums, class Use>
void each_row(Index size, Index n, Sums&& sums, Use&& use) {
  constexpr Index most_rows = 8;
  constexpr Index most_elements = 4096;
  const Index step = std::clamp<Index>(most_elements / std::max<Index>(n, 1), 1, most_rows) * n;
  std::optional<decltype(sums(size))> made[most_rows];
  for (Index begin = 0; begin < size; begin += step) {
    const Index end = std::min(size, begin + step);
    for (Index at = begin, i = 0; at < end; at += n) made[i++].emplace(sums(at));
    for (Index at = begin, i = 0; at < end; at += n) use(at, *made[i++]);
  }
}

Var average(const Var& x) { return mean(x, {-1}, {.keep = true}); }
Var inverse_deviation(const Var& x, double eps) {
  return 1.0 / sqrt(variance(x, {-1}, {.unbiased = false, .keep = true}) + eps);
}

Var normalized(const Var& x, double eps);

// An op of its own, so that it too is one pass over the rows; its pullback is in simple ones.
struct NormalizeGradient {
  static constexpr const char* name = "layer_norm_gradient";
  double eps;

  Tensor value(const Tensor& inputs, const Tensor& gradients) const {
    const Tensor x = contiguous(inputs);
    const Tensor g = contiguous(gradients);
    const Tensor dx = Tensor::uninitialized(x.shape(), x.dtype());
    const Index n = x.shape().back();
    dispatch(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      const T* dh = g.data<T>();
      T* to = dx.mutable_data<T>();
      each_row(
          x.size(), n,
          [&](Index at) {
            return RowGradient<T>(from + at, n, eps, [&](Index j) {
              __builtin_prefetch(dh + at + n + j);
              return simd_load(dh + at + j, n - j);
            });
          },
          [&](Index at, const RowGradient<T>& pull) {
            for (Index j = 0; j < n; j += simd_width<T>) {
              const SimdVector<T> h = pull.h(simd_load(from + at + j, n - j));
              simd_store(to + at + j, n - j, pull(simd_load(dh + at + j, n - j), h));
            }
          });
    });
    return dx;
  }
  /// Of the terms that `value` adds up: they may cancel.
  Tensor magnitude(std::span<const Var> inputs) const {
    const Var x = inputs[0].tensor();
    const Var g = inputs[1].tensor();
    const Var h = normalized(x, eps);
    const Var terms =
        inverse_deviation(x, eps) * (abs(g) + abs(average(g)) + abs(h * average(g * h)));
    return terms.tensor();
  }
  void pullback(Pullback& p) const {
    const Var& x = p.input(0);
    const Var& g = p.input(1);
    const Var& upper = p.gradient();
    if (p.wants(0)) {
      // With h and s = 1 / sqrt(variance + eps) the value is s (g - mean(g) - h mean(g h)).
      const Var h = normalized(x, eps);
      const Var s = inverse_deviation(x, eps);
      const Var c = average(g * h);
      const Var by_s = average(upper * (g - average(g) - h * c));
      const Var by_h = -s * (upper * c + g * average(upper * h));
      p.add(0, Var(apply(*this, x, by_h) - s * s * h * by_s));
    }
    p.add(1, apply(*this, x, upper));
  }
};

struct Normalize {
  static constexpr const char* name = "layer_norm";
  double eps;

  Tensor value(const Tensor& inputs) const {
    const Tensor x = contiguous(inputs);
    const Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
    const Index n = x.shape().back();
    dispatch(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      T* to = y.mutable_data<T>();
      each_row(
          x.size(), n, [&](Index at) { return Normalization<T>(from + at, n, eps); },
          [&](Index at, const Normalization<T>& h) { row_map(from + at, to + at, n, h); });
    });
    return y;
  }
  void pullback(Pullback& p) const {
    p.add(0, apply(NormalizeGradient{eps}, p.input(0), p.gradient()));
  }
};

Var normalized(const Var& x, double eps) { return apply(Normalize{eps}, x); }

/// y = h weight + bias in one pass, and its derivative too unless that is recorded.
struct LayerNorm {
  static constexpr const char* name = "layer_norm";
  double eps;
  bool bias_is_row;  ///< else it has x's shape

  std::uint32_t addends() const { return bias_is_row ? 0 : 0b100; }
  Tensor value(const Tensor& inputs, const Tensor& weights, const Tensor& biases) const {
    const Tensor x = contiguous(inputs);
    const Tensor weight = contiguous(weights);
    const Tensor bias = contiguous(biases);
    const Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
    const Index n = x.shape().back();
    dispatch(x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      const T* w = weight.data<T>();
      const T* b = bias.data<T>();
      T* to = y.mutable_data<T>();
      each_row(
          x.size(), n, [&](Index at) { return Normalization<T>(from + at, n, eps); },
          [&](Index at, const Normalization<T>& h) {
            const T* b_row = b + (bias_is_row ? 0 : at);
            for (Index j = 0; j < n; j += simd_width<T>) {
              const Index left = n - j;
              __builtin_prefetch(b_row + n + j);
              __builtin_prefetch(to + at + n + j, 1);
              simd_store(to + at + j, left,
                         h(simd_load(from + at + j, left)) * simd_load(w + j, left) +
                             simd_load(b_row + j, left));
            }
          });
    });
    return y;
  }

  void pullback(Pullback& p) const {
    const Var& x = p.input(0);
    const Var& weight = p.input(1);
    const Var& g = p.gradient();
    if (is_recording()) {
      if (p.wants(0)) p.add(0, apply(NormalizeGradient{eps}, x, Var(g * weight)));
      if (p.wants(1)) p.add(1, g * normalized(x, eps));
    } else {
      auto [dx, dweight] = gradients(x.tensor(), weight.tensor(), g.tensor());
      p.add(0, std::move(dx));
      p.add(1, std::move(dweight));
    }
    if (bias_is_row) {
      p.add(2, g);
    } else {
      p.pass_on(2);
    }
  }

 private:
  std::pair<Var, Var> gradients(const Tensor& inputs, const Tensor& weights,
                                const Tensor& gradient) const {
    const Tensor x = contiguous(inputs);
    const Tensor weight = contiguous(weights);
    const Tensor dy = contiguous(gradient);
    const Tensor by_x = Tensor::uninitialized(x.shape(), x.dtype());
    const Tensor by_weight = Tensor::zeros(weight.shape(), x.dtype());
    const Index n = x.shape().back();
    dispatch(x.dtype(), [&]<class T>() {
      using V = SimdVector<T>;
      const T* from = x.data<T>();
      const T* w = weight.data<T>();
      const T* g = dy.data<T>();
      T* dx = by_x.mutable_data<T>();
      T* dw = by_weight.mutable_data<T>();
      each_row(
          x.size(), n,
          // dh passes through memory, lest its product be fused into the sums of one pass only.
          [&](Index at) {
            return RowGradient<T>(from + at, n, eps, [&](Index j) {
              __builtin_prefetch(g + at + n + j);
              const V dh = simd_load(g + at + j, n - j) * simd_load(w + j, n - j);
              simd_store(dx + at + j, n - j, dh);
              return dh;
            });
          },
          [&](Index at, const RowGradient<T>& pull) {
            for (Index j = 0; j < n; j += simd_width<T>) {
              const Index left = n - j;
              const V h = pull.h(simd_load(from + at + j, left));
              simd_store(dx + at + j, left, pull(simd_load(dx + at + j, left), h));
              simd_store(dw + j, left, simd_load(dw + j, left) + simd_load(g + at + j, left) * h);
            }
          });
    });
    return {by_x, by_weight};
  }
};

void check_extent(const Var& x, const Var& parameter, const char* which, const char* or_else = "") {
  if (parameter.shape() == Shape{x.shape().back()}) return;
  throw Error("layer_norm: x is " + to_string(x.shape()) + ", " + which + " is " +
              to_string(parameter.shape()) + ": it must have the extent of x's last axis" +
              or_else);
}

void check_not_scalar(const Var& x) {
  if (x.dim() == 0) throw Error("layer_norm: x is (): there is no axis -1");
}

}  // namespace
}  // namespace detail

Var layer_norm(const Var& x, double eps) {
  detail::check_not_scalar(x);
  return detail::normalized(x, eps);
}

Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps) {
  const Var inputs[] = {x, weight, bias};
  detail::check_dtypes("layer_norm", inputs);
  detail::check_not_scalar(x);
  detail::check_extent(x, weight, "weight");
  const bool bias_is_row = !(bias.shape() == x.shape());
  if (bias_is_row) detail::check_extent(x, bias, "bias", " or x's shape");
  if (detail::rounding_model) [[unlikely]]
    return detail::normalized(x, eps) * weight + bias;
  return apply(detail::LayerNorm{eps, bias_is_row}, x, weight, bias);
}

}  // namespace xgrad
