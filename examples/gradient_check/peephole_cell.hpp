#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/recurrent.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

namespace gradient_check {

using namespace xgrad;

/// A cell of one's own: an LSTM whose gates also see the cell state (Gers and Schmidhuber 2000).
struct PeepholeCell : nn::Module {
  PeepholeCell(Index input, Index hidden)
      : Wx(param("Wx", nn::per_gate(nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", nn::per_gate(nn::orthogonal(), 4, hidden, hidden))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        p(param("p", Tensor::zeros({3, hidden}))) {}

  struct State {
    Var h, c;
  };
  State zero_state(Index batch) const {
    const Var zeros = Tensor::zeros({batch, Wh.shape()[0]}, dtype());
    return {zeros, zeros};
  }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = split<4>(z + matmul(s.h, Wh));
    Var c = sigmoid(f + p[1] * s.c) * s.c + sigmoid(i + p[0] * s.c) * tanh(g);
    Var h = sigmoid(o + p[2] * c) * tanh(c);
    return {h, c};
  }

  Var Wx, Wh, b, p;
};

}  // namespace gradient_check
