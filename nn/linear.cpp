#include <xgrad/nn/linear.hpp>
#include <xgrad/ops/matmul.hpp>

namespace xgrad::nn {

Linear::Linear(Index in, Index out, const LinearOptions& options)
    : W(param("W", initial(options.weight_init, {checked_size("Linear", "in", in),
                                                 checked_size("Linear", "out", out)}))),
      b(options.bias ? param("b", initial(options.bias_init, {out})) : Var()) {}

Var Linear::operator()(const Var& x) const { return b.defined() ? affine(x, W, b) : matmul(x, W); }

}  // namespace xgrad::nn
