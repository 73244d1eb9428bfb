#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

struct LinearOptions {
  bool bias = true;
  Initializer weight_init = glorot();
  Initializer bias_init = constant(0);
};

/// y = x.W + b over the last axis: (..., in) -> (..., out), with W (in, out) and b (out).
struct Linear : Module {
  Linear(Index in, Index out, const LinearOptions& options = {});
  Var operator()(const Var& x) const;

  Var W;
  Var b;  ///< undefined without bias
};

}  // namespace xgrad::nn
