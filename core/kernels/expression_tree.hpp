#pragma once

#include <array>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace xgrad {
class Var;
}

namespace xgrad::detail {

template <class T>
inline constexpr bool is_tuple = false;
template <class... Ts>
inline constexpr bool is_tuple<std::tuple<Ts...>> = true;

/// What a pullback returned, as a tuple with one gradient for each argument.
template <class G>
auto as_tuple(G&& gradients) {
  if constexpr (is_tuple<std::decay_t<G>>) {
    return std::forward<G>(gradients);
  } else {
    return std::tuple<std::decay_t<G>>(std::forward<G>(gradients));
  }
}

template <class Op>
constexpr bool is_analytic() {
  if constexpr (requires { Op::analytic; }) {
    return Op::analytic;
  } else {
    return true;
  }
}

/// Whether an op moves or selects numbers, so that its result is exact in every precision.
template <class Op>
constexpr bool is_exact() {
  if constexpr (requires { Op::exact; }) {
    return Op::exact;
  } else {
    return false;
  }
}

/// Whether the first argument says which of the two others is the result.
template <class Op>
constexpr bool is_selection() {
  if constexpr (requires { Op::selection; }) {
    return Op::selection;
  } else {
    return false;
  }
}

/// A pointwise op at run time: how an expression is walked node by node.
struct PointwiseOp {
  static constexpr std::size_t max_arity = 4;

  const char* name;
  int arity;
  bool analytic;
  bool exact;      ///< moves or selects numbers
  bool selection;  ///< is_selection
  Var (*apply)(const Var* args);
  void (*pullback)(const Var& g, const Var& y, const Var* args, Var* gradients);
};

/// A node of an expression, after its arguments in the array.
struct TreeNode {
  const PointwiseOp* op = nullptr;  ///< null for a leaf or a constant
  bool constant = false;
  std::int16_t index = 0;  ///< the number of the leaf or constant
  std::array<std::int16_t, PointwiseOp::max_arity> args{};
};

}  // namespace xgrad::detail
