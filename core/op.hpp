#pragma once

#include <initializer_list>
#include <span>
#include <utility>

#include <xgrad/core/kernels/pointwise_kernel.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad {

namespace detail {

class FastBackward;
class FunctionalBackward;
class FunctionOperation;
class Rounding;
class TapeData;

/// A pointwise expression and the numbers in it; null for any other operation.
struct FusedExpression {
  const ExpressionType* type = nullptr;
  const double* constants = nullptr;
};

/// What a node does when the backward pass reaches it. Lives in the tape's arena.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual const char* name() const = 0;
  /// Adds the gradients of the inputs, in gradient storage.
  virtual void pull(FastBackward& pass, std::uint32_t node) = 0;
  /// The same in ops on Vars, which may be recorded in turn.
  virtual void pull(FunctionalBackward& pass, std::uint32_t node) = 0;
  /// Bit i: the derivative by input i is exactly 1 wherever the shapes agree.
  virtual std::uint32_t addends() const { return 0; }
  virtual FusedExpression expression() const { return {}; }
  /// Only moves or selects numbers.
  virtual bool is_exact() const { return false; }
};

}  // namespace detail

/// What an op's pullback sees and gives. The gradients it adds are ops on Vars, so that the same
/// pullback serves derivatives of any order. Inputs are counted from 0; all throw, naming the op,
/// if there is no input i, and those that add also for a gradient without a value, of another
/// dtype, or of a shape that does not broadcast with the input's.
class Pullback {
 public:
  virtual ~Pullback() = default;

  const Var& gradient() const { return gradient_; }  ///< of the op's result
  const Var& output() const { return output_; }      ///< the op's result
  const Var& input(std::size_t i) const { return input_at(checked(i)); }
  std::size_t inputs() const { return inputs_; }

  /// False if nobody asks for the gradient of input i: no need to compute it.
  bool wants(std::size_t i) const { return is_wanted(checked(i)); }

  /// Adds `gradient()` itself to the gradient of input i: for an addend, which has a derivative of
  /// exactly 1. Costs nothing where nobody else reads the input, if the op's `addends()` name it;
  /// such an input must be passed on once, and gets nothing else.
  void pass_on(std::size_t i);

  /// Adds to the gradient of input i. `gradient` broadcasts to the input's shape, or is summed over
  /// the axes along which the input was broadcast. Does nothing if nobody asks.
  void add(std::size_t i, Var gradient);

  /// The same for a part of `gradient()`, where no two inputs get the same element: the part's
  /// memory may become the input's own gradient.
  void add_part(std::size_t i, const Var& part);

  /// True if nobody else reads `gradient()`: the pullback may overwrite it, and add it as a part.
  virtual bool owns_gradient() const { return false; }

  /// Adds the matrix product a.b to the gradient of input i, in place where that is possible.
  /// Throws if the input is not a matrix of the product's shape and dtype. Does nothing if nobody
  /// asks.
  void add_product(std::size_t i, const Var& a, const Var& b);

 protected:
  Pullback(const detail::Operation& operation, const Var& output, std::size_t inputs)
      : output_(output), inputs_(inputs), operation_(operation), addends_(operation.addends()) {}

  // What the two backward passes do, for an input that there is.
  virtual const Var& input_at(std::size_t i) const = 0;
  virtual bool is_wanted(std::size_t i) const = 0;
  // ... and for a gradient that fits and somebody asks for.
  virtual void do_add(std::size_t i, Var gradient) = 0;
  virtual void do_add_part(std::size_t i, const Var& part) { do_add(i, part); }
  virtual void do_pass_on(std::size_t i) { do_add(i, gradient_); }
  virtual void do_add_product(std::size_t i, const Var& a, const Var& b) = 0;

  Var gradient_;
  Var output_;

 private:
  friend class detail::FunctionOperation;

  std::size_t checked(std::size_t i) const {
    if (i >= inputs_) [[unlikely]]
      refuse_input(i);
    return i;
  }
  [[noreturn]] void refuse_input(std::size_t i) const;
  bool is_addend(std::size_t i) const { return i < 32 && (addends_ >> i & 1); }
  void check(std::size_t i, const Var& gradient) const;
  void check_no_addend(std::size_t i) const;
  void check_addends() const;

  std::size_t inputs_;
  const detail::Operation& operation_;
  std::uint32_t addends_;
  std::uint32_t passed_on_ = 0;  ///< bit i: input i
};

namespace detail {

/// A recorded op with a pullback.
class FunctionOperation : public Operation {
 public:
  void pull(FastBackward& pass, std::uint32_t node) final;
  void pull(FunctionalBackward& pass, std::uint32_t node) final;
  virtual void pullback(Pullback& p) const = 0;

  Var output;
};

template <class Op>
class FunctionOf final : public FunctionOperation {
 public:
  explicit FunctionOf(Op op) : op_(std::move(op)) {}
  const char* name() const override { return Op::name; }
  bool is_exact() const override { return detail::is_exact<Op>(); }
  std::uint32_t addends() const override {
    if constexpr (requires { op_.addends(); }) {
      return op_.addends();
    } else {
      return 0;
    }
  }
  void pullback(Pullback& p) const override { op_.pullback(p); }

 private:
  Op op_;
};

/// The current tape if it records and takes a gradient of one of the Vars, else null.
TapeData* recording_tape(std::span<const Var> inputs);

void* operation_memory(TapeData& tape, std::size_t bytes, std::size_t alignment);

/// An Operation in the tape's arena, which `record` is then given.
template <class T, class... Args>
T* make_operation(TapeData& tape, Args&&... args) {
  return new (operation_memory(tape, sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
}

/// Appends the operation to the tape; if this throws, it is gone and the record as it was.
Var record(TapeData& tape, Operation* operation, std::span<const Var> inputs, const Tensor& value);

template <class Op>
Var record_function(Op&& op, std::span<const Var> inputs, const Tensor& value) {
  TapeData* tape = recording_tape(inputs);
  if (!tape) return Var(value);
  auto* operation = make_operation<FunctionOf<std::decay_t<Op>>>(*tape, std::forward<Op>(op));
  Var y = record(*tape, operation, inputs, value);
  operation->output = y;
  return y;
}

/// Set while numbers are rounded otherwise on this thread: see <xgrad/core/engine/rounding.hpp>.
inline constinit thread_local Rounding* rounding_in_force = nullptr;

/// An op's value for other operands: `f(context, operands)`.
struct Evaluation {
  Tensor (*f)(const void* context, const Var* operands);
  const void* context;

  Tensor operator()(const Var* operands) const { return f(context, operands); }
};

Tensor rounded(const char* op, std::span<const Var> inputs, const Evaluation& evaluate);
Tensor rounded(const Tensor& value, const Tensor& magnitude);

/// evaluate(inputs), rounded.
template <class Op, class Evaluate>
Tensor value_of([[maybe_unused]] const Op& op, std::span<const Var> inputs,
                const Evaluate& evaluate) {
  if constexpr (!is_exact<Op>()) {
    if (rounding_in_force) [[unlikely]] {
      const auto call = [](const void* context, const Var* operands) {
        return (*static_cast<const Evaluate*>(context))(operands);
      };
      Tensor value = rounded(Op::name, inputs, Evaluation{call, &evaluate});
      if constexpr (requires { op.magnitude(inputs); }) {
        if (value.dtype() == DType::float64) value = rounded(value, op.magnitude(inputs));
      }
      return value;
    }
  }
  return evaluate(inputs.data());
}

/// Throws unless all dtypes are the same.
void check_dtypes(const char* op, std::span<const Var> inputs);

}  // namespace detail

/// Applies an op that is not pointwise and records it. An op is
///
///     struct Flip {
///       static constexpr const char* name = "flip";
///       Index axis;
///       Tensor value(const Tensor& x) const;     // plain arithmetic
///       void pullback(Pullback& p) const {       // ops on Vars
///         p.add(0, flip(p.gradient(), axis));
///       }
///     };
///     Var flip(const Var& x, Index axis) { return apply(Flip{axis}, x); }
///
/// For `float32check` it may also have `exact = true`, if it only moves numbers, and
/// `Tensor magnitude(std::span<const Var>) const`, the size of the terms that cancel in its value.
/// Bit i of `std::uint32_t addends() const` says that the derivative by input i is exactly 1, which
/// the pullback then passes on.
template <class Op, class... Vars>
Var apply(Op op, const Vars&... xs) {
  const Var inputs[] = {xs...};
  detail::check_dtypes(Op::name, inputs);
  const Tensor value = detail::contiguous(detail::value_of(op, inputs, [&](const Var* operands) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return op.value(operands[I].tensor()...);
    }
    (std::index_sequence_for<Vars...>());
  }));
  return detail::record_function(std::move(op), inputs, value);
}

/// The same for any number of inputs: `value` takes a std::span<const Var>.
template <class Op>
Var apply_all(Op op, std::span<const Var> inputs) {
  detail::check_dtypes(Op::name, inputs);
  const Tensor value = detail::contiguous(detail::value_of(op, inputs, [&](const Var* operands) {
    return op.value(std::span(operands, inputs.size()));
  }));
  return detail::record_function(std::move(op), inputs, value);
}

}  // namespace xgrad
