#pragma once

#include <xgrad/core/op.hpp>

namespace xgrad::detail {

/// How numbers are rounded while `rounding_in_force` points to it, in place of what their dtype
/// does.
class Rounding {
 public:
  Rounding() = default;
  virtual ~Rounding() = default;
  Rounding(const Rounding&) = delete;
  Rounding& operator=(const Rounding&) = delete;

  /// The value of an op that is not pointwise, rounded.
  virtual Tensor rounded(const char* op, std::span<const Var> inputs,
                         const Evaluation& evaluate) = 0;
  /// The value of a pointwise op, rounded.
  virtual Tensor rounded(const char* op, std::span<const Var> inputs, const Tensor& value) = 0;
  /// The value of an op that forms differences inside: `magnitude` is that of their terms.
  virtual Tensor rounded(const Tensor& value, const Tensor& magnitude) = 0;
  /// A number as that arithmetic would hold it.
  virtual double constant(double value) const = 0;
};

}  // namespace xgrad::detail
