#include <xgrad/nn/lstm.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::nn {
namespace {

Tensor gate_biases(Index hidden, double forget_bias) {
  std::vector<float> b(static_cast<std::size_t>(4 * hidden));
  std::fill_n(b.begin() + hidden, hidden, static_cast<float>(forget_bias));
  return Tensor({4 * hidden}, b);
}

}  // namespace

LSTMCell::LSTMCell(Index input, Index hidden, const LSTMCellOptions& options)
    : Wx(param("Wx", per_gate(options.input_init, 4, checked_size("LSTMCell", "input", input),
                              checked_size("LSTMCell", "hidden", hidden)))),
      Wh(param("Wh", per_gate(options.recurrent_init, 4, hidden, hidden))),
      b(param("b", gate_biases(hidden, options.forget_bias))) {}

LSTMCell::State LSTMCell::zero_state(Index batch) const {
  const Var zeros = Tensor::zeros({batch, Wh.shape()[0]}, Wh.dtype());
  return {zeros, zeros};
}

Var LSTMCell::project(const Var& x) const {
  detail::check_weights("lstm_cell", x, {{"Wx", Wx}, {"Wh", Wh}, {"b", b}});
  return affine(x, Wx, b);
}

LSTMCell::State LSTMCell::step(const Var& z, const State& s) const {
  const auto [i, f, g, o] = split<4>(affine(s.h, Wh, z));
  Var c = sigmoid(f) * s.c + sigmoid(i) * tanh(g);
  Var h = sigmoid(o) * tanh(c);
  return {h, c};
}

}  // namespace xgrad::nn
