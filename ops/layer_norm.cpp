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

/// h = (x - center) scale.
template <class T>
struct Normalization {
  SimdVector<T> center;
  SimdVector<T> scale;

  Normalization(const Moments<T>& moments, Index n, double eps)
      : center(static_cast<T>(moments.mean)),
        scale(static_cast<T>(1.0 / std::sqrt(moments.squares / static_cast<double>(n) + eps))) {}
  SimdVector<T> operator()(const SimdVector<T>& x) const { return (x - center) * scale; }
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
    return normalization_.scale * (dh - mean_ - h * slope_);
  }

 private:
  struct Sums {
    WideVector<T> gradient;
    WideVector<T> product;  ///< of gradient and distance
    Accumulator<T> origin;
    Moments<T> moments;

    template <class F>
    Sums(const T* x, Index n, F& dh)
        : origin(n > 0 ? x[0] : T(0)), moments(x, n, [&](Index j, const WideVector<T>& distance) {
            const WideVector<T> wide(dh(j));
            gradient += wide;
            product += wide * distance;
          }) {}
  };

  RowGradient(const Sums& sums, Index n, double eps)
      : normalization_(sums.moments, n, eps), mean_(T(0)), slope_(T(0)) {
    const auto count = static_cast<double>(n);
    const Accumulator<T> scale = 1.0 / std::sqrt(sums.moments.squares / count + eps);
    const Accumulator<T> mean = sums.gradient.sum() / count;
    const Accumulator<T> shift = sums.moments.mean - sums.origin;
    mean_ = SimdVector<T>(static_cast<T>(mean));
    slope_ = SimdVector<T>(static_cast<T>(scale * (sums.product.sum() / count - shift * mean)));
  }

  Normalization<T> normalization_;
  SimdVector<T> mean_;
  SimdVector<T> slope_;
};

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
      for (Index at = 0; at < x.size(); at += n) {
        const T* row = x.data<T>() + at;
        const T* dh = g.data<T>() + at;
        T* to = dx.mutable_data<T>() + at;
        const RowGradient<T> pull(row, n, eps, [&](Index j) { return simd_load(dh + j, n - j); });
        for (Index j = 0; j < n; j += simd_width<T>) {
          const SimdVector<T> h = pull.h(simd_load(row + j, n - j));
          simd_store(to + j, n - j, pull(simd_load(dh + j, n - j), h));
        }
      }
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
      for (Index at = 0; at < x.size(); at += n) {
        const T* row = x.data<T>() + at;
        row_map(row, y.mutable_data<T>() + at, n, Normalization<T>(Moments<T>(row, n), n, eps));
      }
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
      const T* w = weight.data<T>();
      for (Index at = 0; at < x.size(); at += n) {
        const T* row = x.data<T>() + at;
        const T* b = bias.data<T>() + (bias_is_row ? 0 : at);
        T* to = y.mutable_data<T>() + at;
        const Normalization<T> h(Moments<T>(row, n), n, eps);
        for (Index j = 0; j < n; j += simd_width<T>) {
          const Index left = n - j;
          simd_store(to + j, left,
                     h(simd_load(row + j, left)) * simd_load(w + j, left) + simd_load(b + j, left));
        }
      }
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
      const T* w = weight.data<T>();
      T* dw = by_weight.mutable_data<T>();
      for (Index at = 0; at < x.size(); at += n) {
        const T* row = x.data<T>() + at;
        const T* g = dy.data<T>() + at;
        T* dx = by_x.mutable_data<T>() + at;
        // dh passes through memory, lest its product be fused into the sums of one pass only.
        const RowGradient<T> pull(row, n, eps, [&](Index j) {
          const V dh = simd_load(g + j, n - j) * simd_load(w + j, n - j);
          simd_store(dx + j, n - j, dh);
          return dh;
        });
        for (Index j = 0; j < n; j += simd_width<T>) {
          const Index left = n - j;
          const V h = pull.h(simd_load(row + j, left));
          simd_store(dx + j, left, pull(simd_load(dx + j, left), h));
          simd_store(dw + j, left, simd_load(dw + j, left) + simd_load(g + j, left) * h);
        }
      }
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
