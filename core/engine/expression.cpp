#include <algorithm>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/fast_backward.hpp>
#include <xgrad/core/engine/functional_backward.hpp>
#include <xgrad/core/engine/rounding.hpp>
#include <xgrad/core/kernels/pointwise_loop.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

std::size_t arity(const TreeNode& node) {
  return node.op ? static_cast<std::size_t>(node.op->arity) : 0;
}

std::size_t arg_of(const TreeNode& node, std::size_t k) {
  return static_cast<std::size_t>(node.args[k]);
}

/// Of every node. Finds the op whose operands do not fit together, so that the error names it and
/// its shapes.
PoolVector<Shape> shapes_of_tree(const ExpressionType& type, const Var* leaves) {
  PoolVector<Shape> shapes;
  for (int i = 0; i < type.node_count; ++i) {
    const TreeNode& node = type.nodes[i];
    Shape shape;
    if (node.op) {
      for (std::size_t k = 0; k < arity(node); ++k) {
        shape = broadcast_shape(node.op->name, shape, shapes[arg_of(node, k)]);
      }
    } else if (!node.constant) {
      shape = leaves[node.index].shape();
    }
    shapes.push_back(shape);
  }
  return shapes;
}

Shape result_shape(const ExpressionType& type, const Var* leaves) {
  const Shape& first = leaves[0].shape();
  for (int i = 1; i < type.leaves; ++i) {
    if (!(leaves[i].shape() == first)) return shapes_of_tree(type, leaves).back();
  }
  return first;
}

bool same_view(const Tensor& a, const Tensor& b) {
  return a.address() == b.address() && a.shape() == b.shape() && a.strides() == b.strides();
}

/// An expression on the tape.
class ExpressionOperation final : public Operation {
 public:
  ExpressionOperation(const ExpressionType& type, const double* constants)
      : type_(type), constants_(constants, constants + type.constants) {}

  const char* name() const override { return type_.nodes[type_.node_count - 1].op->name; }
  std::uint32_t addends() const override { return type_.addends; }

  FusedExpression expression() const override { return {&type_, constants_.data()}; }

  void pull(FastBackward& pass, std::uint32_t node) override {
    const auto inputs = pass.tape().inputs(node);
    const Tensor& gradient = pass.gradient(node);
    const Tensor* leaves[max_leaves];
    LeafTarget targets[max_leaves];
    bool any = false;
    for (std::uint32_t i = 0; i < inputs.size(); ++i) {
      const Input& input = inputs[i];
      leaves[i] = &input.var.tensor();
      if (!(type_.reached >> i & 1) || !pass.wants(input)) continue;
      if ((type_.addends >> i & 1) && pass.passes_on(node, i, input)) continue;
      Sharing sharing = Sharing::none;
      for (std::uint32_t k = 0; k < inputs.size(); ++k) {
        if (k == i || !pass.overlap(inputs[k], input)) continue;
        const bool same = same_view(inputs[k].var.tensor(), input.var.tensor());
        sharing = std::max(sharing, same ? Sharing::same_view : Sharing::overlap);
      }
      const bool adds = sharing == Sharing::overlap || repeats(input.var.shape(), gradient.shape());
      targets[i] = pass.target(input, adds);
      targets[i].sharing = sharing;
      any = true;
    }
    if (any) {
      run_backward(type_, {leaves, inputs.size()}, constants_.data(), gradient.shape(), gradient,
                   {targets, inputs.size()});
    }
  }

  void pull(FunctionalBackward& pass, std::uint32_t node) override {
    const auto inputs = pass.tape().inputs(node);
    const PoolVector<Input> copies(inputs.begin(), inputs.end());
    PoolVector<Var> leaves;
    for (const Input& input : copies) leaves.push_back(input.var);
    const WalkedTree tree = walk_chosen(type_, leaves.data(), constants_.data());
    const PoolVector<Var> gradients = walk_back(type_, tree, pass.gradient());
    for (auto i = gradients.size(); i-- > 0;) {
      const TreeNode& at = type_.nodes[i];
      if (at.op || at.constant || !gradients[i].defined()) continue;
      pass.accumulate(copies[static_cast<std::size_t>(at.index)], gradients[i]);
    }
  }

 private:
  const ExpressionType& type_;
  PoolVector<double> constants_;
};

/// The value of a leaf or a constant.
Var value_of_end(const TreeNode& node, const Var* leaves, const double* constants) {
  if (!node.constant) return leaves[node.index];
  const double constant = constants[node.index];
  return Tensor::full({}, rounding_in_force ? rounding_in_force->constant(constant) : constant,
                      leaves[0].dtype());
}

/// Whether a node belongs to the condition of a `where`.
PoolVector<char> conditions_of(const ExpressionType& type) {
  const auto n = static_cast<std::size_t>(type.node_count);
  PoolVector<char> found(n, 0);
  for (std::size_t i = n; i-- > 0;) {
    const TreeNode& node = type.nodes[i];
    for (std::size_t k = 0; k < arity(node); ++k) {
      found[arg_of(node, k)] = found[i] || (k == 0 && node.op->selection);
    }
  }
  return found;
}

/// Of every op below a `where`, how many elements of the result are chosen from each of its own.
PoolVector<Var> chosen_parts(const ExpressionType& type, const PoolVector<Shape>& shapes,
                             const PoolVector<Var>& values, const PoolVector<char>& in_condition) {
  PoolVector<Var> chosen(shapes.size());
  for (auto i = shapes.size(); i-- > 0;) {
    const TreeNode& node = type.nodes[i];
    for (std::size_t k = 0; k < arity(node); ++k) {
      const std::size_t arg = arg_of(node, k);
      if (!type.nodes[arg].op || in_condition[arg]) continue;
      Var counts = chosen[i];
      if (node.op->selection) {
        const Var& condition = values[arg_of(node, 0)];
        const Var own = k == 1 ? where(condition, 1.0, 0.0) : where(condition, 0.0, 1.0);
        counts = counts.defined() ? Var(counts * own) : own;
      }
      if (counts.defined()) chosen[arg] = sum_to(broadcast_to(counts, shapes[i]), shapes[arg]);
    }
  }
  return chosen;
}

}  // namespace

PoolVector<Var> walk(const ExpressionType& type, const Var* leaves, const double* constants) {
  PoolVector<Var> values;
  for (int i = 0; i < type.node_count; ++i) {
    const TreeNode& node = type.nodes[i];
    if (node.op) {
      Var args[PointwiseOp::max_arity];
      for (std::size_t k = 0; k < arity(node); ++k) {
        args[k] = values[arg_of(node, k)];
      }
      values.push_back(node.op->apply(args));
    } else {
      values.push_back(value_of_end(node, leaves, constants));
    }
  }
  return values;
}

WalkedTree walk_chosen(const ExpressionType& type, const Var* leaves, const double* constants) {
  const auto selects = [](const TreeNode& node) { return node.op && node.op->selection; };
  if (std::none_of(type.nodes, type.nodes + type.node_count, selects)) {
    return {walk(type, leaves, constants), {}, {}};
  }
  const auto n = static_cast<std::size_t>(type.node_count);
  WalkedTree tree{PoolVector<Var>(n), PoolVector<Var>(n), PoolVector<Var>(n)};
  const auto evaluate_node = [&](std::size_t i) {
    const TreeNode& node = type.nodes[i];
    if (!node.op) {
      tree.values[i] = value_of_end(node, leaves, constants);
      return;
    }
    Var args[PointwiseOp::max_arity];
    for (std::size_t k = 0; k < arity(node); ++k) {
      const std::size_t arg = arg_of(node, k);
      args[k] = tree.values[arg];
      if (!tree.chosen[i].defined() || node.op->selection) continue;
      args[k] = tree.replaced[arg] = where(tree.chosen[i], args[k], 0.5);
    }
    tree.values[i] = node.op->apply(args);
  };
  // The conditions come first: they say what the rest is computed from.
  const PoolVector<char> in_condition = conditions_of(type);
  for (std::size_t i = 0; i < n; ++i) {
    if (in_condition[i]) evaluate_node(i);
  }
  tree.chosen = chosen_parts(type, shapes_of_tree(type, leaves), tree.values, in_condition);
  for (std::size_t i = 0; i < n; ++i) {
    if (!in_condition[i]) evaluate_node(i);
  }
  return tree;
}

PoolVector<Var> walk_back(const ExpressionType& type, const WalkedTree& tree, const Var& gradient) {
  const PoolVector<Var>& values = tree.values;
  PoolVector<Var> gradients(values.size());
  gradients.back() = gradient;
  for (auto i = values.size(); i-- > 0;) {
    const TreeNode& at = type.nodes[i];
    if (!at.op || !gradients[i].defined()) continue;
    const bool partly = !tree.chosen.empty() && tree.chosen[i].defined();
    Var args[PointwiseOp::max_arity];
    Var pulled[PointwiseOp::max_arity];
    for (std::size_t k = 0; k < arity(at); ++k) {
      const std::size_t arg = arg_of(at, k);
      args[k] = partly && !at.op->selection ? tree.replaced[arg] : values[arg];
    }
    at.op->pullback(gradients[i], values[i], args, pulled);
    for (std::size_t k = 0; k < arity(at); ++k) {
      const std::size_t arg = arg_of(at, k);
      if (!pulled[k].defined() || type.nodes[arg].constant) continue;
      Var pull = broadcast_to(pulled[k], values[i].shape());
      if (partly) pull = where(tree.chosen[i], pull, 0.0);
      gradients[arg] = sum_to(pull, values[arg].shape());
    }
  }
  return gradients;
}

Var evaluate(const ExpressionType& type, const Var* leaves, const double* constants) {
  const std::span<const Var> inputs(leaves, static_cast<std::size_t>(type.leaves));
  const PointwiseOp& op = *type.nodes[type.node_count - 1].op;
  for (const Var& leaf : inputs) {
    if (!leaf.defined()) throw Error(std::string(op.name) + ": an operand has no value");
  }
  check_dtypes(op.name, inputs);
  const DType dtype = leaves[0].dtype();
  if (!type.forward[static_cast<int>(dtype)]) {
    for (int i = 0; i < type.node_count; ++i) {
      const PointwiseOp* each = type.nodes[i].op;
      if (each && !each->analytic) {
        throw Error(std::string(each->name) + ": complex128 is not supported: it is not analytic");
      }
    }
    return walk_chosen(type, leaves, constants).values.back();
  }
  const Tensor* tensors[max_leaves];
  for (std::size_t i = 0; i < inputs.size(); ++i) tensors[i] = &leaves[i].tensor();
  if (rounding_in_force && type.node_count > type.leaves + 1) [[unlikely]]
    return walk_chosen(type, leaves, constants).values.back();
  Tensor value = Tensor::uninitialized(result_shape(type, leaves), dtype);
  run_forward(type, {tensors, inputs.size()}, constants, value);
  if (rounding_in_force && !op.exact) [[unlikely]]
    value = rounding_in_force->rounded(op.name, inputs, value);
  TapeData* tape = recording_tape(inputs);
  if (!tape) return Var(value);
  return tape->record(make_operation<ExpressionOperation>(*tape, type, constants), inputs, value);
}

}  // namespace xgrad::detail
