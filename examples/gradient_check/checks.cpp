#include "checks.hpp"

#include <xgrad/core/random.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/nn/verify/gradcheck.hpp>

#include "peephole_cell.hpp"
#include "wrong_cell.hpp"

namespace gradient_check {
namespace {

/// Moves all parameters: biases and peepholes start at 0, where they could hide a mistake.
void disturb(nn::Module& module) {
  for (const nn::NamedParameter& p : module.named_parameters()) {
    const Var by = default_generator().uniform(p.var.shape(), -0.25, 0.25);
    p.var.assign(Var(p.var + by).tensor());
  }
}

template <class State>
State random_state(const State& zero) {
  State state = zero;
  for (Var* member : nn::members(state)) {
    *member = default_generator().uniform(member->shape(), -1, 1);
  }
  return state;
}

GradcheckOptions options(const Setup& setup) {
  return {.fast = setup.fast, .seed = setup.seed, .sweep = true};
}

/// One step of a cell from a state that is not zero.
template <class Cell, class... Args>
GradcheckReport check_step(const Setup& setup, const Args&... args) {
  seed(setup.seed);
  Cell cell(setup.inputs, setup.hidden, args...);
  disturb(cell);
  const Var x = default_generator().normal({setup.batch, setup.inputs}, 0, 1);
  return gradcheck(cell, x, random_state(cell.zero_state(setup.batch)), options(setup));
}

/// A sequence, through two layers in both directions. Always by projections: it has many entries.
GradcheckReport check_sequence(const Setup& setup) {
  seed(setup.seed);
  nn::LSTM lstm(setup.inputs, setup.hidden, {.layers = 2, .bidirectional = true});
  disturb(lstm);
  const Var x = default_generator().normal({setup.steps, setup.batch, setup.inputs}, 0, 1);
  GradcheckOptions fast = options(setup);
  fast.fast = true;
  return gradcheck(lstm, x, {}, {}, fast);
}

}  // namespace

const std::vector<Check>& all_checks() {
  using nn::GRUCell, nn::GRUCellOptions, nn::LSTMCell, nn::RNNCell, nn::RNNCellOptions;
  static const std::vector<Check> checks{
      {"rnn-tanh", "RNNCell with tanh", [](const Setup& s) { return check_step<RNNCell>(s); }},
      {"rnn-relu", "RNNCell with relu",
       [](const Setup& s) {
         return check_step<RNNCell>(s, RNNCellOptions{.nonlinearity = nn::Nonlinearity::relu});
       }},
      {"gru", "GRUCell, reset after the product",
       [](const Setup& s) { return check_step<GRUCell>(s); }},
      {"gru-reset-before", "GRUCell, reset before the product",
       [](const Setup& s) { return check_step<GRUCell>(s, GRUCellOptions{.reset_after = false}); }},
      {"lstm", "LSTMCell", [](const Setup& s) { return check_step<LSTMCell>(s); }},
      {"peephole", "PeepholeCell, written in this example",
       [](const Setup& s) { return check_step<PeepholeCell>(s); }},
      {"lstm-sequence", "LSTM, 2 layers, both directions", check_sequence},
      {"wrong-lstm", "WrongLSTMCell, deliberately wrong",
       [](const Setup& s) { return check_step<WrongLSTMCell>(s); }, true},
  };
  return checks;
}

}  // namespace gradient_check
