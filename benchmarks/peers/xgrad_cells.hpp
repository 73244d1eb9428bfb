#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/recurrent.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

/// Cells as a user of xgrad writes them.
namespace peers {

using xgrad::Index;
using xgrad::Tensor;
using xgrad::Var;

struct HiddenAndCell {
  Var h, c;
};

inline HiddenAndCell zeros(Index batch, Index hidden) {
  const Var z = Tensor::zeros({batch, hidden});
  return {z, z};
}

/// An LSTM whose gates see the state c as well. Gers and Schmidhuber 2000.
struct PeepholeCell : xgrad::nn::Module {
  PeepholeCell(Index input, Index hidden)
      : Wx(param("Wx", xgrad::nn::per_gate(xgrad::nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", xgrad::nn::per_gate(xgrad::nn::orthogonal(), 4, hidden, hidden))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        p(param("p", Tensor::zeros({3, hidden}))) {}
  using State = HiddenAndCell;
  State zero_state(Index batch) const { return zeros(batch, Wh.shape()[0]); }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = xgrad::split<4>(z + matmul(s.h, Wh));
    Var c = sigmoid(f + p[1] * s.c) * s.c + sigmoid(i + p[0] * s.c) * tanh(g);
    Var h = sigmoid(o + p[2] * c) * tanh(c);
    return {h, c};
  }
  Var Wx, Wh, b, p;
};

/// An LSTM with both products and the state normalised. Ba et al. 2016, equations 20 to 22.
struct LayerNormCell : xgrad::nn::Module {
  LayerNormCell(Index input, Index hidden)
      : Wx(param("Wx", xgrad::nn::per_gate(xgrad::nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", xgrad::nn::per_gate(xgrad::nn::orthogonal(), 4, hidden, hidden))),
        gx(param("gx", Tensor::full({4 * hidden}, 1))),
        gh(param("gh", Tensor::full({4 * hidden}, 1))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        gc(param("gc", Tensor::full({hidden}, 1))),
        bc(param("bc", Tensor::zeros({hidden}))) {}
  using State = HiddenAndCell;
  State zero_state(Index batch) const { return zeros(batch, Wh.shape()[0]); }
  Var project(const Var& x) const { return layer_norm(matmul(x, Wx), gx, b); }
  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = xgrad::split<4>(layer_norm(matmul(s.h, Wh), gh, z));
    Var c = sigmoid(f) * s.c + sigmoid(i) * tanh(g);
    Var h = sigmoid(o) * tanh(layer_norm(c, gc, bc));
    return {h, c};
  }
  Var Wx, Wh, gx, gh, b, gc, bc;
};

}  // namespace peers
