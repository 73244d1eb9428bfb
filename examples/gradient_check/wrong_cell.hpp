#pragma once

#include <tuple>

#include <xgrad/nn/lstm.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

namespace gradient_check {

using namespace xgrad;

/// c = f c' + i g, with a derivative written by hand that has a fault: the gradient of the forget
/// gate f is dc c', and not dc c. Such a network trains, only worse.
struct WrongCellState {
  static constexpr const char* name = "wrong_cell_state";
  static auto value(auto f, auto old, auto i, auto g) { return f * old + i * g; }
  static auto pullback(auto dc, auto c, auto f, auto, auto i, auto g) {
    return std::tuple(dc * c, dc * f, dc * g, dc * i);
  }
};

/// An LSTM with this fault. Only what the forget gate depends on has a wrong gradient: of Wx, Wh
/// and b the second quarter of the columns, and x and the old h.
struct WrongLSTMCell : nn::LSTMCell {
  using LSTMCell::LSTMCell;

  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = split<4>(z + matmul(s.h, Wh));
    Var c = pointwise<WrongCellState>(sigmoid(f), s.c, sigmoid(i), tanh(g));
    Var h = sigmoid(o) * tanh(c);
    return {h, c};
  }
};

}  // namespace gradient_check
