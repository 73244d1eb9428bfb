#pragma once

#include <xgrad/core/var.hpp>

namespace xgrad {

/// y = e^x / sum(e^x) along the axis, without overflow; dx = y (dy - sum(dy y)). Same shape as x.
/// NaN along an axis of only -inf, where there are no probabilities. Throws if there is no such
/// axis.
Var softmax(const Var& x, Index axis = -1);

/// y = x - log(sum(e^x)) along the axis; dx = dy - e^y sum(dy). Same shape as x. NaN along an axis
/// of only -inf. Throws if there is no such axis.
Var log_softmax(const Var& x, Index axis = -1);

/// h = (x - mean) / sqrt(variance + eps) along the last axis, the variance divided by n;
/// dx = (dh - mean(dh) - h mean(dh h)) / sqrt(variance + eps). Ba et al. 2016. Throws for a scalar.
Var layer_norm(const Var& x, double eps = 1e-5);

/// h weight + bias, one op: the weight of the last axis' extent, the bias too or of x's shape;
/// throws if they are not. dweight = sum(dy h) over all other axes, and dx as above from
/// dh = dy weight.
Var layer_norm(const Var& x, const Var& weight, const Var& bias, double eps = 1e-5);

}  // namespace xgrad
