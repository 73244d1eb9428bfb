#include <algorithm>
#include <cmath>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/rows.hpp>

namespace xgrad {
namespace detail {
namespace {

struct Huber {
  static constexpr const char* name = "huber";
  static constexpr bool analytic = false;
  static auto value(auto d, auto delta) {
    return where(abs(d) < delta, 0.5 * d * d, delta * (abs(d) - 0.5 * delta));
  }
  static auto pullback(auto g, auto, auto d, auto delta) {
    const auto outside = where(d > 0.0, g * delta, where(d < 0.0, -g * delta, g * d));
    return std::tuple(where(abs(d) < delta, g * d, outside), NoGradient());
  }
};

/// share * x, but 0 where the share is: also of an infinite x.
template <class T, class A>
auto share_of(const xsimd::batch<T, A>& share, const xsimd::batch<T, A>& x) {
  return where(share == xsimd::batch<T, A>(T(0)), xsimd::batch<T, A>(T(0)), share * x);
}
std::complex<double> share_of(std::complex<double> share, std::complex<double> x) {
  return share == 0.0 ? 0.0 : share * x;
}

struct BinaryCrossEntropy {
  static constexpr const char* name = "binary_cross_entropy_with_logits";
  static constexpr bool transcendental = true;
  // In terms of e^-|x|, and of 1 - t where x > 0: nothing cancels.
  static auto value(auto x, auto t) {
    const auto negative = is_negative(x);
    return share_of(where(negative, -t, 1.0 - t), x) +
           log1p(elementary::exp(where(negative, x, -x)));
  }
  static auto pullback(auto g, auto, auto x, auto t) {
    const auto negative = is_negative(x);
    const auto s = sigmoid(where(negative, x, -x));
    return std::tuple(g * where(negative, s - t, (1.0 - t) - s), -g * x);
  }
};

/// The sum of all squared errors over a divisor, in one pass each way.
struct SquaredError {
  static constexpr const char* name = "mse";
  double divisor;

  Tensor value(const Tensor& predictions, const Tensor& targets) const {
    const Tensor prediction = contiguous(predictions);
    const Tensor target = contiguous(targets);
    const Tensor y = Tensor::uninitialized({}, prediction.dtype());
    dispatch(y.dtype(), [&]<class T>() {
      const T* a = prediction.data<T>();
      const T* b = target.data<T>();
      const Accumulator<T> sum = sum_of_parts(prediction.size(), [=](Index first, Index last) {
        WideVector<T> part;
        for (Index j = first; j < last; j += simd_width<T>) {
          const WideVector<T> error(simd_load(a + j, last - j) - simd_load(b + j, last - j));
          part += error * error;
        }
        return part.sum();
      });
      *y.mutable_data<T>() = static_cast<T>(sum / divisor);
    });
    return y;
  }
  void pullback(Pullback& p) const {
    const Var slope = p.gradient() * (2 / divisor);
    if (p.wants(0)) p.add(0, slope * (p.input(0) - p.input(1)));
    if (p.wants(1)) p.add(1, slope * (p.input(1) - p.input(0)));
  }
};

void check_operands(const char* op, const char* first, const Var& a, const Var& target) {
  const Var operands[] = {a, target};
  check_dtypes(op, operands);
  if (!(a.shape() == target.shape())) {
    throw Error(std::string(op) + ": " + first + " is " + to_string(a.shape()) + ", target is " +
                to_string(target.shape()) + ": they must have one shape");
  }
}

Var reduced(const Var& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses);
    case Reduction::sum:
      return sum(losses);
    case Reduction::none:
      break;
  }
  return losses;
}

/// What the forward pass of cross_entropy leaves for the backward pass.
struct ClassTargets {
  Indices classes;
  CrossEntropyOptions options;
  Tensor shift;    ///< per row: its maximum
  Tensor inverse;  ///< per row: 1 / sum(e^(x - maximum))
  double divisor;  ///< of the sum over the rows

  bool ignored(Index row) const { return target(row) == options.ignore_index; }
  Index target(Index row) const {
    return static_cast<Index>(classes.values()[static_cast<std::size_t>(row)]);
  }
  double off_weight(Index n) const { return options.label_smoothing / static_cast<double>(n); }
  double target_weight() const { return 1 - options.label_smoothing; }

  /// 1 / divisor for each row, 0 for ignored ones: whose numbers no product may touch.
  Tensor row_weights(DType dtype) const {
    Tensor weights = Tensor::uninitialized(classes.shape(), dtype);
    dispatch(dtype, [&]<class T>() {
      for (Index row = 0; row < weights.size(); ++row) {
        weights.mutable_data<T>()[row] = ignored(row) ? T(0) : static_cast<T>(1 / divisor);
      }
    });
    return weights;
  }

  /// The weights of the classes, a row for each row of logits; zeros in ignored ones.
  Tensor class_weights(const Shape& logits, DType dtype) const {
    Tensor weights = Tensor::zeros(logits, dtype);
    const Index n = logits.back();
    dispatch(dtype, [&]<class T>() {
      T* to = weights.mutable_data<T>();
      for (Index row = 0; row < classes.size(); ++row, to += n) {
        if (ignored(row)) continue;
        std::fill_n(to, n, static_cast<T>(off_weight(n)));
        to[target(row)] += static_cast<T>(target_weight());
      }
    });
    return weights;
  }
};

/// dx = g w (softmax(x) - class weights), w being the rows' weights. Inputs: x, g.
struct CrossEntropyGradient {
  static constexpr const char* name = "cross_entropy_gradient";
  ClassTargets targets;

  Tensor value(const Tensor& logits, const Tensor& gradient) const {
    const Tensor x = contiguous(logits);
    const Tensor g = contiguous(gradient);
    const Index n = x.shape().back();
    const bool per_row = targets.options.reduction == Reduction::none;
    Tensor dx = Tensor::uninitialized(x.shape(), x.dtype());
    dispatch(x.dtype(), [&]<class T>() {
      using V = SimdVector<T>;
      const Index rows = targets.classes.size();
      for (Index row = 0; row < rows; ++row) {
        T* to = dx.mutable_data<T>() + row * n;
        if (targets.ignored(row)) {  // whatever it holds
          std::fill_n(to, n, T(0));
          continue;
        }
        const T scale = g.data<T>()[per_row ? row : 0] / static_cast<T>(targets.divisor);
        const V shift(targets.shift.data<T>()[row]);
        const V factor(scale * targets.inverse.data<T>()[row]);
        const V off(scale * static_cast<T>(targets.off_weight(n)));
        row_map(x.data<T>() + row * n, to, n,
                [&](const V& v) { return factor * exp(v - shift) - off; });
        to[targets.target(row)] -= scale * static_cast<T>(targets.target_weight());
      }
    });
    return dx;
  }

  void pullback(Pullback& p) const {
    const Shape& rows = targets.classes.shape();
    Shape column = rows;
    column.push_back(1);
    const auto as_column = [&](const Var& v) {
      return v.shape() == rows ? view_at(v, {0, column, contiguous_strides(column)}) : v;
    };
    const Var weights = as_column(targets.row_weights(p.input(0).dtype()));
    const Var x = where(weights, p.input(0), 0.0);
    const Var upper = where(weights, p.gradient(), 0.0);
    const Var probability = softmax(x);
    const Var expected = sum(probability * upper, {-1}, {.keep = true});
    if (p.wants(0)) {
      const Var slope = where(weights, weights * as_column(p.input(1)), 0.0);
      p.add(0, slope * probability * (upper - expected));
    }
    if (p.wants(1)) {
      const Var picked =
          sum(upper * Var(targets.class_weights(x.shape(), x.dtype())), {-1}, {.keep = true});
      const Var by_row = weights * (expected - picked);
      const Shape& shape = p.input(1).shape();
      p.add(1, shape == rows ? view_at(by_row, {0, rows, contiguous_strides(rows)}) : sum(by_row));
    }
  }
};

struct CrossEntropy {
  static constexpr const char* name = "cross_entropy";
  ClassTargets targets;

  // Not const: keeps what the backward pass needs.
  Tensor value(const Tensor& logits) {
    const Tensor x = contiguous(logits);
    const Index rows = targets.classes.size();
    const Index n = x.shape().back();
    const Reduction reduction = targets.options.reduction;
    const double smoothing = targets.options.label_smoothing;
    targets.shift = Tensor::uninitialized({rows}, x.dtype());
    targets.inverse = Tensor::uninitialized({rows}, x.dtype());
    return dispatch(x.dtype(), [&]<class T>() {
      using A = Accumulator<T>;
      T* shift = targets.shift.mutable_data<T>();
      T* inverse = targets.inverse.mutable_data<T>();
      PoolVector<A> losses(static_cast<std::size_t>(rows));
      Index counted = 0;
      for (Index row = 0; row < rows; ++row) {
        if (targets.ignored(row)) continue;
        ++counted;
        const T* from = x.data<T>() + row * n;
        shift[row] = row_max(from, n);
        const A exp_sum = row_exp_sum(from, n, shift[row]);
        inverse[row] = static_cast<T>(1.0 / exp_sum);
        // In terms of x - shift, so that nothing cancels between large logits.
        const A offset(shift[row]);
        A loss =
            std::log(exp_sum) - targets.target_weight() * (A(from[targets.target(row)]) - offset);
        if (smoothing > 0) {
          const WideVector<T> wide_offset{SimdVector<T>(shift[row])};
          loss -= targets.off_weight(n) * row_sum(from, n, shift[row], [&](const WideVector<T>& v) {
                    return v - wide_offset;
                  });
        }
        losses[static_cast<std::size_t>(row)] = loss;
      }
      if (reduction == Reduction::none) {
        Tensor y = Tensor::uninitialized(targets.classes.shape(), x.dtype());
        std::transform(losses.begin(), losses.end(), y.mutable_data<T>(),
                       [](A loss) { return static_cast<T>(loss); });
        return y;
      }
      targets.divisor = reduction == Reduction::mean ? static_cast<double>(counted) : 1;
      Tensor y = Tensor::uninitialized({}, x.dtype());
      *y.mutable_data<T>() = static_cast<T>(row_sum(losses.data(), rows) / targets.divisor);
      return y;
    });
  }
  /// As for log_softmax; of a sum over rows the errors add up.
  Tensor magnitude(std::span<const Var> inputs) const {
    const Reduction reduction = targets.options.reduction;
    const Shape& rows = targets.classes.shape();
    const double errors =
        reduction == Reduction::sum ? static_cast<double>(element_count(rows)) : 1;
    return Tensor::full(reduction == Reduction::none ? rows : Shape{}, errors, inputs[0].dtype());
  }
  void pullback(Pullback& p) const {
    p.add(0, apply(CrossEntropyGradient{targets}, p.input(0), p.gradient()));
  }
};

void check_options(const Var& logits, const CrossEntropyOptions& options) {
  const Shape& x = logits.shape();
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    throw Error("cross_entropy: label_smoothing is " + std::to_string(options.label_smoothing) +
                ": it must be in [0, 1]");
  }
  const std::size_t weights = options.class_weights.size();
  if (weights != 0 && static_cast<Index>(weights) != x.back()) {
    throw Error("cross_entropy: logits is " + to_string(x) + ", there are " +
                std::to_string(weights) + " class_weights: there must be " +
                std::to_string(x.back()) + ", or none");
  }
}

void check_cross_entropy(const Var& logits, const Indices& targets,
                         const CrossEntropyOptions& options) {
  const Shape& x = logits.shape();
  const Shape& t = targets.shape();
  if (x.empty() || !(Shape(x.begin(), x.end() - 1) == t)) {
    throw Error("cross_entropy: logits is " + to_string(x) + ", targets is " + to_string(t) +
                ": targets must have the shape of logits without its last axis");
  }
  check_options(logits, options);
  for (const std::int64_t target : targets.values()) {
    if ((target < 0 || target >= x.back()) && target != options.ignore_index) {
      throw Error("cross_entropy: logits is " + to_string(x) + ", a target is " +
                  std::to_string(target) + ": it must be in [0, " + std::to_string(x.back()) +
                  ") or the ignore_index " + std::to_string(options.ignore_index));
    }
  }
}

/// -sum_c w_c log_softmax(x)_c for each row. What has the weight 0 adds nothing, though it be inf.
Var weighted_entropy(const Var& x, const Var& weights) {
  Var log_probability = log_softmax(x);
  const Tensor absent = Tensor::zeros(x.shape(), x.dtype());
  const bool some = dispatch(x.dtype(), [&]<class T>() {
    const Tensor row_major = contiguous(weights.tensor());
    const T* w = row_major.data<T>();
    const T* log_p = log_probability.tensor().data<T>();
    bool found = false;
    for (Index i = 0; i < x.size(); ++i) {
      if (w[i] != T(0) || !std::isinf(std::real(log_p[i]))) continue;
      absent.mutable_data<T>()[i] = T(1);
      found = true;
    }
    return found;
  });
  if (some) log_probability = where(Var(absent), 0.0, log_probability);
  return sum(-weights * log_probability, {-1});
}

/// The class weights in the logits' dtype.
Tensor weights_of(const CrossEntropyOptions& options, DType dtype) {
  const std::vector<double>& weights = options.class_weights;
  return Tensor({static_cast<Index>(weights.size())}, weights).to(dtype);
}

/// Class numbers with class weights: a matrix of weights, with zeros in the ignored rows.
Var weighted_cross_entropy(const Var& logits, const Indices& classes,
                           const CrossEntropyOptions& options) {
  const ClassTargets targets{classes, options, {}, {}, 1};
  const Var weights = Var(targets.class_weights(logits.shape(), logits.dtype())) *
                      Var(weights_of(options, logits.dtype()));
  Shape column = classes.shape();
  column.push_back(1);
  std::vector<double> counted;
  double divisor = 0;
  for (Index row = 0; row < classes.size(); ++row) {
    counted.push_back(targets.ignored(row) ? 0 : 1);
    if (targets.ignored(row)) continue;
    divisor += options.class_weights[static_cast<std::size_t>(targets.target(row))];
  }
  const Var counts = Tensor(column, counted).to(logits.dtype());
  const Var losses = weighted_entropy(where(counts, logits, 0.0), weights);
  if (options.reduction == Reduction::mean) return sum(losses) / divisor;
  return reduced(losses, options.reduction);
}

}  // namespace

Var soft_cross_entropy(const Var& logits, const Var& probabilities,
                       const CrossEntropyOptions& options) {
  check_operands("cross_entropy", "logits", logits, probabilities);
  if (logits.dim() == 0) {
    throw Error("cross_entropy: logits is (): they must have an axis of classes");
  }
  check_options(logits, options);
  if (options.ignore_index >= 0) {
    throw Error("cross_entropy: ignore_index is " + std::to_string(options.ignore_index) +
                ": it is for targets that are class numbers, not probabilities");
  }
  Var weights = probabilities;
  if (options.label_smoothing > 0) {
    const double others = options.label_smoothing / static_cast<double>(logits.shape().back());
    weights = weights * (1 - options.label_smoothing) + others;
  }
  if (!options.class_weights.empty()) {
    weights = weights * Var(weights_of(options, logits.dtype()));
  }
  return reduced(weighted_entropy(logits, weights), options.reduction);
}

}  // namespace detail

Var mse(const Var& prediction, const Var& target, Reduction reduction) {
  detail::check_operands("mse", "prediction", prediction, target);
  if (reduction == Reduction::none || detail::rounding_in_force) {
    return detail::reduced(square(prediction - target), reduction);
  }
  const double divisor = reduction == Reduction::mean ? static_cast<double>(prediction.size()) : 1;
  return apply(detail::SquaredError{divisor}, prediction, target);
}

Var mae(const Var& prediction, const Var& target, Reduction reduction) {
  detail::check_operands("mae", "prediction", prediction, target);
  return detail::reduced(abs(prediction - target), reduction);
}

Var huber(const Var& prediction, const Var& target, double delta, Reduction reduction) {
  detail::check_operands("huber", "prediction", prediction, target);
  if (!(delta > 0)) {
    throw Error("huber: delta is " + std::to_string(delta) + ": it must be above 0");
  }
  return detail::reduced(pointwise<detail::Huber>(prediction - target, delta), reduction);
}

Var binary_cross_entropy_with_logits(const Var& logits, const Var& target, Reduction reduction) {
  detail::check_operands("binary_cross_entropy_with_logits", "logits", logits, target);
  return detail::reduced(pointwise<detail::BinaryCrossEntropy>(logits, target), reduction);
}

Var cross_entropy(const Var& logits, const Indices& targets, CrossEntropyOptions options) {
  detail::check_cross_entropy(logits, targets, options);
  if (!options.class_weights.empty()) {
    return detail::weighted_cross_entropy(logits, targets, options);
  }
  return apply(detail::CrossEntropy{{targets, options, {}, {}, 1}}, logits);
}

}  // namespace xgrad
