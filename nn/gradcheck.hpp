#pragma once

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/nn/cell.hpp>

namespace xgrad::nn {

/// Checks f, a function of the module's parameters and of inputs, in float64: the module is
/// converted to float64 and back, so that what is checked is the very code that trains in float32.
/// Frozen parameters are left out.
GradcheckReport gradcheck(Module& module,
                          const std::function<std::vector<Var>(const std::vector<Var>&)>& f,
                          const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options = {});

/// Checks `module(x)`.
template <class M>
requires std::derived_from<M, Module> && std::convertible_to<std::invoke_result_t<M&, Var>, Var>
    GradcheckReport gradcheck(M& module, const Var& x, const GradcheckOptions& options = {}) {
  return gradcheck(
      module, [&](const std::vector<Var>& in) { return std::vector<Var>{module(in[0])}; },
      {{"x", x}}, options);
}

/// Checks one step of a cell: every member of the new state, by x (batch, features), by the members
/// of the old state and by the parameters.
///
///     auto report = gradcheck(cell, x, state);
template <RecurrentCell Cell>
GradcheckReport gradcheck(Cell& cell, const Var& x, const typename Cell::State& state,
                          const GradcheckOptions& options = {}) {
  using State = typename Cell::State;
  std::vector<NamedVar> inputs{{"x", x}};
  State given = state;
  for (Var* member : members(given)) {
    inputs.push_back({"state[" + std::to_string(inputs.size() - 1) + "]", *member});
  }
  const auto step = [&](const std::vector<Var>& in) {
    State old = given;
    for (std::size_t k = 0; Var * member : members(old)) *member = in[++k];
    State next = single_step(cell, in[0], old);
    std::vector<Var> results;
    for (Var* member : members(next)) results.push_back(*member);
    return results;
  };
  return gradcheck(cell, step, inputs, options);
}

}  // namespace xgrad::nn

namespace xgrad {
using nn::gradcheck;
}
