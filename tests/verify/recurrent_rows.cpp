#include <xgrad/core/arithmetic.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>

#include "verify/module_row.hpp"

namespace xgrad::testing {
namespace {

using detail::Results;

void draw_biases(const nn::Module& module) {
  // They begin as zeros, with which a mistake might hide.
  for (const Var& p : module.parameters()) {
    if (p.dim() == 1) p.assign(drawn(p.shape()).to(p.dtype()));
  }
}

template <class State>
void draw_state(State& state) {
  for (Var* member : nn::members(state)) *member = drawn(member->shape(), -0.9, 0.9);
}

template <class Cell, class... Args>
ModuleRow cell_row(const std::string& name, const std::string& what, Index batch, Index input,
                   Index hidden, const Args&... args) {
  return {name, what, [=](std::uint64_t seed) {
            xgrad::seed(seed);
            const auto cell = std::make_shared<Cell>(input, hidden, args...);
            draw_biases(*cell);
            typename Cell::State state = cell->zero_state(batch);
            draw_state(state);
            const Tensor x = drawn({batch, input});
            return ModuleCase{cell,
                              [cell, state](const std::vector<Var>& in) {
                                return nn::detail::step_of(*cell, state)(in);
                              },
                              nn::detail::step_inputs<Cell>(x, state)};
          }};
}

struct Form {
  std::string what;
  Index steps;
  Index batch;
  Index input;
  Index hidden;
  nn::RecurrentOptions options = {};
  bool states = false;  ///< given, or zero
  std::vector<Index> lengths = {};
  bool fast = false;
};

template <class Cell, class... Args>
ModuleRow sequence_row(const std::string& cell, const Form& form,
                       const std::map<std::string, Verdict>& expected, const Args&... args) {
  const auto make = [=](std::uint64_t seed) {
    xgrad::seed(seed);
    using Net = nn::Recurrent<Cell>;
    const auto net = std::make_shared<Net>(form.input, form.hidden, form.options, args...);
    draw_biases(*net);
    typename Net::States states;
    if (form.states) states = net->zero_state(form.batch);
    for (auto& state : states) draw_state(state);
    const Tensor x = drawn({form.steps, form.batch, form.input});
    const auto f = nn::detail::sequence_of(*net, states, form.lengths);
    return ModuleCase{net, [net, f](const std::vector<Var>& in) { return Results(f(in)); },
                      nn::detail::sequence_inputs<Cell>(x, states)};
  };
  return {"Recurrent", cell + ", " + form.what, make, expected, form.fast};
}

template <class Cell, class... Args>
void add_forms(ModuleRows& rows, const std::string& cell, const Args&... args) {
  const Form forms[] = {{"given states", 3, 3, 2, 3, {}, true},
                        {"zero states", 3, 2, 2, 3},
                        {"one step from given states", 1, 1, 2, 3, {}, true},
                        {"one unit, one feature, a batch of one", 2, 1, 1, 1, {}, true},
                        {"two layers", 3, 2, 2, 2, {.layers = 2}, true},
                        {"three layers", 2, 1, 2, 2, {.layers = 3}},
                        {"both directions", 3, 2, 2, 2, {.bidirectional = true}, true},
                        {"two layers, both directions, ragged, dropout",
                         4,
                         3,
                         2,
                         2,
                         {.layers = 2, .bidirectional = true, .dropout = 0.3},
                         true,
                         {2, 4, 1}},
                        {"ragged lengths", 4, 3, 2, 3, {}, true, {1, 4, 2}},
                        {"two layers in reverse, ragged, one empty",
                         4,
                         3,
                         2,
                         2,
                         {.layers = 2, .reverse = true},
                         true,
                         {2, 0, 3}},
                        {"dropout between three layers", 2, 4, 2, 2, {.layers = 3, .dropout = 0.3}},
                        {"50 steps", 50, 1, 1, 2, {}, true},
                        {"50 steps, both directions, ragged",
                         50,
                         2,
                         2,
                         2,
                         {.bidirectional = true},
                         true,
                         {50, 23},
                         true}};
  for (const Form& form : forms) rows.push_back(sequence_row<Cell>(cell, form, {}, args...));
  // From a state of zeros the first step does not depend on the recurrent weights.
  rows.push_back(sequence_row<Cell>(cell, {"one step from zero states", 1, 2, 2, 3},
                                    {{"layer0.Wh", Verdict::zero}}, args...));
}

}  // namespace

ModuleRows cell_rows() {
  ModuleRows rows;
  const nn::GRUCellOptions before{.reset_after = false};
  for (const auto& [batch, input, hidden] : {std::tuple{3, 2, 4}, {1, 1, 1}, {1, 3, 2}}) {
    const std::string what = "batch " + std::to_string(batch) + ", " + std::to_string(input) +
                             " features, " + std::to_string(hidden) + " units";
    rows.push_back(cell_row<nn::LSTMCell>("LSTMCell", what, batch, input, hidden));
    rows.push_back(cell_row<nn::GRUCell>("GRUCell", what, batch, input, hidden));
    rows.push_back(
        cell_row<nn::GRUCell>("GRUCell", "reset before, " + what, batch, input, hidden, before));
    rows.push_back(cell_row<nn::RNNCell>("RNNCell", what, batch, input, hidden));
  }
  return rows;
}

ModuleRows recurrent_rows() {
  ModuleRows rows;
  add_forms<nn::LSTMCell>(rows, "LSTM");
  add_forms<nn::GRUCell>(rows, "GRU");
  add_forms<nn::GRUCell>(rows, "GRU, reset before", nn::GRUCellOptions{.reset_after = false});
  add_forms<nn::RNNCell>(rows, "RNN");
  return rows;
}

ModuleRows all_module_rows() {
  ModuleRows all;
  for (const auto& group : {layer_rows, sequential_rows, cell_rows, recurrent_rows}) {
    for (ModuleRow& row : group()) all.push_back(std::move(row));
  }
  return all;
}

}  // namespace xgrad::testing
