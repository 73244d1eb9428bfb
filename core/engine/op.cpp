#include <algorithm>
#include <string>

#include <xgrad/core/engine/fast_backward.hpp>
#include <xgrad/core/engine/functional_backward.hpp>
#include <xgrad/core/engine/observer.hpp>
#include <xgrad/core/engine/product.hpp>
#include <xgrad/core/engine/rounding.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

class FastPullback final : public Pullback {
 public:
  FastPullback(FastBackward& pass, std::uint32_t node, const Operation& operation,
               const Var& output)
      : Pullback(operation, output, pass.tape().inputs(node).size()),
        pass_(pass),
        node_(node),
        inputs_(pass.tape().inputs(node)),
        owns_gradient_(pass.owns_gradient(node)) {
    gradient_ = pass.gradient(node);
  }

  bool owns_gradient() const override {  // an observer reads it after the pullback
    return owns_gradient_ && !pass_.tape().observer();
  }

 private:
  const Var& input_at(std::size_t i) const override { return inputs_[i].var; }
  bool is_wanted(std::size_t i) const override { return pass_.wants(inputs_[i]); }
  void do_add(std::size_t i, Var gradient) override {
    const bool temporary = gradient.data()->references.load(std::memory_order_relaxed) == 1;
    const Tensor tensor = gradient.tensor();
    gradient = Var();
    const bool own = temporary && tensor.is_unique();
    if (!own || !pass_.adopt(inputs_[i], tensor)) pass_.accumulate(inputs_[i], tensor);
  }
  void do_pass_on(std::size_t i) override {
    if (pass_.passes_on(node_, static_cast<std::uint32_t>(i), inputs_[i])) return;
    pass_.accumulate(inputs_[i], gradient_.tensor());
  }
  void do_add_part(std::size_t i, const Var& part) override {
    const bool own = owns_gradient_ && part.tensor().shares_memory(gradient_.tensor());
    if (!own || !pass_.adopt(inputs_[i], part.tensor())) {
      pass_.accumulate(inputs_[i], part.tensor());
    }
  }
  void do_add_product(std::size_t i, const Var& a, const Var& b) override {
    pass_.accumulate_product(inputs_[i], a, b);
  }

  FastBackward& pass_;
  std::uint32_t node_;
  std::span<const Input> inputs_;
  bool owns_gradient_;
};

class FunctionalPullback final : public Pullback {
 public:
  FunctionalPullback(FunctionalBackward& pass, const Operation& operation, const Var& output,
                     std::span<const Input> inputs)
      : Pullback(operation, output, inputs.size()), pass_(pass), inputs_(inputs) {
    gradient_ = pass.gradient();
  }

 private:
  const Var& input_at(std::size_t i) const override { return inputs_[i].var; }
  bool is_wanted(std::size_t i) const override { return inputs_[i].slot != no_slot; }
  void do_add(std::size_t i, Var gradient) override { pass_.accumulate(inputs_[i], gradient); }
  void do_add_product(std::size_t i, const Var& a, const Var& b) override {
    pass_.accumulate(inputs_[i], product(a, b));
  }

  FunctionalBackward& pass_;
  std::span<const Input> inputs_;
};

}  // namespace

void FunctionOperation::pull(FastBackward& pass, std::uint32_t node) {
  FastPullback p(pass, node, *this, output);
  pullback(p);
  p.check_addends();
}

void FunctionOperation::pull(FunctionalBackward& pass, std::uint32_t node) {
  // Copied, since ops recorded by the pullback move the tape's own list.
  const auto inputs = pass.tape().inputs(node);
  const PoolVector<Input> copies(inputs.begin(), inputs.end());
  FunctionalPullback p(pass, *this, output, copies);
  pullback(p);
  p.check_addends();
}

TapeData* recording_tape(std::span<const Var> inputs) {
  TapeData* tape = TapeData::current();
  if (!tape) return nullptr;
  bool wanted = false;
  for (const Var& x : inputs) wanted = tape->slot_of(x) != no_slot || wanted;
  return wanted ? tape : nullptr;
}

void* operation_memory(TapeData& tape, std::size_t bytes, std::size_t alignment) {
  return tape.allocate(bytes, alignment);
}

Var record(TapeData& tape, Operation* operation, std::span<const Var> inputs, const Tensor& value) {
  return tape.record(operation, inputs, value);
}

Tensor rounded(const char* op, std::span<const Var> inputs, const Evaluation& evaluate) {
  return rounding_in_force->rounded(op, inputs, evaluate);
}

Tensor rounded(const Tensor& value, const Tensor& magnitude) {
  return rounding_in_force->rounded(value, magnitude);
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
namespace {

/// True if the axes, aligned at the right, are equal or 1.
bool broadcast_together(const Shape& a, const Shape& b) {
  for (std::size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const Index x = a[a.size() - i];
    const Index y = b[b.size() - i];
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

std::string pullback_of(const detail::Operation& operation) {
  return std::string("backward: the pullback of '") + operation.name() + "'";
}

}  // namespace

void Pullback::refuse_input(std::size_t i) const {
  throw Error(pullback_of(operation_) + " asks for input " + std::to_string(i) + ": there are " +
              std::to_string(inputs_) + ", counted from 0");
}

void Pullback::check(std::size_t i, const Var& gradient) const {
  const Var& x = input(i);
  if (!gradient.defined()) {
    throw Error(pullback_of(operation_) + " gives input " + std::to_string(i) +
                " a gradient without a value: leave it out, or give zeros");
  }
  if (gradient.dtype() != x.dtype()) {
    throw Error(pullback_of(operation_) + " gives a gradient of " + name(gradient.dtype()) +
                " to an input of " + name(x.dtype()) + ": they must have one dtype");
  }
  if (!(gradient.shape() == x.shape()) && !broadcast_together(gradient.shape(), x.shape())) {
    throw Error(pullback_of(operation_) + " gives a gradient of " + to_string(gradient.shape()) +
                " to an input of " + to_string(x.shape()) + ": they must broadcast");
  }
}

void Pullback::check_no_addend(std::size_t i) const {
  if (is_addend(i)) {
    throw Error(pullback_of(operation_) + " adds to input " + std::to_string(i) +
                ", which the op's addends() name: it must be passed on");
  }
}

void Pullback::check_addends() const {
  if (addends_ == 0) return;
  for (std::size_t i = 0; i < inputs_; ++i) {
    if (is_addend(i) && !(passed_on_ >> i & 1) && wants(i)) {
      throw Error(pullback_of(operation_) + " does not pass on its gradient to input " +
                  std::to_string(i) + ", which the op's addends() name");
    }
  }
}

void Pullback::pass_on(std::size_t i) {
  if (!wants(i)) return;
  check(i, gradient_);
  if (!is_addend(i)) return do_add(i, gradient_);
  if (passed_on_ >> i & 1) {
    throw Error(pullback_of(operation_) + " passes on its gradient to input " + std::to_string(i) +
                " twice");
  }
  passed_on_ |= std::uint32_t{1} << i;
  do_pass_on(i);
}

void Pullback::add(std::size_t i, Var gradient) {
  if (!wants(i)) return;
  check_no_addend(i);
  check(i, gradient);
  do_add(i, std::move(gradient));
}

void Pullback::add_part(std::size_t i, const Var& part) {
  if (!wants(i)) return;
  check_no_addend(i);
  check(i, part);
  do_add_part(i, part);
}

void Pullback::add_product(std::size_t i, const Var& a, const Var& b) {
  if (!wants(i)) return;
  check_no_addend(i);
  if (!a.defined() || !b.defined()) check(i, Var());
  const Var operands[] = {input(i), a, b};
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
