#pragma once

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

/// In training mode each element is 0 with probability p and x / (1 - p) otherwise, drawn from the
/// default generator; in evaluation mode x. Srivastava et al. 2014. Throws unless p is in [0, 1).
struct Dropout : Module {
  explicit Dropout(double p);
  Var operator()(const Var& x) const;

  double p;
};

}  // namespace xgrad::nn
