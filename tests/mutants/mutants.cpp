#include "mutants.hpp"

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/reduce.hpp>

namespace xgrad::mutants {

const char* name(FaultClass fault_class) {
  switch (fault_class) {
    case FaultClass::sign:
      return "sign";
    case FaultClass::missing_term:
      return "missing term";
    case FaultClass::factor:
      return "missing or wrong factor";
    case FaultClass::operand:
      return "wrong or transposed operand";
    case FaultClass::broadcast:
      return "broadcast not summed, wrong axis";
    case FaultClass::accumulation:
      return "dropped accumulation";
    case FaultClass::index:
      return "wrong place, off by one";
    case FaultClass::time:
      return "time reversed or a step lost";
    case FaultClass::state:
      return "state not carried";
    case FaultClass::saved_value:
      return "stale saved value";
    case FaultClass::vanished:
      return "gradient zeroed or NaN";
    case FaultClass::partial:
      return "wrong only for some entries";
    case FaultClass::precision:
      return "small: float32, 1e-6 and less";
    case FaultClass::second_order:
      return "only the second derivative";
  }
  return "?";
}

std::vector<FaultClass> fault_classes() {
  std::vector<FaultClass> all;
  for (int k = 0; k <= static_cast<int>(FaultClass::second_order); ++k) {
    all.push_back(static_cast<FaultClass>(k));
  }
  return all;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    for (const auto& make :
         {detail::pointwise_cases, detail::product_cases, detail::reduction_cases,
          detail::shape_cases, detail::normalize_cases, detail::recurrent_cases,
          detail::small_cases, detail::second_order_cases}) {
      for (Case& each : make()) list.push_back(std::move(each));
    }
    return list;
  }();
  return all;
}

Function planted(const Case& each, int fault) {
  return [&each, fault](const Vars& in) { return each.f(in, fault); };
}

std::vector<NamedVar> inputs_of(const Case& each, std::uint64_t seed) {
  Generator random(seed);
  return each.inputs(random);
}

GradcheckReport check(const Case& each, int fault, std::uint64_t seed, GradcheckOptions options) {
  options.seed = seed;
  const std::vector<NamedVar> inputs = inputs_of(each, seed);
  const Function f = planted(each, fault);
  return each.order == 1 ? gradcheck(f, inputs, options) : gradgradcheck(f, inputs, options);
}

GradientFunction::GradientFunction(const Function& given, const std::vector<NamedVar>& from,
                                   Generator& random)
    : inputs(from) {
  Vars xs;
  for (const NamedVar& input : from) xs.push_back(input.var);
  const NoTape no_tape;
  for (const Var& y : given(xs)) {
    inputs.push_back({"covector", random.normal(y.shape(), 0, 1, DType::float64)});
  }
  f = [given, from](const Vars& in) -> Vars {
    const auto first_covector = in.begin() + static_cast<std::ptrdiff_t>(from.size());
    const Vars ys = given(Vars(in.begin(), first_covector));
    Var total;
    for (std::size_t i = 0; i < ys.size(); ++i) {
      if (!ys[i].requires_grad()) continue;
      const Var term = sum(Var(ys[i] * first_covector[static_cast<std::ptrdiff_t>(i)]));
      total = total.defined() ? Var(total + term) : term;
    }
    Vars wanted;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (!from[i].constant) wanted.push_back(in[i]);
    }
    if (total.defined()) return grad(total, wanted, {.create_graph = true});
    for (Var& x : wanted) x = Tensor::zeros(x.shape(), x.dtype());
    return wanted;
  };
}

Tensor draw(Generator& random, const Shape& shape, double low, double high) {
  return random.uniform(shape, low, high, DType::float64);
}

Tensor draw_signs(Generator& random, const Shape& shape) {
  const Tensor x = draw(random, shape, 0.2, 1);
  for (Index i = 1; i < x.size(); i += 2) x.mutable_data<double>()[i] *= -1;
  return x;
}

}  // namespace xgrad::mutants
