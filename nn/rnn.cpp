#include <xgrad/nn/rnn.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>

namespace xgrad::nn {

RNNCell::RNNCell(Index input, Index hidden, const RNNCellOptions& options)
    : Wx(param("Wx", initial(options.input_init, {checked_size("RNNCell", "input", input),
                                                  checked_size("RNNCell", "hidden", hidden)}))),
      Wh(param("Wh", initial(options.recurrent_init, {hidden, hidden}))),
      b(param("b", Tensor::zeros({hidden}))),
      nonlinearity(options.nonlinearity) {}

RNNCell::State RNNCell::zero_state(Index batch) const {
  return {Tensor::zeros({batch, Wh.shape()[0]}, Wh.dtype())};
}

Var RNNCell::project(const Var& x) const {
  detail::check_weights("rnn_cell", x, {{"Wx", Wx}, {"Wh", Wh}, {"b", b}});
  return affine(x, Wx, b);
}

RNNCell::State RNNCell::step(const Var& z, const State& s) const {
  const Var sum = affine(s.h, Wh, z);
  return {nonlinearity == Nonlinearity::tanh ? Var(tanh(sum)) : Var(relu(sum))};
}

}  // namespace xgrad::nn
