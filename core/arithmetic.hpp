#pragma once

#include <xgrad/core/expression.hpp>
#include <xgrad/core/refused.hpp>

/// + - * / and comparisons on Vars, numbers, pointwise expressions, Tensors and xtensor's arrays,
/// element by element. The operands broadcast. The engine itself needs these; the other pointwise
/// ops are in <xgrad/ops/pointwise.hpp>.
namespace xgrad {

namespace detail {

struct Add {
  static constexpr const char* name = "add";
  static constexpr std::uint32_t addends = 0b11;
  static auto value(auto a, auto b) { return a + b; }
  static auto pullback(auto g, auto, auto, auto) { return std::tuple(g, g); }
};

struct Subtract {
  static constexpr const char* name = "subtract";
  static constexpr std::uint32_t addends = 0b01;
  static auto value(auto a, auto b) { return a - b; }
  static auto pullback(auto g, auto, auto, auto) { return std::tuple(g, -g); }
};

struct Multiply {
  static constexpr const char* name = "multiply";
  static auto value(auto a, auto b) { return a * b; }
  static auto pullback(auto g, auto, auto a, auto b) { return std::tuple(g * b, g * a); }
};

struct Divide {
  static constexpr const char* name = "divide";
  static auto value(auto a, auto b) { return a / b; }
  static auto pullback(auto g, auto y, auto, auto b) { return std::tuple(g / b, -g * y / b); }
};

struct Negate {
  static constexpr const char* name = "negate";
  static constexpr bool exact = true;
  static auto value(auto x) { return -x; }
  static auto pullback(auto g, auto, auto) { return -g; }
};

/// 1 where the comparison holds, 0 elsewhere; its gradient is zero.
struct Greater {
  static constexpr const char* name = "greater";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  template <class V>
  static V value(V a, V b) {
    return where(a > b, V(1.0), V(0.0));
  }
  static auto pullback(auto, auto, auto, auto) { return std::tuple(NoGradient(), NoGradient()); }
};

struct GreaterEqual {
  static constexpr const char* name = "greater_equal";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  template <class V>
  static V value(V a, V b) {
    return where(a >= b, V(1.0), V(0.0));
  }
  static auto pullback(auto, auto, auto, auto) { return std::tuple(NoGradient(), NoGradient()); }
};

struct Equal {
  static constexpr const char* name = "equal";
  static constexpr bool exact = true;
  static constexpr bool analytic = false;
  template <class V>
  static V value(V a, V b) {
    return where(a == b, V(1.0), V(0.0));
  }
  static auto pullback(auto, auto, auto, auto) { return std::tuple(NoGradient(), NoGradient()); }
};

/// c ? a : b with c != 0 as truth.
struct Where {
  static constexpr const char* name = "where";
  static constexpr bool exact = true;
  static constexpr bool selection = true;
  static auto value(auto c, auto a, auto b) { return where(c, a, b); }
  static auto pullback(auto g, auto, auto c, auto, auto) {
    return std::tuple(NoGradient(), where(c, g, 0.0), where(c, 0.0, g));
  }
};

}  // namespace detail

/// a + b; da = dy, db = dy.
template <class A, class B>
requires detail::Operands<A, B>
auto operator+(A&& a, B&& b) {
  return pointwise<detail::Add>(std::forward<A>(a), std::forward<B>(b));
}

/// a - b; da = dy, db = -dy.
template <class A, class B>
requires detail::Operands<A, B>
auto operator-(A&& a, B&& b) {
  return pointwise<detail::Subtract>(std::forward<A>(a), std::forward<B>(b));
}

/// The Hadamard product a * b; da = dy b, db = dy a.
template <class A, class B>
requires detail::Operands<A, B>
auto operator*(A&& a, B&& b) {
  return pointwise<detail::Multiply>(std::forward<A>(a), std::forward<B>(b));
}

/// a / b; da = dy / b, db = -dy (a / b) / b, less exact where a / b is below the normal numbers.
template <class A, class B>
requires detail::Operands<A, B>
auto operator/(A&& a, B&& b) {
  return pointwise<detail::Divide>(std::forward<A>(a), std::forward<B>(b));
}

/// -x; dx = -dy.
template <class X>
requires detail::Operands<X>
auto operator-(X&& x) { return pointwise<detail::Negate>(std::forward<X>(x)); }

/// 1 where a > b, else 0 (also where one is NaN). No gradient.
template <class A, class B>
requires detail::Operands<A, B>
auto operator>(A&& a, B&& b) {
  return pointwise<detail::Greater>(std::forward<A>(a), std::forward<B>(b));
}

/// 1 where a < b, else 0 (also where one is NaN). No gradient.
template <class A, class B>
requires detail::Operands<A, B>
auto operator<(A&& a, B&& b) {
  return pointwise<detail::Greater>(std::forward<B>(b), std::forward<A>(a));
}

/// 1 where a >= b, else 0 (also where one is NaN). No gradient.
template <class A, class B>
requires detail::Operands<A, B>
auto operator>=(A&& a, B&& b) {
  return pointwise<detail::GreaterEqual>(std::forward<A>(a), std::forward<B>(b));
}

/// 1 where a <= b, else 0 (also where one is NaN). No gradient.
template <class A, class B>
requires detail::Operands<A, B>
auto operator<=(A&& a, B&& b) {
  return pointwise<detail::GreaterEqual>(std::forward<B>(b), std::forward<A>(a));
}

/// 1 where a == b, else 0. No gradient.
template <class A, class B>
requires detail::Operands<A, B>
auto equal(A&& a, B&& b) {
  return pointwise<detail::Equal>(std::forward<A>(a), std::forward<B>(b));
}

/// a where condition is not 0, b elsewhere; da = dy there and 0 elsewhere, db the other way round.
/// Values that are not chosen may be NaN or infinite, and so may be the slopes of what they are
/// computed from in the same expression: `where(x > 0, log(x), 0)` at 0 has derivatives of every
/// order. What they were computed from earlier, as a Var of its own, gets 0 times its slope, which
/// is NaN if that is infinite; there choose the argument, too: `log(where(x > 0, x, 1))`.
template <class C, class A, class B>
requires detail::Operands<C, A, B>
auto where(C&& condition, A&& a, B&& b) {
  return pointwise<detail::Where>(std::forward<C>(condition), std::forward<A>(a),
                                  std::forward<B>(b));
}

namespace detail {

// Compiled once, in the library.
extern template struct PointwiseFunctions<Add, 2>;
extern template struct PointwiseFunctions<Subtract, 2>;
extern template struct PointwiseFunctions<Multiply, 2>;
extern template struct PointwiseFunctions<Divide, 2>;
extern template struct PointwiseFunctions<Negate, 1>;
extern template struct PointwiseFunctions<Greater, 2>;
extern template struct PointwiseFunctions<GreaterEqual, 2>;
extern template struct PointwiseFunctions<Equal, 2>;
extern template struct PointwiseFunctions<Where, 3>;
extern template struct Kernels<Pointwise<Add, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Subtract, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Multiply, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Divide, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Negate, Leaf>>;
extern template struct Kernels<Pointwise<Greater, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<GreaterEqual, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Equal, Leaf, Leaf>>;
extern template struct Kernels<Pointwise<Where, Leaf, Leaf, Leaf>>;

}  // namespace detail
}  // namespace xgrad
