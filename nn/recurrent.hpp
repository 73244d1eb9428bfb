#pragma once

#include <optional>
#include <span>
#include <vector>

#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/scope.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/cell.hpp>
#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/ragged.hpp>

namespace xgrad::nn {

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
///
/// Steps behind the end of a sequence are not computed: a cell is given the rows of the batch that
/// have not ended, so what it keeps for each row belongs in its State.
template <class Cell>
class Recurrent : public Module {
  static_assert(std::is_base_of_v<Module, Cell>, "a cell is derived from xgrad::nn::Module");
  static_assert(!detail::HasOtherMembers<Cell>, "each member of a cell's State is an xgrad::Var");
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
    detail::check_cell_count(cells_.size(), options);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      adopt(detail::cell_name(i, options), cells_[i]);
    }
  }

  /// x is (steps, batch, features). `initial` is each cell's zero_state if empty, which may be
  /// learned, else of its shapes. `lengths` says how many steps of each sequence count, from 0;
  /// empty: all. Outputs behind a sequence's end are 0, and its last state is that of its own last
  /// step: each row is what it would be alone. What x holds behind the end is not read, and has no
  /// gradient. Of a sequence of length 0 the last state is the initial one. Throws unless x has
  /// three axes and at least one step, for lengths that do not fit it, for an `initial` of another
  /// number of states or another batch, shape or dtype, and as the cell does, for example for
  /// another number of features.
  Result operator()(const Var& x, const States& initial = {}, const Lengths& lengths = {}) const {
    const Ragged ragged("recurrent", x, lengths);
    const Index batch = x.shape()[1];
    detail::check_state_count(initial.empty() ? cells_.size() : initial.size(), cells_.size());
    Result result;
    result.outputs = ragged.pack(x);
    const std::size_t directions = options_.bidirectional ? 2 : 1;
    for (std::size_t i = 0; i < cells_.size(); i += directions) {
      if (i > 0) result.outputs = dropout_(result.outputs);
      Var outputs[2];
      for (std::size_t d = 0; d < directions; ++d) {
        const Scope layer("layer", static_cast<Index>(i / directions), cells_[i + d]);
        const bool reverse = options_.reverse || d == 1;
        std::optional<Scope> scope;
        if (reverse) scope.emplace("reverse");
        State s = initial.empty() ? zero_state(i + d, batch) : initial[i + d];
        if (!initial.empty()) check_batch(i + d, s, x, batch);
        outputs[d] = run(i + d, result.outputs, s, ragged, reverse, x);
        result.last.push_back(s);
      }
      result.outputs = directions == 1 ? outputs[0] : side_by_side(outputs[0], outputs[1]);
    }
    result.outputs = ragged.unpack(result.outputs);
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
  /// at the end of a sequence. Where a layer throws, `states` stay as they are.
  Var step(const Var& x, States& states) const {
    if (options_.bidirectional || options_.reverse) {
      throw Error("recurrent: step: the reverse direction needs the whole sequence");
    }
    if (x.dim() != 2) {
      throw Error("recurrent: step: x is " + to_string(x.shape()) +
                  ": it must be (batch, features)");
    }
    detail::check_state_count(states.size(), cells_.size());
    const Index batch = x.shape()[0];
    for (std::size_t i = 0; i < cells_.size(); ++i) check_batch(i, states[i], x, batch);
    return step_layers(0, x, states, x);
  }

  States zero_state(Index batch) const {
    States states;
    for (std::size_t i = 0; i < cells_.size(); ++i) states.push_back(zero_state(i, batch));
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
    cells.reserve(detail::cell_count(options, sizeof(Cell)));
    for (Index layer = 0; layer < options.layers; ++layer) {
      for (Index d = 0; d < directions; ++d) {
        cells.emplace_back(layer == 0 ? input : directions * hidden, hidden, args...);
      }
    }
    return cells;
  }

  /// f(), the i-th cell's own code: its errors name the cell.
  template <class F>
  auto within(std::size_t i, F&& f) const {
    try {
      return f();
    } catch (const Error& error) {
      detail::fail(error, i, options_);
    }
  }

  State zero_state(std::size_t i, Index batch) const {
    State s = within(i, [&] { return cells_[i].zero_state(batch); });
    std::size_t k = 0;
    for (const Var* member : members(s)) {
      detail::check_zero_state(i, options_, k++, *member, batch);
    }
    return s;
  }

  /// Throws unless `s` has the batch and x's dtype, as far as zero_state has them.
  void check_batch(std::size_t i, State& s, const Var& x, Index batch) const {
    for (const Var* member : members(s)) {
      if (!detail::is_of_batch(*member, x, batch)) return check_state(i, s, x, batch);
    }
  }

  /// Throws unless `s` is as zero_state is, and says that it is so `since` something failed.
  void check_state(std::size_t i, State& s, const Var& x, Index batch,
                   const std::string& since = {}) const {
    const NoTape shapes_only;
    State like = zero_state(i, batch);
    const auto expected = members(like);
    std::size_t k = 0;
    for (const Var* member : members(s)) {
      detail::check_like(i, options_, k, *member, *expected[k], x, batch, since);
      ++k;
    }
  }

  /// f(), a step of the i-th cell from `s`. Where it fails or changes the shapes of the state, that
  /// is perhaps because `given`, of which `s` was made, is wrong: then the error names it.
  template <class F>
  State step_from(std::size_t i, State& s, State& given, const Var& x, Index batch, F&& f) const {
    State next = [&] {
      try {
        return f();
      } catch (const Error& error) {
        if (detail::is_plain(error)) check_state(i, given, x, batch, error.what());
        detail::fail(error, i, options_);
      }
    }();
    const auto after = members(next);
    std::size_t k = 0;
    for (const Var* member : members(s)) {
      if (member->shape() == after[k++]->shape()) continue;
      check_state(i, given, x, batch);
      break;
    }
    return next;
  }

  /// A step of the layers from the i-th on, whose input is `h`; x is the first one's. The states
  /// move on once all layers are computed.
  Var step_layers(std::size_t i, const Var& h, States& states, const Var& x) const {
    State next = [&] {
      const Scope layer("layer", static_cast<Index>(i), cells_[i]);
      return step_from(i, states[i], states[i], x, x.shape()[0],
                       [&] { return single_step(cells_[i], h, states[i]); });
    }();
    Var output = output_of(cells_[i], next);
    if (i + 1 < cells_.size()) output = step_layers(i + 1, dropout_(output), states, x);
    states[i] = std::move(next);
    return output;
  }

  /// Leaves the last state in `s`, returns all outputs; x and they are packed, `whole` is not.
  Var run(std::size_t i, const Var& x, State& s, const Ragged& ragged, bool reverse,
          const Var& whole) const {
    const Cell& cell = cells_[i];
    State given = s;
    for (Var* member : members(s)) *member = ragged.for_each_row(*member);
    const Index steps = ragged.steps();
    const Var xs = steps == 0 ? x : within(i, [&] {
      if constexpr (detail::HasProject<Cell>) {
        return Var(cell.project(x));
      } else {
        return x;
      }
    });
    xgrad::detail::PoolVector<Var> outputs(static_cast<std::size_t>(steps));
    State all = s;  // of all sequences, while `s` is of those that take part
    Index before = -1;
    const auto put_back = [&] {
      const auto part = members(s);
      std::size_t k = 0;
      for (Var* member : members(all)) *member = ragged.put(before, *member, *part[k++]);
    };
    for (Index n = 0; n < steps; ++n) {
      const Index t = reverse ? steps - 1 - n : n;
      const Scope step("step", t);
      if (ragged.regroups(before, t)) {
        put_back();
        s = all;
        for (Var* member : members(s)) *member = ragged.take(t, *member);
      }
      before = t;
      const auto step_cell = [&] { return cell.step(ragged.at(t, xs), s); };
      s = n == 0 ? step_from(i, s, given, whole, whole.shape()[1], step_cell)
                 : within(i, step_cell);
      for (const Var* member : members(s)) step.state(*member);
      outputs[static_cast<std::size_t>(t)] = output_of(cell, s);
    }
    put_back();
    s = all;
    return steps == 0 ? Ragged::no_rows(output_of(cell, s)) : ragged.join(outputs);
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
