#pragma once

#include <xgrad/core/var.hpp>
#include <xgrad/ops/index.hpp>

/// Losses. Conventions follow PyTorch 1.13. Except for cross_entropy, prediction and target have
/// one shape (nothing broadcasts) and one dtype, or the loss throws. Targets take gradients too.
namespace xgrad {

/// What becomes of the losses of the elements (cross_entropy: of the rows): their mean, their sum,
/// or, with `none`, nothing: they are the result.
enum class Reduction { mean, sum, none };

/// The squared error (prediction - target)^2.
Var mse(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// The absolute error |prediction - target|; the derivative where they are equal is 0.
Var mae(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// With d = prediction - target: d^2 / 2 for |d| < delta, else delta (|d| - delta / 2).
/// Huber 1964. Throws unless delta > 0.
Var huber(const Var& prediction, const Var& target, double delta = 1.0,
          Reduction reduction = Reduction::mean);

/// (1 - t) x + log(1 + e^-x) for a logit x and a target t in [0, 1], without overflow: the negative
/// log-likelihood of t under the probability sigmoid(x). dx = dy (sigmoid(x) - t), dt = -dy x.
Var binary_cross_entropy_with_logits(const Var& logits, const Var& target,
                                     Reduction reduction = Reduction::mean);

struct CrossEntropyOptions {
  Index ignore_index = -100;   ///< rows with this target do not count
  double label_smoothing = 0;  ///< e: the target's weight is 1 - e + e / C, any other class' e / C
  Reduction reduction = Reduction::mean;
};

/// The negative log-likelihood of class targets: per row of the logits (..., C) and target of
/// shape (...), -sum_c w_c log_softmax(row)_c with w_c = 1 for the target and 0 elsewhere, or as
/// smoothed (Szegedy et al. 2016). One fused op; drow = dy (softmax(row) - w). The loss of an
/// ignored row is 0; the mean is taken over the others (NaN if there are none).
/// Throws if the shapes do not fit, for a target that is neither in [0, C) nor the ignore_index,
/// and unless label_smoothing is in [0, 1].
Var cross_entropy(const Var& logits, const Indices& targets, CrossEntropyOptions options = {});

}  // namespace xgrad
