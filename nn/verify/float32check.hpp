#pragma once

#include <xgrad/core/float32check.hpp>
#include <xgrad/nn/verify/gradcheck.hpp>

/// `float32check` for modules, as `gradcheck` has them: by their inputs, states and parameters.
namespace xgrad::nn {

namespace detail {

Float32Report float32check(Module& module, const CheckedFunction& f,
                           const std::vector<NamedVar>& inputs, const Float32Options& options);

}  // namespace detail

/// Verifies f, a function of the module's parameters and of inputs, in float32.
template <detail::Checkable F>
Float32Report float32check(Module& module, F&& f, const std::vector<NamedVar>& inputs,
                           const Float32Options& options = {}) {
  return detail::float32check(module, xgrad::detail::checked_function(f), inputs, options);
}

/// Verifies `module(x)`, by x and by the parameters.
template <class M>
requires std::derived_from<M, Module> && std::convertible_to<std::invoke_result_t<M&, Var>, Var>
    Float32Report float32check(M& module, const Var& x, const Float32Options& options = {}) {
  return float32check(
      module, [&](const std::vector<Var>& in) { return Var(module(in[0])); }, {{"x", x}}, options);
}

/// Verifies one step of a cell.
template <RecurrentCell Cell>
Float32Report float32check(Cell& cell, const Var& x, const typename Cell::State& state,
                           const Float32Options& options = {}) {
  return float32check(cell, detail::step_of(cell, state), detail::step_inputs<Cell>(x, state),
                      options);
}

/// Verifies a whole sequence:
///
///     nn::LSTM lstm(16, 64, {.layers = 2});
///     auto report = float32check(lstm, x);     // x (steps, batch, features)
template <RecurrentCell Cell>
Float32Report float32check(Recurrent<Cell>& net, const Var& x,
                           const typename Recurrent<Cell>::States& initial = {},
                           const Lengths& lengths = {}, const Float32Options& options = {}) {
  return float32check(net, detail::sequence_of(net, initial, lengths),
                      detail::sequence_inputs<Cell>(x, initial), options);
}

}  // namespace xgrad::nn

namespace xgrad {
using nn::float32check;
}
