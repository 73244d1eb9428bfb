#include <algorithm>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/fast_backward.hpp>
#include <xgrad/core/functional_backward.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/strips.hpp>

namespace xgrad::detail {
namespace {

/// Finds the op whose operands do not fit together, so that the error names it and its shapes.
Shape shape_of_tree(const ExpressionType& type, const Var* leaves) {
  PoolVector<Shape> shapes;
  for (int i = 0; i < type.node_count; ++i) {
    const TreeNode& node = type.nodes[i];
    Shape shape;
    if (node.op) {
      for (int k = 0; k < node.op->arity; ++k) {
        const auto arg = static_cast<std::size_t>(node.args[static_cast<std::size_t>(k)]);
        shape = broadcast_shape(node.op->name, shape, shapes[arg]);
      }
    } else if (!node.constant) {
      shape = leaves[node.index].shape();
    }
    shapes.push_back(shape);
  }
  return shapes.back();
}

Shape result_shape(const ExpressionType& type, const Var* leaves) {
  const Shape& first = leaves[0].shape();
  for (int i = 1; i < type.leaves; ++i) {
    if (!(leaves[i].shape() == first)) return shape_of_tree(type, leaves);
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
    const PoolVector<Var> values = walk(type_, leaves.data(), constants_.data());
    const PoolVector<Var> gradients = walk_back(type_, values, pass.gradient());
    for (auto i = values.size(); i-- > 0;) {
      const TreeNode& at = type_.nodes[i];
      if (at.op || at.constant || !gradients[i].defined()) continue;
      pass.accumulate(copies[static_cast<std::size_t>(at.index)], gradients[i]);
    }
  }

 private:
  const ExpressionType& type_;
  PoolVector<double> constants_;
};

}  // namespace

PoolVector<Var> walk(const ExpressionType& type, const Var* leaves, const double* constants) {
  PoolVector<Var> values;
  for (int i = 0; i < type.node_count; ++i) {
    const TreeNode& node = type.nodes[i];
    if (node.op) {
      Var args[PointwiseOp::max_arity];
      for (int k = 0; k < node.op->arity; ++k) {
        args[k] = values[static_cast<std::size_t>(node.args[static_cast<std::size_t>(k)])];
      }
      values.push_back(node.op->apply(args));
    } else if (node.constant) {
      const double constant = constants[node.index];
      values.push_back(Tensor::full(
          {}, rounding_model ? rounding_model->constant(constant) : constant, leaves[0].dtype()));
    } else {
      values.push_back(leaves[node.index]);
    }
  }
  return values;
}

PoolVector<Var> walk_back(const ExpressionType& type, const PoolVector<Var>& values,
                          const Var& gradient) {
  PoolVector<Var> gradients(values.size());
  PoolVector<Var> chosen(
      values.size());  // below a `where`: not 0 where the result has a part of it
  gradients.back() = gradient;
  for (auto i = values.size(); i-- > 0;) {
    const TreeNode& at = type.nodes[i];
    if (!at.op || !gradients[i].defined()) continue;
    Var args[PointwiseOp::max_arity];
    Var pulled[PointwiseOp::max_arity];
    for (std::size_t k = 0; k < static_cast<std::size_t>(at.op->arity); ++k) {
      args[k] = values[static_cast<std::size_t>(at.args[k])];
    }
    at.op->pullback(gradients[i], values[i], args, pulled);
    for (std::size_t k = 0; k < static_cast<std::size_t>(at.op->arity); ++k) {
      const auto arg = static_cast<std::size_t>(at.args[k]);
      if (!pulled[k].defined() || type.nodes[arg].constant) continue;
      const Shape& shape = values[i].shape();
      Var pull = broadcast_to(pulled[k], shape);
      Var counts = chosen[i];
      if (counts.defined()) pull = where(counts, pull, 0.0);
      gradients[arg] = sum_to(pull, args[k].shape());
      if (!type.nodes[arg].op) continue;
      if (at.op->selection) {
        const Var own = k == 1 ? where(args[0], 1.0, 0.0) : where(args[0], 0.0, 1.0);
        counts = counts.defined() ? Var(counts * own) : own;
      }
      if (counts.defined()) chosen[arg] = sum_to(broadcast_to(counts, shape), args[k].shape());
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
    return walk(type, leaves, constants).back();
  }
  const Tensor* tensors[max_leaves];
  for (std::size_t i = 0; i < inputs.size(); ++i) tensors[i] = &leaves[i].tensor();
  if (rounding_model && type.node_count > type.leaves + 1) [[unlikely]]
    return walk(type, leaves, constants).back();
  Tensor value = Tensor::uninitialized(result_shape(type, leaves), dtype);
  run_forward(type, {tensors, inputs.size()}, constants, value);
  if (rounding_model && !op.exact) [[unlikely]]
    value = rounding_model->rounded(op.name, inputs, value);
  TapeData* tape = recording_tape(inputs);
  if (!tape) return Var(value);
  return tape->record(tape->make<ExpressionOperation>(type, constants), inputs, value);
}

}  // namespace xgrad::detail
