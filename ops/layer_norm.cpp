#include <cmath>
#include <utility>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>

namespace xgrad {
namespace detail {
namespace {

/// h = (x - mean) scale, as (x - center) scale - offset: see Centering.
template <class T>
struct Normalization {
  Accumulator<T> scale;
  SimdVector<T> center;
  SimdVector<T> offset;
  SimdVector<T> factor;

  Normalization(const T* x, Index n, double eps) : Normalization(Moments<T>(x, n), n, eps) {}
  Normalization(const Moments<T>& moments, Index n, double eps)
      : scale(1.0 / std::sqrt(moments.squares * (1.0 / static_cast<double>(n)) + eps)),
        center(static_cast<T>(moments.mean)),
        offset(static_cast<T>(moments.beside(static_cast<T>(moments.mean)) * scale)),
        factor(static_cast<T>(scale)) {}
  SimdVector<T> operator()(const SimdVector<T>& x) const { return (x - center) * factor - offset; }
};

/// The derivative along one row: dx = scale (dh - mean(dh) - h mean(dh h)).
template <class T>
struct RowGradient {
  Normalization<T> h;
  SimdVector<T> mean;
  SimdVector<T> slope;

  SimdVector<T> operator()(const SimdVector<T>& dh, const SimdVector<T>& h_of_x) const {
    return h.factor * (dh - mean - h_of_x * slope);
  }
};

/// gradient(j, left) is the vector of dh at j, with zeros behind the end.
template <class T, class F>
RowGradient<T> row_gradient(const T* x, Index n, double eps, F&& gradient) {
  const Distances<T> distances(x, n);
  WideVector<T> sum, sum_of_squares, dh_sum, dh_product;
  each_vector<T>(n, [&](Index j, Index left) {
    const WideVector<T> distance = distances(j, left);
    const WideVector<T> dh(gradient(j, left));
    sum += distance;
    sum_of_squares += distance * distance;
    dh_sum += dh;
    dh_product += dh * distance;
  });
  const Moments<T> moments(distances, sum, sum_of_squares);
  const Normalization<T> h(moments, n, eps);
  const double inverse = 1.0 / static_cast<double>(n);
  const Accumulator<T> mean = dh_sum.sum() * inverse;
  const Accumulator<T> product = dh_product.sum() * inverse - moments.shift * mean;
  return {h, static_cast<T>(mean), static_cast<T>(h.scale * product)};
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
      for (Index at = 0; at < x.size(); at += n) {
        const auto pull = row_gradient(
            from + at, n, eps, [&](Index j, Index left) { return simd_load(dh + at + j, left); });
        each_vector<T>(n, [&](Index j, Index left) {
          const SimdVector<T> h = pull.h(simd_load(from + at + j, left));
          simd_store(to + at + j, left, pull(simd_load(dh + at + j, left), h));
        });
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
      const T* from = x.data<T>();
      T* to = y.mutable_data<T>();
      for (Index at = 0; at < x.size(); at += n) {
        row_map(from + at, to + at, n, Normalization<T>(from + at, n, eps));
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
      const T* from = x.data<T>();
      const T* w = weight.data<T>();
      const T* b = bias.data<T>();
      T* to = y.mutable_data<T>();
      for (Index at = 0; at < x.size(); at += n) {
        const Normalization<T> h(from + at, n, eps);
        const T* b_row = b + (bias_is_row ? 0 : at);
        each_vector<T>(n, [&](Index j, Index left) {
          __builtin_prefetch(b_row + n + j);
          __builtin_prefetch(to + at + n + j, 1);
          simd_store(to + at + j, left,
                     h(simd_load(from + at + j, left)) * simd_load(w + j, left) +
                         simd_load(b_row + j, left));
        });
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
      if (bias_is_row) p.add(2, g);
    } else {
      add_gradients(p);
    }
    if (!bias_is_row) p.pass_on(2);
  }

 private:
  // In one pass over the rows; that of a bias of x's shape is dy itself.
  void add_gradients(Pullback& p) const {
    const Tensor x = contiguous(p.input(0).tensor());
    const Tensor weight = contiguous(p.input(1).tensor());
    const Tensor dy = contiguous(p.gradient().tensor());
    // A row of dx may take the place of dy's.
    const bool in_place = bias_is_row && p.owns_gradient();
    Var by_x = in_place ? dy : Tensor::uninitialized(x.shape(), x.dtype());
    Var by_weight = Tensor::zeros(weight.shape(), x.dtype());
    Var by_bias;
    if (bias_is_row) by_bias = Tensor::zeros(weight.shape(), x.dtype());
    const Index n = x.shape().back();
    dispatch(x.dtype(), [&]<class T>() {
      using V = SimdVector<T>;
      const T* from = x.data<T>();
      const T* w = weight.data<T>();
      const T* g = dy.data<T>();
      T* dx = by_x.tensor().mutable_data<T>();
      T* dw = by_weight.tensor().mutable_data<T>();
      T* db = bias_is_row ? by_bias.tensor().mutable_data<T>() : nullptr;
      for (Index at = 0; at < x.size(); at += n) {
        // Rounded, lest the product be fused into the sums of one pass only.
        const auto dh = [&](const V& g_j, Index j, Index left) {
          return rounded<T>(g_j * simd_load(w + j, left));
        };
        const auto pull = row_gradient(from + at, n, eps, [&](Index j, Index left) {
          __builtin_prefetch(g + at + n + j);
          return dh(simd_load(g + at + j, left), j, left);
        });
        each_vector<T>(n, [&](Index j, Index left) {
          const V g_j = simd_load(g + at + j, left);
          const V h = pull.h(simd_load(from + at + j, left));
          simd_store(dx + at + j, left, pull(dh(g_j, j, left), h));
          simd_store(dw + j, left, simd_load(dw + j, left) + g_j * h);
          if (db) simd_store(db + j, left, simd_load(db + j, left) + g_j);
        });
      }
    });
    if (in_place) {
      p.add_part(0, by_x);
    } else {
      p.add(0, std::move(by_x));
    }
    p.add(1, std::move(by_weight));
    if (bias_is_row) p.add(2, std::move(by_bias));
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
  if (detail::rounding_in_force) [[unlikely]]
    return detail::normalized(x, eps) * weight + bias;
  return apply(detail::LayerNorm{eps, bias_is_row}, x, weight, bias);
}

}  // namespace xgrad
