#pragma once

#include <xgrad/core/expression.hpp>

/// Operators that would mislead: they do not compile, and say what to write instead.
///
/// - `x += y` could only make x another variable: what else refers to it, such as a module that
///   has it as a parameter, would keep the old one without a word.
/// - `x == y` would be no condition, since Vars compare element by element.
namespace xgrad {
namespace detail {

// By operator and operand, so that the compiler reports each of them.
template <char op, class X>
void refuse_in_place() {
  static_assert(always_false<X>,
                "a Var is not changed in place: write x = x + y, for a parameter x.assign(y)");
}

template <char op, class X>
void refuse_comparison() {
  static_assert(always_false<X>,
                "== and != do not take Vars: equal(x, y) compares element by element, x.is(y) "
                "tells whether they are the same variable");
}

}  // namespace detail

template <class X, class Y>
requires detail::Operands<X, Y>
void operator+=(X&&, Y&&) { detail::refuse_in_place<'+', X>(); }

template <class X, class Y>
requires detail::Operands<X, Y>
void operator-=(X&&, Y&&) { detail::refuse_in_place<'-', X>(); }

template <class X, class Y>
requires detail::Operands<X, Y>
void operator*=(X&&, Y&&) { detail::refuse_in_place<'*', X>(); }

template <class X, class Y>
requires detail::Operands<X, Y>
void operator/=(X&&, Y&&) { detail::refuse_in_place<'/', X>(); }

template <class X, class Y>
requires detail::Operands<X, Y>
bool operator==(X&&, Y&&) {
  detail::refuse_comparison<'=', X>();
  return false;
}

template <class X, class Y>
requires detail::Operands<X, Y>
bool operator!=(X&&, Y&&) {
  detail::refuse_comparison<'!', X>();
  return false;
}

}  // namespace xgrad
