#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/recurrent.hpp>

namespace xgrad::nn {

enum class Nonlinearity : std::uint8_t { tanh, relu };

struct RNNCellOptions {
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  Initializer input_init = glorot();
  Initializer recurrent_init = orthogonal();
};

/// The plain recurrent cell of Elman 1990:
///
///     h = tanh(x.Wx + h'.Wh + b)         (or relu)
///
/// Wx (I,H), Wh (H,H), b (H), which starts at 0.
struct RNNCell : Module {
  RNNCell(Index input, Index hidden, const RNNCellOptions& options = {});
  struct State {
    Var h;
  };
  State zero_state(Index batch) const;
  Var project(const Var& x) const;
  State step(const Var& z, const State& s) const;

  Var Wx, Wh, b;
  Nonlinearity nonlinearity;
};

using RNN = Recurrent<RNNCell>;

}  // namespace xgrad::nn
