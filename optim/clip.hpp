#pragma once

#include <vector>

#include <xgrad/core/var.hpp>

namespace xgrad::optim {

/// Scales the gradients of all parameters, as one vector, by min(1, max_norm / (norm + 1e-6)), and
/// returns the norm before: the root of the sum of all squares, computed in double. Counts what
/// `Optimizer::step` would use: parameters that are trainable and have a gradient, each once.
///
/// As with torch.nn.utils.clip_grad_norm_, a gradient with a NaN makes all gradients NaN, and one
/// with an infinity becomes NaN while the others become 0: the returned norm is then not finite,
/// and the caller should skip the step: `Optimizer::clear_grad` instead of `step`. Throws if
/// max_norm is negative or NaN, for a Var that is not a parameter, and for a complex gradient.
double clip_norm(const std::vector<Var>& parameters, double max_norm);

/// Clips every element of those gradients to [-limit, limit]; a NaN stays. As
/// torch.nn.utils.clip_grad_value_. Throws if limit is negative or NaN, for a Var that is not a
/// parameter, and for a complex gradient.
void clip_value(const std::vector<Var>& parameters, double limit);

}  // namespace xgrad::optim
