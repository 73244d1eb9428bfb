#include <xgrad/nn/init.hpp>
#include <xgrad/nn/layer_norm.hpp>
#include <xgrad/ops/normalize.hpp>

namespace xgrad::nn {

LayerNorm::LayerNorm(Index width, double epsilon)
    : weight(param("weight", Tensor::full({checked_size("LayerNorm", "width", width)}, 1))),
      bias(param("bias", Tensor::zeros({width}))),
      eps(epsilon) {}

Var LayerNorm::operator()(const Var& x) const { return layer_norm(x, weight, bias, eps); }

}  // namespace xgrad::nn
