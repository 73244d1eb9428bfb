#pragma once

#include <algorithm>
#include <complex>
#include <cstring>
#include <tuple>
#include <utility>

#include <xgrad/core/kernels/expression_tree.hpp>
#include <xgrad/core/kernels/simd.hpp>

#ifdef __FAST_MATH__
#error "xgrad needs IEEE arithmetic: compile without -ffast-math"
#endif

// Kernels are compiled by the user's flags: in a namespace of the instruction set's own, objects of
// different flags do not share them.
#if defined(__AVX512F__)
#define XGRAD_SIMD_NAMESPACE avx512
#elif defined(__AVX2__)
#define XGRAD_SIMD_NAMESPACE avx2
#elif defined(__ARM_FEATURE_SVE)
#define XGRAD_SIMD_NAMESPACE sve
#else
#define XGRAD_SIMD_NAMESPACE baseline
#endif

namespace xgrad::detail {

inline constexpr int max_leaves = 16;

struct Leaf;
struct Constant;
struct NoGradient;
template <class Op, class... Args>
struct Pointwise;

/// The rows and columns that a kernel works on. Columns are adjacent in memory; strides of rows are
/// in elements. A mask of 0 instead of -1 pins an operand to one vector at its address: zeros to
/// read (assign instead of add) or a scratch vector to write (nobody wants this gradient).
struct Strips {
  struct Operand {
    const void* value;
    Index value_row;
    const void* source;  ///< backward: target = source + pull
    Index source_row;
    Index source_mask;
    void* target;
    Index target_row;
    Index target_mask;
  };
  Index rows;
  Index cols;
  const double* constants;
  void* out = nullptr;  ///< forward: the result
  Index out_row = 0;
  const void* gradient = nullptr;  ///< backward: of the result
  Index gradient_row = 0;
  Operand leaf[max_leaves];  ///< last, for few of them are in use
};

using StripKernel = void (*)(const Strips&);

/// An expression at run time.
struct ExpressionType {
  const TreeNode* nodes;
  int node_count;
  int leaves;
  int constants;
  std::uint32_t addends;   ///< bit i: the derivative by leaf i is exactly 1
  std::uint32_t reached;   ///< bit i: leaf i has a gradient
  StripKernel forward[3];  ///< by DType; null: walk the tree
  StripKernel backward[3];
};

inline namespace XGRAD_SIMD_NAMESPACE {

/// A tree evaluated on vectors V, every node's value kept for the way back.
template <class V, class E>
struct Evaluated;

template <class V>
struct Inputs {
  const V* leaves;
  const V* constants;
};

template <class V>
struct Evaluated<V, Leaf> {
  V value;
  explicit Evaluated(Inputs<V> in) : value(*in.leaves) {}
  void pull(const V& g, V* pulls) const { *pulls = g; }
};

template <class V>
struct Evaluated<V, Constant> {
  V value;
  explicit Evaluated(Inputs<V> in) : value(*in.constants) {}
  void pull(const V&, V*) const {}
};

/// The I-th argument of an op. As bases the arguments cost a compiler less than as a std::tuple.
template <class V, std::size_t I, class Arg>
struct EvaluatedArg {
  Evaluated<V, Arg> arg;
};

template <class V, class Op, class Positions, class... Args>
struct EvaluatedOp;
template <class V, class Op, std::size_t... I, class... Args>
struct EvaluatedOp<V, Op, std::index_sequence<I...>, Args...> : EvaluatedArg<V, I, Args>... {
  V value;

  explicit EvaluatedOp(Inputs<V> in)
      : EvaluatedArg<V, I, Args>{Evaluated<V, Args>(
            {in.leaves + leaves_before(I), in.constants + constants_before(I)})}...,
        value(Op::value(EvaluatedArg<V, I, Args>::arg.value...)) {}

  void pull(const V& g, V* pulls) const {
    const auto gradients = as_tuple(Op::pullback(g, value, EvaluatedArg<V, I, Args>::arg.value...));
    (pull_arg<I, Args>(std::get<I>(gradients), pulls + leaves_before(I)), ...);
    if constexpr (is_selection<Op>()) (drop_unchosen<I, Args>(pulls + leaves_before(I)), ...);
  }

 private:
  // The gradient of what is not chosen is 0, but a slope below it may be infinite.
  template <std::size_t i, class Arg>
  void drop_unchosen(V* pulls) const {
    if constexpr (i > 0 && !std::is_same_v<Arg, Leaf>) {
      const V& condition = first_of(*this).arg.value;
      for (int k = 0; k < Arg::leaves; ++k) {
        pulls[k] = i == 1 ? where(condition, pulls[k], V(0.0)) : where(condition, V(0.0), pulls[k]);
      }
    }
  }
  template <class First>
  static const EvaluatedArg<V, 0, First>& first_of(const EvaluatedArg<V, 0, First>& arg) {
    return arg;
  }
  template <std::size_t i, class Arg, class G>
  void pull_arg(const G& g, V* pulls) const {
    if constexpr (std::is_same_v<G, NoGradient>) {
      std::fill_n(pulls, Arg::leaves, V(0.0));
    } else {
      EvaluatedArg<V, i, Arg>::arg.pull(V(g), pulls);
    }
  }
  static constexpr int count(std::size_t end, std::initializer_list<int> each) {
    int sum = 0;
    for (std::size_t i = 0; i < end; ++i) sum += each.begin()[i];
    return sum;
  }
  static constexpr int leaves_before(std::size_t i) { return count(i, {Args::leaves...}); }
  static constexpr int constants_before(std::size_t i) { return count(i, {Args::constants...}); }
};

template <class V, class Op, class... Args>
struct Evaluated<V, Pointwise<Op, Args...>>
    : EvaluatedOp<V, Op, std::index_sequence_for<Args...>, Args...> {
  using EvaluatedOp<V, Op, std::index_sequence_for<Args...>, Args...>::EvaluatedOp;
};

template <class E>
inline constexpr bool is_transcendental = false;
template <class Op, class... Args>
inline constexpr bool is_transcendental<Pointwise<Op, Args...>> = requires {
  requires Op::transcendental;
}
|| (is_transcendental<Args> || ...);

template <class T, class E>
void forward_kernel(const Strips& s) {
  using V = SimdVector<T>;
  constexpr Index width = simd_width<T>;
  V constants[E::constants + 1];
  for (int i = 0; i < E::constants; ++i) constants[i] = simd_broadcast<T>(s.constants[i]);
  for (Index row = 0; row < s.rows; ++row) {
    const T* in[E::leaves];
    for (int i = 0; i < E::leaves; ++i) {
      in[i] = static_cast<const T*>(s.leaf[i].value) + row * s.leaf[i].value_row;
    }
    T* out = static_cast<T*>(s.out) + row * s.out_row;
    for (Index j = 0; j < s.cols; j += width) {
      const Index n = s.cols - j;
      V leaves[E::leaves];
      for (int i = 0; i < E::leaves; ++i) leaves[i] = simd_load(in[i] + j, n);
      simd_store(out + j, n, Evaluated<V, E>({leaves, constants}).value);
    }
  }
}

template <class T, class E>
void backward_kernel(const Strips& s) {
  using V = SimdVector<T>;
  constexpr Index width = simd_width<T>;
  V constants[E::constants + 1];
  for (int i = 0; i < E::constants; ++i) constants[i] = simd_broadcast<T>(s.constants[i]);
  for (Index row = 0; row < s.rows; ++row) {
    const T* in[E::leaves];
    const T* source[E::leaves];
    T* target[E::leaves];
    for (int i = 0; i < E::leaves; ++i) {
      const Strips::Operand& leaf = s.leaf[i];
      in[i] = static_cast<const T*>(leaf.value) + row * leaf.value_row;
      source[i] = static_cast<const T*>(leaf.source) + row * leaf.source_row;
      target[i] = static_cast<T*>(leaf.target) + row * leaf.target_row;
    }
    const T* gradient = static_cast<const T*>(s.gradient) + row * s.gradient_row;
    for (Index j = 0; j < s.cols; j += width) {
      const Index n = s.cols - j;
      V leaves[E::leaves];
      V pulls[E::leaves];
      for (int i = 0; i < E::leaves; ++i) {
        leaves[i] = simd_load(in[i] + j, n);
        if constexpr (is_transcendental<E>) {  // time enough to fetch what is a row ahead
          __builtin_prefetch(in[i] + s.leaf[i].value_row + j);
          __builtin_prefetch(target[i] + s.leaf[i].target_row + j, 1);
        }
      }
      Evaluated<V, E>({leaves, constants}).pull(simd_load(gradient + j, n), pulls);
      // One leaf after the other: two leaves may be the same memory.
      for (int i = 0; i < E::leaves; ++i) {
        const Index from = j & s.leaf[i].source_mask;
        const Index to = j & s.leaf[i].target_mask;
        simd_store(target[i] + to, n, simd_load(source[i] + from, n) + pulls[i]);
      }
    }
  }
}

// -- the run-time description -------------------------------------------------------------------

template <class E>
inline constexpr std::size_t tree_size = 1;
template <class Op, class... Args>
inline constexpr std::size_t tree_size<Pointwise<Op, Args...>> = (1 + ... + tree_size<Args>);

template <class E>
inline constexpr bool is_single_op = false;
template <class Op, class... Args>
inline constexpr bool is_single_op<Pointwise<Op, Args...>> =
    (std::is_same_v<Args, Leaf> && ...) && is_analytic<Op>();

template <class E>
inline constexpr bool is_identity = false;
template <class Op>
requires requires { Op::identity; }
inline constexpr bool is_identity<Pointwise<Op, Leaf>> = true;

/// An op on Vars. The library's own ops are instantiated in the library.
template <class Op, std::size_t arity>
struct PointwiseFunctions {
  static Var apply(const Var* args);
  static void pullback(const Var& g, const Var& y, const Var* args, Var* gradients);
  static constexpr PointwiseOp op{Op::name,           arity,  is_analytic<Op>(), is_exact<Op>(),
                                  is_selection<Op>(), &apply, &pullback};
};

/// Fills the array behind `at` and returns the position of the node for E.
struct TreeBuilder {
  TreeNode* nodes;
  std::int16_t at = 0;
  std::int16_t leaves = 0;
  std::int16_t constants = 0;

  constexpr std::int16_t add(std::type_identity<Leaf>) {
    nodes[at].index = leaves++;
    return at++;
  }
  constexpr std::int16_t add(std::type_identity<Constant>) {
    nodes[at].constant = true;
    nodes[at].index = constants++;
    return at++;
  }
  template <class Op, class... Args>
  constexpr std::int16_t add(std::type_identity<Pointwise<Op, Args...>>) {
    static_assert(sizeof...(Args) <= PointwiseOp::max_arity);
    const std::array<std::int16_t, PointwiseOp::max_arity> args{add(std::type_identity<Args>())...};
    nodes[at].op = &PointwiseFunctions<Op, sizeof...(Args)>::op;
    nodes[at].args = args;
    return at++;
  }
};

template <class E>
constexpr std::array<TreeNode, tree_size<E>> make_tree() {
  std::array<TreeNode, tree_size<E>> nodes{};
  TreeBuilder{nodes.data()}.add(std::type_identity<E>());
  return nodes;
}

/// Bit i: the derivative by leaf i is exactly 1, since only sums lie between it and the result.
template <class E>
inline constexpr std::uint32_t addends = std::is_same_v<E, Leaf> ? 1 : 0;
template <class Op, class A, class B>
requires requires { Op::addends; }
inline constexpr std::uint32_t addends<Pointwise<Op, A, B>> =
    (Op::addends & 1 ? addends<A> : 0) | (Op::addends & 2 ? addends<B> << A::leaves : 0);

/// Bit i: no argument that has no gradient lies between leaf i and the result.
template <class E>
inline constexpr std::uint32_t reached = std::is_same_v<E, Leaf> ? 1 : 0;
template <class Op, class... Args>
inline constexpr std::uint32_t reached<Pointwise<Op, Args...>> = [] {
  using V = SimdVector<float>;
  using Gradients = decltype(as_tuple(Op::pullback(
      std::declval<V>(), std::declval<V>(), std::declval<std::conditional_t<true, V, Args>>()...)));
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    std::uint32_t bits = 0;
    int leaf = 0;
    ((bits |=
      std::is_same_v<std::tuple_element_t<I, Gradients>, NoGradient> ? 0 : reached<Args> << leaf,
      leaf += Args::leaves),
     ...);
    return bits;
  }
  (std::index_sequence_for<Args...>());
}();

/// What the engine needs to know of an expression type.
template <class E>
struct Kernels {
  static constexpr auto tree = make_tree<E>();
  static constexpr StripKernel complex_kernel() {
    if constexpr (is_single_op<E>) {
      return &forward_kernel<std::complex<double>, E>;
    } else {
      return nullptr;
    }
  }
  /// Of complex gradients only sums are taken in place: the rest is walked op by op.
  static constexpr StripKernel complex_backward_kernel() {
    if constexpr (is_identity<E>) {
      return &backward_kernel<std::complex<double>, E>;
    } else {
      return nullptr;
    }
  }
  static const ExpressionType type;
};

template <class E>
const ExpressionType Kernels<E>::type{
    tree.data(),
    static_cast<int>(tree.size()),
    E::leaves,
    E::constants,
    addends<E>,
    reached<E>,
    {&forward_kernel<float, E>, &forward_kernel<double, E>, complex_kernel()},
    {&backward_kernel<float, E>, &backward_kernel<double, E>, complex_backward_kernel()}};

}  // namespace XGRAD_SIMD_NAMESPACE
}  // namespace xgrad::detail

#undef XGRAD_SIMD_NAMESPACE
