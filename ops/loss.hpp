#pragma once

#include <concepts>
#include <vector>

#include <xgrad/core/var.hpp>
#include <xgrad/ops/index.hpp>

/// Losses. Conventions follow PyTorch 1.13, but the classes are the last axis of logits (N,T,C),
/// there the second. Except for cross_entropy, prediction and target have one shape (nothing
/// broadcasts) and one dtype, or the loss throws. Targets take gradients too.
namespace xgrad {

/// The result: the mean of the elements' losses (cross_entropy: of the rows'), their sum, or with
/// `none` themselves.
enum class Reduction { mean, sum, none };

/// The squared error d^2 with d = prediction - target; dprediction = dy 2 d, dtarget = -dy 2 d.
Var mse(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// The absolute error |d| with d = prediction - target; dprediction = dy sign(d), 0 where they are
/// equal, dtarget = -dy sign(d).
Var mae(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// With d = prediction - target: d^2 / 2 for |d| < delta, else delta (|d| - delta / 2);
/// dprediction = dy d, or dy delta sign(d), dtarget = -dprediction. Huber 1964. Throws unless delta
/// is above 0.
Var huber(const Var& prediction, const Var& target, double delta = 1.0,
          Reduction reduction = Reduction::mean);

/// (1 - t) x + log(1 + e^-x) for a logit x and a target t in [0, 1], without overflow: the negative
/// log-likelihood of t under the probability sigmoid(x). dx = dy (sigmoid(x) - t), dt = -dy x. Of
/// an infinite logit it is 0 if the target is that certain, else inf.
Var binary_cross_entropy_with_logits(const Var& logits, const Var& target,
                                     Reduction reduction = Reduction::mean);

struct CrossEntropyOptions {
  Index ignore_index = -100;   ///< rows with this target do not count
  double label_smoothing = 0;  ///< e: the target's weight is 1 - e + e / C, any other class' e / C
  Reduction reduction = Reduction::mean;
  std::vector<double> class_weights = {};  ///< a factor for each class; empty: 1 for all
};

/// The negative log-likelihood of class targets: per row of the logits (..., C) and target of
/// shape (...), -sum_c w_c log_softmax(row)_c with w_c = 1 for the target and 0 elsewhere, or as
/// smoothed (Szegedy et al. 2016). One fused op; drow = dy (softmax(row) - w). The loss of an
/// ignored row is 0 and so is its gradient, whatever it holds (in PyTorch NaN, if it holds NaN);
/// the mean is taken over the others (NaN if there are none). With class weights each w_c is
/// multiplied by its class' weight, and the mean is the sum over the rows divided by the sum of the
/// weights of their targets. A row of only -inf has no probabilities: NaN. Throws if the shapes do
/// not fit, for a target that is neither in [0, C) nor the ignore_index, unless label_smoothing is
/// in [0, 1], and unless there are C class weights or none.
Var cross_entropy(const Var& logits, const Indices& targets, CrossEntropyOptions options = {});

namespace detail {

/// A Var, or what becomes one, that is not an array of integers.
template <class T>
concept Probabilities =
    std::convertible_to<const T&, Var> && !std::convertible_to<const T&, Indices>;

Var soft_cross_entropy(const Var& logits, const Var& probabilities,
                       const CrossEntropyOptions& options);

}  // namespace detail

/// The same for targets that are probabilities p of the logits' shape (soft labels): per row
/// -sum_c w_c log_softmax(row)_c with w_c = (1 - e) p_c + e / C, times the class weight if there
/// are any; dp_c = -dy (1 - e) log_softmax(row)_c, times that weight. The mean is taken over all
/// rows, whatever their weights, as in PyTorch. A class of w_c = 0 adds nothing, even if its logit
/// is -inf. Throws if shapes or dtypes differ, as above for the options, and for an ignore_index
/// that is not negative: a row of zeros does not count in the sum.
template <detail::Probabilities Target>
Var cross_entropy(const Var& logits, const Target& probabilities,
                  const CrossEntropyOptions& options = {}) {
  return detail::soft_cross_entropy(logits, probabilities, options);
}

}  // namespace xgrad
