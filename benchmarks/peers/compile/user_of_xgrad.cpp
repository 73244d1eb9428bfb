// What a user of xgrad writes to train a cell of their own. Compiled, never run.
#include <iostream>

#include <xgrad/xgrad.hpp>

using namespace xgrad;

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

int main() {
  const Var x = default_generator().normal({50, 32, 10}, 0, 1);
  const Var target = default_generator().normal({50, 32, 50}, 0, 1);
  const nn::Recurrent<PeepholeCell> network(10, 50);
  optim::SGD sgd(network.parameters(), {.lr = 1e-2});
  for (int i = 0; i < 10; ++i) {
    Tape tape;
    const Var loss = mse(network(x).outputs, target);
    tape.backward(loss);
    sgd.step();
    std::cout << loss.item() << '\n';
  }
}
