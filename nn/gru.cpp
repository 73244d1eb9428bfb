#include <xgrad/nn/gru.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::nn {

GRUCell::GRUCell(Index input, Index hidden, const GRUCellOptions& options)
    : Wx(param("Wx", per_gate(options.input_init, 3, checked_size("GRUCell", "input", input),
                              checked_size("GRUCell", "hidden", hidden)))),
      Wh(param("Wh", per_gate(options.recurrent_init, 3, hidden, hidden))),
      bx(param("bx", Tensor::zeros({3 * hidden}))),
      bh(options.reset_after ? param("bh", Tensor::zeros({3 * hidden})) : Var()) {}

GRUCell::State GRUCell::zero_state(Index batch) const {
  return {Tensor::zeros({batch, Wh.shape()[0]}, Wh.dtype())};
}

Var GRUCell::project(const Var& x) const {
  detail::check_weights("gru_cell", x, {{"Wx", Wx}, {"Wh", Wh}, {"bx", bx}, {"bh", bh}});
  return affine(x, Wx, bx);
}

GRUCell::State GRUCell::step(const Var& zx, const State& s) const {
  const auto [xr, xz, xn] = split<3>(zx);
  if (bh.defined()) {
    const auto [hr, hz, hn] = split<3>(affine(s.h, Wh, bh));
    Var n = tanh(xn + sigmoid(xr + hr) * hn);
    return {n + sigmoid(xz + hz) * (s.h - n)};
  }
  const auto [Wr, Wz, Wn] = split<3>(Wh);
  Var n = tanh(xn + matmul(sigmoid(xr + matmul(s.h, Wr)) * s.h, Wn));
  return {n + sigmoid(xz + matmul(s.h, Wz)) * (s.h - n)};
}

}  // namespace xgrad::nn
