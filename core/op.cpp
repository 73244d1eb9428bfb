#include <algorithm>

#include <xgrad/core/fast_backward.hpp>
#include <xgrad/core/functional_backward.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/product.hpp>

namespace xgrad::detail {
namespace {

void check_gradient(const TapeData& tape, std::uint32_t node, const Input& input,
                    const Tensor& gradient) {
  if (gradient.dtype() == input.var.dtype()) return;
  throw Error(std::string("backward: the pullback of '") + tape.nodes[node].operation->name() +
              "' gives a gradient of " + name(gradient.dtype()) + " to an input of " +
              name(input.var.dtype()) + ": they must have one dtype");
}

class FastPullback final : public Pullback {
 public:
  FastPullback(FastBackward& pass, std::uint32_t node, const Var& output)
      : Pullback(output, pass.tape().inputs(node)),
        pass_(pass),
        node_(node),
        owns_gradient_(pass.owns_gradient(node)) {
    gradient_ = pass.gradient(node);
  }

  bool wants(std::size_t i) const override { return pass_.wants(inputs_[i]); }
  void add(std::size_t i, Var gradient) override {
    if (!wants(i)) return;
    const bool temporary = gradient.data()->references.load(std::memory_order_relaxed) == 1;
    const Tensor tensor = gradient.tensor();
    gradient = Var();
    check_gradient(pass_.tape(), node_, inputs_[i], tensor);
    const bool own = temporary && tensor.is_unique();
    if (!own || !pass_.adopt(inputs_[i], tensor)) pass_.accumulate(inputs_[i], tensor);
  }
  void pass_on(std::size_t i) override {
    if (!wants(i)) return;
    check_gradient(pass_.tape(), node_, inputs_[i], gradient_.tensor());
    if (pass_.passes_on(node_, static_cast<std::uint32_t>(i), inputs_[i])) return;
    pass_.accumulate(inputs_[i], gradient_.tensor());
  }
  void add_part(std::size_t i, const Var& part) override {
    if (!wants(i)) return;
    check_gradient(pass_.tape(), node_, inputs_[i], part.tensor());
    if (!owns_gradient_ || !pass_.adopt(inputs_[i], part.tensor())) {
      pass_.accumulate(inputs_[i], part.tensor());
    }
  }
  bool owns_gradient() const override {  // a watch reads it after the pullback
    return owns_gradient_ && !pass_.tape().watch();
  }
  void do_add_product(std::size_t i, const Var& a, const Var& b) override {
    pass_.accumulate_product(inputs_[i], a, b);
  }

 private:
  FastBackward& pass_;
  std::uint32_t node_;
  bool owns_gradient_;
};

class FunctionalPullback final : public Pullback {
 public:
  FunctionalPullback(FunctionalBackward& pass, std::uint32_t node, const Var& output,
                     std::span<const Input> inputs)
      : Pullback(output, inputs), pass_(pass), node_(node) {
    gradient_ = pass.gradient();
  }

  bool wants(std::size_t i) const override { return inputs_[i].slot != no_slot; }
  void add(std::size_t i, Var gradient) override {
    if (!wants(i)) return;
    check_gradient(pass_.tape(), node_, inputs_[i], gradient.tensor());
    pass_.accumulate(inputs_[i], gradient);
  }
  void do_add_product(std::size_t i, const Var& a, const Var& b) override {
    pass_.accumulate(inputs_[i], product(a, b));
  }

 private:
  FunctionalBackward& pass_;
  std::uint32_t node_;
};

}  // namespace

void FunctionOperation::pull(FastBackward& pass, std::uint32_t node) {
  FastPullback p(pass, node, output);
  pullback(p);
}

void FunctionOperation::pull(FunctionalBackward& pass, std::uint32_t node) {
  // Copied, since ops recorded by the pullback move the tape's own list.
  const auto inputs = pass.tape().inputs(node);
  const PoolVector<Input> copies(inputs.begin(), inputs.end());
  FunctionalPullback p(pass, node, output, copies);
  pullback(p);
}

TapeData* recording_tape(std::span<const Var> inputs) {
  TapeData* tape = TapeData::current();
  if (!tape) return nullptr;
  bool wanted = false;
  for (const Var& x : inputs) wanted = tape->slot_of(x) != no_slot || wanted;
  return wanted ? tape : nullptr;
}

void check_dtypes(const char* op, std::span<const Var> inputs) {
  for (const Var& x : inputs) {
    if (x.dtype() != inputs[0].dtype()) {
      throw Error(std::string(op) + ": operands are " + name(inputs[0].dtype()) + " and " +
                  name(x.dtype()) + ": they must have one dtype");
    }
  }
}

}  // namespace xgrad::detail

namespace xgrad {

void Pullback::add_product(std::size_t i, const Var& a, const Var& b) {
  if (!wants(i)) return;
  const Var operands[] = {inputs_[i].var, a, b};
  detail::check_dtypes("add_product", operands);
  const Shape& x = operands[0].shape();
  if (x.size() != 2 || a.dim() != 2 || b.dim() != 2 || a.shape()[1] != b.shape()[0] ||
      !(x == Shape{a.shape()[0], b.shape()[1]})) {
    throw Error("add_product: the input is " + to_string(x) + ", a is " + to_string(a.shape()) +
                ", b is " + to_string(b.shape()) + ": a.b must be a matrix of the input's shape");
  }
  do_add_product(i, a, b);
}

}  // namespace xgrad
