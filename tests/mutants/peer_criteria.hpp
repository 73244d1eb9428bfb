#pragma once

#include "mutants.hpp"

/// The gradient checkers of other libraries, as published, applied to functions of ours: step,
/// difference, arithmetic and tolerance are theirs. Each is given more than its library gives it:
/// all inputs are checked, also where the library looks at parameters only. What is not reproduced
/// are limits of their interfaces.
namespace xgrad::mutants {

struct PeerVerdict {
  bool passes;
  Index evaluations;  ///< of f
};

/// DyNet 2.1, dynet/grad-check.cc, `check_grad`, with the scalar of tests/test-nodes.cc,
/// `to_scalar`: E = sqrt(sum(y^2)) over all results, in float32. For every entry x, with alpha =
/// 0.005, the difference
///
///     n = (E(x + alpha) - E(x - alpha)) / (2 alpha)
///
/// is compared with the gradient a: f = |n - a|, divided by max(|n|, |a|) if f > 0.01. The check
/// fails where f > 0.01 or f is NaN.
PeerVerdict dynet_check_grad(const Function& f, const std::vector<NamedVar>& inputs);

/// tiny-dnn 1.0, tiny_dnn/network.h, `gradient_check` (mode GRAD_CHECK_ALL), as its tests call it:
/// the loss E is the mean square error to the targets of label 0, 0.8 for the first number and -0.8
/// for all others (the range of tanh), in float32; delta = sqrt(epsilon of float32) = 3.45e-4 and
/// eps = 0.01 (test/testhelper.h, `epsilon<float>`). The check fails unless
///
///     |a - (E(x + delta) - E(x - delta)) / (2 delta)| <= eps
///
/// for every entry. Of several results the losses are added.
PeerVerdict tiny_dnn_gradient_check(const Function& f, const std::vector<NamedVar>& inputs);

/// PyTorch, torch/autograd/gradcheck.py, `gradcheck` with its defaults (eps = 1e-6, atol = 1e-5,
/// rtol = 1e-3, nondet_tol = 0, fast_mode = False), in float64. For every result that requires a
/// gradient, the whole Jacobian by one backward pass for each number of the result, twice, both
/// equal to the last bit, is compared with central differences of step eps, by `allclose`:
///
///     |a - n| <= atol + rtol |n|
///
/// (NaN is close to nothing). If no result requires a gradient, all differences must be 0. An
/// incoming gradient of zeros must give zeros.
PeerVerdict pytorch_gradcheck(const Function& f, const std::vector<NamedVar>& inputs);

}  // namespace xgrad::mutants
