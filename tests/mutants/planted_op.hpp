#pragma once

#include <functional>
#include <span>

#include <xgrad/core/op.hpp>
#include <xgrad/ops/pointwise.hpp>

#include "mutants.hpp"

/// How the mutants are written: ops whose value and pullback are two lambdas.
namespace xgrad::mutants {

/// A Var whose arithmetic evaluates each operation at once. An expression over Vars would be
/// compiled to a kernel of its own; the mutants are many and need no speed.
class Eager {
 public:
  Eager(const Var& var) : var_(var) {}
  template <PointwiseExpression E>
  Eager(const E& expression) : var_(expression) {}
  operator const Var&() const { return var_; }
  const Var& var() const { return var_; }

 private:
  Var var_;
};

Eager operator+(const Eager& a, const Eager& b);
Eager operator-(const Eager& a, const Eager& b);
Eager operator*(const Eager& a, const Eager& b);
Eager operator/(const Eager& a, const Eager& b);
Eager operator-(const Eager& a);
Eager operator+(double a, const Eager& b);
Eager operator-(double a, const Eager& b);
Eager operator*(double a, const Eager& b);
Eager exp(const Eager& x);
Eager tanh(const Eager& x);
Eager sigmoid(const Eager& x);
Eager sqrt(const Eager& x);
Eager sin(const Eager& x);
Eager cos(const Eager& x);

/// An op from its value, which gets constants, and its pullback.
Var op(const Vars& inputs, std::function<Var(const Vars&)> value,
       std::function<void(Pullback&)> pullback);

/// x, whose gradient `change` replaces on its way back.
Var corrupt(const Var& x, std::function<Var(const Eager&)> change);

/// Numbers in the shape and dtype of `like`.
Var numbers_like(const Var& like, const std::function<double(Index)>& number);

/// Zero but for one entry.
Var unit_like(const Var& like, Index entry);

/// The entries of an axis moved on by n places, those at the end coming back at the beginning.
Var roll(const Var& x, Index axis, Index n);

}  // namespace xgrad::mutants
