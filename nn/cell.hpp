#pragma once

#include <array>
#include <concepts>
#include <initializer_list>

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

namespace detail {

struct AnyVar {
  operator Var() const { return {}; }
};
struct Anything {
  template <class T>
  operator T() const;
};

/// The number of members of an aggregate that can each be made from a Member.
template <class State, class Member = AnyVar, class... Members>
constexpr std::size_t member_count() {
  if constexpr (requires { State{Members()..., Member()}; }) {
    return member_count<State, Member, Members..., Member>();
  } else {
    return sizeof...(Members);
  }
}

template <class Cell>
concept HasState = requires {
  typename Cell::State;
}
&&std::is_aggregate_v<typename Cell::State>&& member_count<typename Cell::State>() >= 1 &&
    member_count<typename Cell::State>() <= 8;
template <class Cell>
concept HasOtherMembers = requires {
  typename Cell::State;
}
&&std::is_aggregate_v<typename Cell::State>&& member_count<typename Cell::State>() !=
    member_count<typename Cell::State, Anything>();
template <class Cell>
concept HasZeroState = requires(const Cell& cell, Index batch) {
  { cell.zero_state(batch) } -> std::same_as<typename Cell::State>;
};
template <class Cell>
concept HasStep = requires(const Cell& cell, const Var& x, const typename Cell::State& s) {
  { cell.step(x, s) } -> std::same_as<typename Cell::State>;
};
template <class Cell>
concept HasProject = requires(const Cell& cell, const Var& x) {
  { cell.project(x) } -> std::convertible_to<Var>;
};
template <class Cell>
concept HasOutput = requires(const Cell& cell, const typename Cell::State& s) {
  { cell.output(s) } -> std::convertible_to<Var>;
};

}  // namespace detail

namespace detail {

struct NamedWeight {
  const char* name;
  const Var& var;  ///< may be undefined
};

/// Throws, naming `cell` and the weight, unless all have x's dtype: a member may have been replaced
/// by a recorded Var, which Module::to does not know.
void check_weights(const char* cell, const Var& x, std::initializer_list<NamedWeight> weights);

}  // namespace detail

/// What `Recurrent` unrolls. A cell is a Module with
///
/// - `struct State`, an aggregate of 1 to 8 Vars whose first axis is the batch,
/// - `State zero_state(Index batch) const`, in the module's `dtype()`,
/// - `State step(const Var& x, const State& s) const`, one time step, x being (batch, features),
/// - optionally `Var project(const Var& xs) const` for what can be done for all time steps at once,
///   row by row: from (steps, batch, features) to (steps, batch, ...), of which `step` then gets a
///   slice, and alike from (rows, features) to (rows, ...), rows being the batch of a single step
///   or, with lengths, those of all steps together,
/// - optionally `Var output(const State& s) const`; without it the output is State's first member.
template <class Cell>
concept RecurrentCell = std::derived_from<Cell, Module> && detail::HasState<Cell> &&
    detail::HasZeroState<Cell> && detail::HasStep<Cell>;

/// The members of a cell's state.
template <class State>
std::array<Var*, detail::member_count<State>()> members(State& s) {
  constexpr std::size_t n = detail::member_count<State>();
  if constexpr (n == 1) {
    auto& [a] = s;
    return {&a};
  } else if constexpr (n == 2) {
    auto& [a, b] = s;
    return {&a, &b};
  } else if constexpr (n == 3) {
    auto& [a, b, c] = s;
    return {&a, &b, &c};
  } else if constexpr (n == 4) {
    auto& [a, b, c, d] = s;
    return {&a, &b, &c, &d};
  } else if constexpr (n == 5) {
    auto& [a, b, c, d, e] = s;
    return {&a, &b, &c, &d, &e};
  } else if constexpr (n == 6) {
    auto& [a, b, c, d, e, f] = s;
    return {&a, &b, &c, &d, &e, &f};
  } else if constexpr (n == 7) {
    auto& [a, b, c, d, e, f, g] = s;
    return {&a, &b, &c, &d, &e, &f, &g};
  } else {
    auto& [a, b, c, d, e, f, g, h] = s;
    return {&a, &b, &c, &d, &e, &f, &g, &h};
  }
}

/// The output of a state: `cell.output(s)`, or its first member.
template <RecurrentCell Cell>
Var output_of(const Cell& cell, const typename Cell::State& s) {
  if constexpr (detail::HasOutput<Cell>) {
    return cell.output(s);
  } else {
    typename Cell::State copy = s;
    return *members(copy)[0];
  }
}

/// One time step from the raw input: projects x (batch, features) where the cell has `project`.
template <RecurrentCell Cell>
typename Cell::State single_step(const Cell& cell, const Var& x, const typename Cell::State& s) {
  if constexpr (detail::HasProject<Cell>) {
    return cell.step(cell.project(x), s);
  } else {
    return cell.step(x, s);
  }
}

}  // namespace xgrad::nn
