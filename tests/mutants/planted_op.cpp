#include "planted_op.hpp"

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::mutants {
namespace {

struct PlantedOp {
  static constexpr const char* name = "planted_op";
  std::function<Var(const Vars&)> compute;
  std::function<void(Pullback&)> differentiate;

  Tensor value(std::span<const Var> inputs) const {
    Vars constants;
    for (const Var& x : inputs) constants.emplace_back(x.tensor());
    return compute(constants).tensor().copy();
  }
  void pullback(Pullback& p) const { differentiate(p); }
};

}  // namespace

Eager operator+(const Eager& a, const Eager& b) { return a.var() + b.var(); }
Eager operator-(const Eager& a, const Eager& b) { return a.var() - b.var(); }
Eager operator*(const Eager& a, const Eager& b) { return a.var() * b.var(); }
Eager operator/(const Eager& a, const Eager& b) { return a.var() / b.var(); }
Eager operator-(const Eager& a) { return -a.var(); }
Eager operator+(double a, const Eager& b) { return a + b.var(); }
Eager operator-(double a, const Eager& b) { return a - b.var(); }
Eager operator*(double a, const Eager& b) { return a * b.var(); }
Eager exp(const Eager& x) { return xgrad::exp(x.var()); }
Eager tanh(const Eager& x) { return xgrad::tanh(x.var()); }
Eager sigmoid(const Eager& x) { return xgrad::sigmoid(x.var()); }
Eager sqrt(const Eager& x) { return xgrad::sqrt(x.var()); }
Eager sin(const Eager& x) { return xgrad::sin(x.var()); }
Eager cos(const Eager& x) { return xgrad::cos(x.var()); }

Var op(const Vars& inputs, std::function<Var(const Vars&)> value,
       std::function<void(Pullback&)> pullback) {
  return apply_all(PlantedOp{std::move(value), std::move(pullback)}, std::span<const Var>(inputs));
}

Var corrupt(const Var& x, std::function<Var(const Eager&)> change) {
  return op(
      {x}, [](const Vars& in) { return in[0]; },
      [change = std::move(change)](Pullback& p) { p.add(0, change(p.gradient())); });
}

Var numbers_like(const Var& like, const std::function<double(Index)>& number) {
  std::vector<double> numbers(static_cast<std::size_t>(like.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = number(static_cast<Index>(i));
  return Tensor(like.shape(), numbers).to(like.dtype());
}

Var unit_like(const Var& like, Index entry) {
  return numbers_like(like, [entry](Index i) { return i == entry ? 1.0 : 0.0; });
}

Var roll(const Var& x, Index axis, Index n) {
  const Index extent = x.shape()[static_cast<std::size_t>(axis)];
  return concat({slice(x, axis, extent - n, extent), slice(x, axis, 0, extent - n)}, axis);
}

}  // namespace xgrad::mutants
