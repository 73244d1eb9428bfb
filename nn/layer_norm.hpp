#pragma once

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

/// y = (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, with the biased
/// variance; weight starts at 1, bias at 0. Ba et al. 2016.
struct LayerNorm : Module {
  explicit LayerNorm(Index width, double eps = 1e-5);
  Var operator()(const Var& x) const;

  Var weight;
  Var bias;
  double eps;
};

}  // namespace xgrad::nn
