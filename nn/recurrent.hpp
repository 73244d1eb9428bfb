#pragma once

#include <optional>
#include <span>
#include <vector>

#include <xgrad/core/scope.hpp>
#include <xgrad/nn/cell.hpp>
#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/sequence.hpp>

namespace xgrad::nn {

struct RecurrentOptions {
  Index layers = 1;
  bool bidirectional = false;
  double dropout = 0;  ///< on the outputs of every layer but the last, in training mode
};

/// Unrolls any cell over a sequence: layers, directions, dropout between layers, and sequences of
/// different lengths.
///
///     nn::LSTM lstm(10, 50, {.layers = 2});
///     auto [outputs, last] = lstm(x);              // x (steps, batch, features)
///     auto [more, end] = lstm(y, detach(last));    // goes on where the first one ended
///
/// The parameters are named "layer0.Wx", "layer0_reverse.Wx", "layer1.Wx" and so on. To a
/// FlightRecorder the scopes are "layer" with that number, in it "reverse" for the reverse
/// direction, and in these "step" with the index of x, from 0; what `project` does is in no step.
template <class Cell>
class Recurrent : public Module {
  static_assert(std::is_base_of_v<Module, Cell>, "a cell is derived from xgrad::nn::Module");
  static_assert(detail::HasState<Cell>, "a cell has `struct State`, an aggregate of 1 to 8 Vars");
  static_assert(detail::HasZeroState<Cell>, "a cell has `State zero_state(Index batch) const`");
  static_assert(detail::HasStep<Cell>,
                "a cell has `State step(const Var& x, const State& s) const`");

 public:
  using State = typename Cell::State;
  /// The state of each cell: layer by layer, in each the forward and then the reverse direction.
  using States = xgrad::detail::PoolVector<State>;

  struct Result {
    Var outputs;  ///< (steps, batch, output); both directions side by side
    States last;  ///< after the last step (of each sequence); after its first, for the reverse one
  };

  /// Cells made as Cell(input, hidden, args...); layers above the first take the outputs of both
  /// directions of the one below.
  template <class... Args>
  Recurrent(Index input, Index hidden, const RecurrentOptions& options = {}, const Args&... args)
      : Recurrent(make_cells(input, hidden, options, args...), options) {}

  /// Given cells, in the order of States.
  explicit Recurrent(std::vector<Cell> cells, const RecurrentOptions& options = {})
      : options_(options),
        cells_(std::move(cells)),
        dropout_(child("dropout", Dropout(options.dropout))) {
    detail::check_cell_count(cells_.size(), options.layers, options.bidirectional);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      adopt(detail::cell_name(i, options.bidirectional), cells_[i]);
    }
  }

  /// x is (steps, batch, features). `initial` is each cell's zero_state if empty, which may be
  /// learned. `lengths` says how many steps of each sequence count; empty: all. Outputs behind a
  /// sequence's end are 0, and its last state is that of its own last step: each row is what it
  /// would be alone. What x holds there does not matter. Throws unless x has three axes and at
  /// least one step, for lengths that do not fit it, for an `initial` of another number of states
  /// or another batch, and as the cell does, for example for another number of features or another
  /// dtype.
  Result operator()(const Var& x, const States& initial = {}, const Lengths& lengths = {}) const {
    const Ragged ragged("recurrent", x, lengths);
    const Index batch = x.shape()[1];
    detail::check_state_count(initial.empty() ? cells_.size() : initial.size(), cells_.size());
    Result result;
    result.outputs = ragged.mask(x);
    const std::size_t directions = options_.bidirectional ? 2 : 1;
    for (std::size_t i = 0; i < cells_.size(); i += directions) {
      if (i > 0) result.outputs = dropout_(result.outputs);
      Var outputs[2];
      for (std::size_t d = 0; d < directions; ++d) {
        const Cell& cell = cells_[i + d];
        const Scope layer("layer", static_cast<Index>(i / directions), cell);
        std::optional<Scope> reverse;
        if (d == 1) reverse.emplace("reverse");
        State s = initial.empty() ? cell.zero_state(batch) : initial[i + d];
        check_state(s, x, batch);
        outputs[d] = run(cell, result.outputs, s, ragged, d == 1);
        result.last.push_back(s);
      }
      result.outputs = directions == 1 ? outputs[0] : side_by_side(outputs[0], outputs[1]);
    }
    return result;
  }

  /// The same for one cell, with its state, which may be `{h, c}`.
  template <class S = State>  // a template, so that {} is no state at all
  Result operator()(const Var& x, const std::type_identity_t<S>& initial,
                    const Lengths& lengths = {}) const {
    return (*this)(x, States{initial}, lengths);
  }

  /// One time step of a model in use: from x (batch, features) to the output (batch, output); moves
  /// `states` on, which begin as zero_state(batch). Without a tape it allocates no memory once all
  /// buffers that it needs have been in use. Throws if there is a reverse direction, which begins
  /// at the end of a sequence.
  Var step(const Var& x, States& states) const {
    if (options_.bidirectional) {
      throw Error("recurrent: step: the reverse direction needs the whole sequence");
    }
    if (x.dim() != 2) {
      throw Error("recurrent: step: x is " + to_string(x.shape()) +
                  ": it must be (batch, features)");
    }
    detail::check_state_count(states.size(), cells_.size());
    for (State& s : states) check_state(s, x, x.shape()[0]);
    Var output = x;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (i > 0) output = dropout_(output);
      const Scope layer("layer", static_cast<Index>(i), cells_[i]);
      states[i] = single_step(cells_[i], output, states[i]);
      output = output_of(cells_[i], states[i]);
    }
    return output;
  }

  States zero_state(Index batch) const {
    States states;
    for (const Cell& cell : cells_) states.push_back(cell.zero_state(batch));
    return states;
  }

  /// The last layer's outputs in these states, both directions side by side: (batch, output). Of
  /// Result::last they are what Keras returns without return_sequences.
  Var final_output(const States& states) const {
    const std::size_t n = cells_.size();
    detail::check_state_count(states.size(), n);
    const Var last = output_of(cells_[n - 1], states[n - 1]);
    return options_.bidirectional ? side_by_side(output_of(cells_[n - 2], states[n - 2]), last)
                                  : last;
  }

  const std::vector<Cell>& cells() const { return cells_; }
  const RecurrentOptions& options() const { return options_; }

 private:
  template <class... Args>
  static std::vector<Cell> make_cells(Index input, Index hidden, const RecurrentOptions& options,
                                      const Args&... args) {
    const Index directions = options.bidirectional ? 2 : 1;
    std::vector<Cell> cells;
    cells.reserve(detail::cell_count(options.layers, options.bidirectional, sizeof(Cell)));
    for (Index layer = 0; layer < options.layers; ++layer) {
      for (Index d = 0; d < directions; ++d) {
        cells.emplace_back(layer == 0 ? input : directions * hidden, hidden, args...);
      }
    }
    return cells;
  }

  static void check_state(State& s, const Var& x, Index batch) {
    for (const Var* member : members(s)) detail::check_state_batch(*member, x, batch);
  }

  /// Leaves the last state in `s`, returns all outputs.
  static Var run(const Cell& cell, const Var& x, State& s, const Ragged& ragged, bool reverse) {
    const Index steps = x.shape()[0];
    const Var xs = [&] {
      if constexpr (detail::HasProject<Cell>) {
        return Var(cell.project(x));
      } else {
        return x;
      }
    }();
    xgrad::detail::PoolVector<Var> outputs(static_cast<std::size_t>(steps));
    for (Index i = 0; i < steps; ++i) {
      const Index t = reverse ? steps - 1 - i : i;
      const Scope step("step", t);
      State next = cell.step(xs[t], s);
      for (const Var* member : members(next)) step.state(*member);
      Var output = output_of(cell, next);
      if (ragged.some_ended(t)) {
        const auto old = members(s);
        const auto now = members(next);
        for (std::size_t k = 0; k < old.size(); ++k) *now[k] = ragged.choose(t, *now[k], *old[k]);
        output = ragged.mask(t, output);
      }
      outputs[static_cast<std::size_t>(t)] = output;
      s = std::move(next);
    }
    return stack_steps(outputs);
  }

  RecurrentOptions options_;
  std::vector<Cell> cells_;
  Dropout dropout_;
};

}  // namespace xgrad::nn

namespace xgrad {

/// The same state, or states, cut off from the tape: for truncated backpropagation through time.
template <class State>
requires std::is_aggregate_v<State> State detach(const State& state) {
  State result = state;
  for (Var* member : nn::members(result)) *member = detach(*member);
  return result;
}
template <class State, class Allocator>
requires std::is_aggregate_v<State> std::vector<State, Allocator> detach(
    const std::vector<State, Allocator>& states) {
  std::vector<State, Allocator> result;
  for (const State& state : states) result.push_back(detach(state));
  return result;
}

namespace nn {
using xgrad::detach;
}

}  // namespace xgrad
