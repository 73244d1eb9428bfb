#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/recurrent.hpp>

namespace xgrad::nn {

struct LSTMCellOptions {
  double forget_bias = 1;  ///< start of the forget gate's bias; Jozefowicz et al. 2015
  Initializer input_init = glorot();
  Initializer recurrent_init = orthogonal();
};

/// The long short-term memory cell of Hochreiter and Schmidhuber 1997, with the forget gate of
/// Gers et al. 2000:
///
///     i = sigmoid(x.Wix + h'.Wih + bi)      f = sigmoid(x.Wfx + h'.Wfh + bf)
///     g = tanh(x.Wgx + h'.Wgh + bg)         o = sigmoid(x.Wox + h'.Woh + bo)
///     c = f * c' + i * g                    h = o * tanh(c)
///
/// The gates lie side by side in the order i, f, g, o: Wx (I,4H), Wh (H,4H), b (4H). The
/// initialisers are applied to each gate's block; b starts at 0 but for `forget_bias`.
struct LSTMCell : Module {
  LSTMCell(Index input, Index hidden, const LSTMCellOptions& options = {});
  struct State {
    Var h, c;
  };
  State zero_state(Index batch) const;
  Var project(const Var& x) const;
  State step(const Var& z, const State& s) const;

  Var Wx, Wh, b;
};

using LSTM = Recurrent<LSTMCell>;

}  // namespace xgrad::nn
