#pragma once

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/nn/recurrent.hpp>

/// `gradcheck` for modules: by their inputs and by every named parameter that is not frozen. The
/// module itself is converted to float64, and to complex128, and back: what is checked is the very
/// code that trains in float32.
namespace xgrad::nn {

namespace detail {

using xgrad::detail::Checkable;
using xgrad::detail::CheckedFunction;
using xgrad::detail::Results;

GradcheckReport gradcheck(Module& module, const CheckedFunction& f,
                          const std::vector<NamedVar>& inputs, const GradcheckOptions& options);
GradcheckReport gradgradcheck(Module& module, const CheckedFunction& f,
                              const std::vector<NamedVar>& inputs, const GradcheckOptions& options);

/// The members of a state as inputs "prefix[0]", ...
template <class State>
void add_state(std::vector<NamedVar>& inputs, State state, const std::string& prefix) {
  std::size_t k = 0;
  for (Var* member : members(state)) {
    inputs.push_back({prefix + "[" + std::to_string(k++) + "]", *member});
  }
}

/// Replaces the members of a state by what `next` points to, and moves that on.
template <class State>
void take_state(State& state, std::vector<Var>::const_iterator& next) {
  for (Var* member : members(state)) *member = *next++;
}

template <class State>
void append_state(Results& results, State state) {
  for (Var* member : members(state)) results.push_back(*member);
}

/// One step of a cell: x and the old state's members to the new state's members.
template <RecurrentCell Cell>
auto step_of(const Cell& cell, const typename Cell::State& state) {
  return [&cell, state](const std::vector<Var>& in) {
    typename Cell::State old = state;
    auto next = in.begin() + 1;
    take_state(old, next);
    Results results;
    append_state(results, single_step(cell, in[0], old));
    return results;
  };
}

template <RecurrentCell Cell>
std::vector<NamedVar> step_inputs(const Var& x, const typename Cell::State& state) {
  std::vector<NamedVar> inputs{{"x", x}};
  add_state(inputs, state, "state");
  return inputs;
}

/// A whole sequence: x and the initial states to all outputs and the last states.
template <class Cell>
auto sequence_of(const Recurrent<Cell>& net, const typename Recurrent<Cell>::States& initial,
                 const Lengths& lengths) {
  return [&net, initial, lengths](const std::vector<Var>& in) {
    typename Recurrent<Cell>::States states = initial;
    auto next = in.begin() + 1;
    for (auto& state : states) take_state(state, next);
    const auto result = net(in[0], states, lengths);
    Results results{result.outputs};
    for (const auto& state : result.last) append_state(results, state);
    return results;
  };
}

template <class Cell>
std::vector<NamedVar> sequence_inputs(const Var& x,
                                      const typename Recurrent<Cell>::States& initial) {
  std::vector<NamedVar> inputs{{"x", x}};
  for (std::size_t i = 0; i < initial.size(); ++i) {
    add_state(inputs, initial[i], "state" + std::to_string(i));
  }
  return inputs;
}

}  // namespace detail

/// Verifies f, a function of the module's parameters and of inputs, as `xgrad::gradcheck` does.
template <detail::Checkable F>
GradcheckReport gradcheck(Module& module, F&& f, const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options = {}) {
  return detail::gradcheck(module, xgrad::detail::checked_function(f), inputs, options);
}
template <detail::Checkable F>
GradcheckReport gradgradcheck(Module& module, F&& f, const std::vector<NamedVar>& inputs,
                              const GradcheckOptions& options = {}) {
  return detail::gradgradcheck(module, xgrad::detail::checked_function(f), inputs, options);
}

/// Verifies `module(x)`, by x and by the parameters.
template <class M>
requires std::derived_from<M, Module> && std::convertible_to<std::invoke_result_t<M&, Var>, Var>
    GradcheckReport gradcheck(M& module, const Var& x, const GradcheckOptions& options = {}) {
  return gradcheck(
      module, [&](const std::vector<Var>& in) { return Var(module(in[0])); }, {{"x", x}}, options);
}

/// Verifies one step of a cell: every member of the new state, by x (batch, features), by the
/// members of the old state ("state[0]", ...) and by the parameters.
///
///     MyCell cell(3, 5);
///     auto report = gradcheck(cell, x, state);
///     std::cout << report;
template <RecurrentCell Cell>
GradcheckReport gradcheck(Cell& cell, const Var& x, const typename Cell::State& state,
                          const GradcheckOptions& options = {}) {
  return gradcheck(cell, detail::step_of(cell, state), detail::step_inputs<Cell>(x, state),
                   options);
}
template <RecurrentCell Cell>
GradcheckReport gradgradcheck(Cell& cell, const Var& x, const typename Cell::State& state,
                              const GradcheckOptions& options = {}) {
  return gradgradcheck(cell, detail::step_of(cell, state), detail::step_inputs<Cell>(x, state),
                       options);
}

/// Verifies a whole sequence: all outputs and last states, by x (steps, batch, features), by every
/// initial state that is given ("state0[0]" is the first member of the first cell's) and by the
/// parameters. For the options of a sequence see `Recurrent`.
template <RecurrentCell Cell>
GradcheckReport gradcheck(Recurrent<Cell>& net, const Var& x,
                          const typename Recurrent<Cell>::States& initial = {},
                          const Lengths& lengths = {}, const GradcheckOptions& options = {}) {
  return gradcheck(net, detail::sequence_of(net, initial, lengths),
                   detail::sequence_inputs<Cell>(x, initial), options);
}
template <RecurrentCell Cell>
GradcheckReport gradgradcheck(Recurrent<Cell>& net, const Var& x,
                              const typename Recurrent<Cell>::States& initial = {},
                              const Lengths& lengths = {}, const GradcheckOptions& options = {}) {
  return gradgradcheck(net, detail::sequence_of(net, initial, lengths),
                       detail::sequence_inputs<Cell>(x, initial), options);
}

}  // namespace xgrad::nn

namespace xgrad {
using nn::gradcheck;
using nn::gradgradcheck;
}  // namespace xgrad
