#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/recurrent.hpp>

namespace xgrad::nn {

struct GRUCellOptions {
  bool reset_after = true;  ///< apply the reset gate after the product with Wh, as PyTorch does
  Initializer input_init = glorot();
  Initializer recurrent_init = orthogonal();
};

/// The gated recurrent unit of Cho et al. 2014:
///
///     r = sigmoid(x.Wrx + h'.Wrh + br)      z = sigmoid(x.Wzx + h'.Wzh + bz)
///     n = tanh(x.Wnx + bn + r * (h'.Wnh + bnh))       reset after the product (the default)
///     n = tanh(x.Wnx + bn + (r * h').Wnh)             reset before, as in the paper
///     h = (1 - z) * n + z * h'
///
/// The gates lie side by side in the order r, z, n: Wx (I,3H), Wh (H,3H). Reset-after has two bias
/// vectors bx, bh (3H); reset-before has bx alone. The initialisers are applied to each gate's
/// block; biases start at 0.
struct GRUCell : Module {
  GRUCell(Index input, Index hidden, const GRUCellOptions& options = {});
  struct State {
    Var h;
  };
  State zero_state(Index batch) const;
  Var project(const Var& x) const;
  State step(const Var& zx, const State& s) const;

  Var Wx, Wh, bx;
  Var bh;  ///< undefined in the reset-before form
};

using GRU = Recurrent<GRUCell>;

}  // namespace xgrad::nn
