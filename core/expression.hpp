#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include <xgrad/core/kernels/expression_tree.hpp>
#include <xgrad/core/kernels/pointwise_kernel.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/var.hpp>

/// Lazy pointwise expressions.
///
/// `sigmoid(f) * c + sigmoid(i) * tanh(g)` builds a small tree of types that holds its Vars.
/// Turning it into a Var evaluates it in one SIMD loop and records one node; that node's backward
/// pass is one SIMD loop too, which recomputes the tree in registers. Operands broadcast by NumPy's
/// rule. `auto e = ...` keeps the tree, which is then evaluated at each use: say `Var e = ...`. An
/// expression reads at most 16 Vars; a part of a longer one is made a Var.
namespace xgrad {

namespace detail {

/// A Var in an expression.
struct Leaf : Expression {
  static constexpr int leaves = 1;
  static constexpr int constants = 0;
  Var var;

  explicit Leaf(const Var& x) : var(x) {}
  explicit Leaf(Var&& x) : var(std::move(x)) {}
  void collect(Var* vars, double*) { *vars = std::move(var); }
};

/// The gradient of an argument that has none, nor has what it is computed from.
struct NoGradient {};

/// A number in an expression.
struct Constant {
  static constexpr int leaves = 0;
  static constexpr int constants = 1;
  double value;

  void collect(Var*, double* values) { *values = value; }
};

/// The I-th argument of an op.
template <std::size_t I, class Arg>
struct PointwiseArg {
  Arg arg;
};

/// As bases the arguments cost a compiler less than as a std::tuple.
template <class Positions, class... Args>
struct PointwiseArgs;
template <std::size_t... I, class... Args>
struct PointwiseArgs<std::index_sequence<I...>, Args...> : PointwiseArg<I, Args>... {
  template <class... Xs>
  explicit PointwiseArgs(std::in_place_t, Xs&&... xs)
      : PointwiseArg<I, Args>{std::forward<Xs>(xs)}... {}

  /// Moves the Vars out.
  void collect(Var* vars, double* values) {
    ((PointwiseArg<I, Args>::arg.collect(vars, values), vars += Args::leaves,
      values += Args::constants),
     ...);
  }
};

/// `Op` applied to expressions.
template <class Op, class... Args>
struct Pointwise : Expression, PointwiseArgs<std::index_sequence_for<Args...>, Args...> {
  static constexpr int leaves = (0 + ... + Args::leaves);
  static constexpr int constants = (0 + ... + Args::constants);
  using PointwiseArgs<std::index_sequence_for<Args...>, Args...>::PointwiseArgs;
};

/// Evaluates and records; not a template, so that an expression costs little to compile.
Var evaluate(const ExpressionType& type, const Var* leaves, const double* constants);

/// Evaluates the tree op by op on Vars (recorded, if a tape records); returns every node's value.
PoolVector<Var> walk(const ExpressionType& type, const Var* leaves, const double* constants);

/// A tree evaluated for its derivatives, node by node.
///
/// What `where` does not choose has the gradient 0. So that this is never multiplied by an infinite
/// or undefined slope, also where the gradient itself is differentiated, an op below a `where` is
/// computed from 0.5 in the places that are not chosen. If there is no `where`, `replaced` and
/// `chosen` are empty.
struct WalkedTree {
  PoolVector<Var> values;
  PoolVector<Var> replaced;  ///< a value as the op takes it whose argument it is, if so computed
  PoolVector<Var> chosen;    ///< of an op below a `where`: not 0 where the result has a part of it
};

WalkedTree walk_chosen(const ExpressionType& type, const Var* leaves, const double* constants);

/// From the gradient of the last node the gradient of every one, op by op on Vars; undefined where
/// there is none.
PoolVector<Var> walk_back(const ExpressionType& type, const WalkedTree& tree, const Var& gradient);

template <class T>
concept Scalar = std::is_arithmetic_v<T>;

/// What makes operators xgrad's.
template <class T>
concept Recordable = std::is_same_v<T, Var> || std::is_same_v<T, Tensor> || PointwiseExpression<T>;

/// What may stand in an expression. A Tensor and an array of xtensor's are constants.
template <class T>
concept Operand = Scalar<T> || Recordable<T> || XtensorExpression<T>;

// Temporaries are moved from: a copied Var is counted, and a tree is several operators deep.
inline Leaf operand(const Var& var) { return Leaf(var); }
inline Leaf operand(Var&& var) { return Leaf(std::move(var)); }
inline Leaf operand(const Tensor& tensor) { return Leaf(Var(tensor)); }
template <class E>
Leaf operand(const xt::xexpression<E>& array) {
  return Leaf(Var(array));
}
template <Scalar T>
Constant operand(T value) {
  return {static_cast<double>(value)};
}
template <PointwiseExpression E>
const E& operand(const E& expression) {
  return expression;
}
template <PointwiseExpression E>
E&& operand(E&& expression) {
  return std::move(expression);
}

template <class T>
using OperandType = std::decay_t<decltype(operand(std::declval<const T&>()))>;

/// Types for which an expression can be built: not numbers and xtensor's arrays alone.
template <class... Ts>
concept Operands = (Operand<std::remove_cvref_t<Ts>> && ...) &&
                   (Recordable<std::remove_cvref_t<Ts>> || ...);

}  // namespace detail

/// The expression that applies a pointwise op to Vars, numbers and expressions, and beside those to
/// Tensors and xtensor's arrays as constants. An op is
///
///     struct Tanh {
///       static constexpr const char* name = "tanh";
///       static auto value(auto x) { return tanh(x); }
///       static auto pullback(auto g, auto y, auto) { return g * (1 - y * y); }
///     };
///
/// `value` takes its arguments; `pullback` takes the gradient of the result, the result and the
/// arguments, and returns the gradient of the argument (of each, as `std::tuple`, if there are
/// several). Both are used with SIMD batches of float and double, with std::complex<double>, and
/// with Vars, for derivatives of any order. `static constexpr bool analytic = false;` says that it
/// has no complex form, `static constexpr bool transcendental = true;` that it takes long enough to
/// fetch memory ahead, `static constexpr bool exact = true;` that it only moves or selects numbers
/// (`float32check` expects no rounding then), and bit i of `static constexpr std::uint32_t addends`
/// that its derivative by argument i is exactly 1. An op has at most 4 arguments. Its value and
/// derivatives should be finite where all its arguments are 0.5: wherever an expression is walked
/// op by op, as in higher derivatives, that number stands in for what `where` does not choose.
template <class Op, class... Ts>
requires detail::Operands<Ts...>
auto pointwise(Ts&&... xs) {
  return detail::Pointwise<Op, detail::OperandType<Ts>...>(
      std::in_place, detail::operand(std::forward<Ts>(xs))...);
}

namespace detail {

inline void store_gradient(const NoGradient&, Var&) {}
template <class G>
void store_gradient(const G& pulled, Var& gradient) {
  gradient = Var(operand(pulled));
}

template <class Op, std::size_t arity>
Var PointwiseFunctions<Op, arity>::apply(const Var* args) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) { return Var(pointwise<Op>(args[I]...)); }
  (std::make_index_sequence<arity>());
}

template <class Op, std::size_t arity>
void PointwiseFunctions<Op, arity>::pullback(const Var& g, const Var& y, const Var* args,
                                             Var* gradients) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    const auto pulled = as_tuple(Op::pullback(g, y, args[I]...));
    (store_gradient(std::get<I>(pulled), gradients[I]), ...);
  }
  (std::make_index_sequence<arity>());
}

}  // namespace detail

template <PointwiseExpression E>
Var::Var(const E& expression) : Var(E(expression)) {}

template <PointwiseExpression E>
Var::Var(E&& expression) {
  static_assert(E::leaves <= detail::max_leaves, "an expression reads at most 16 Vars");
  if constexpr (std::is_same_v<E, detail::Leaf>) {
    *this = std::move(expression.var);
  } else {
    Var leaves[E::leaves];
    double constants[E::constants + 1] = {};
    expression.collect(leaves, constants);
    *this = detail::evaluate(detail::Kernels<E>::type, leaves, constants);
  }
}

/// Prints its value, which is computed for that.
template <PointwiseExpression E>
std::ostream& operator<<(std::ostream& stream, const E& expression) {
  return stream << Var(expression);
}

}  // namespace xgrad
