// Pullbacks whose value is right and whose own derivative is not: they give right gradients, and
// wrong gradients of gradients.
#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

Var cut_if(bool cut, const Var& x) { return cut ? detach(x) : x; }

const auto vector_of_five = [](Generator& random) {
  return std::vector<NamedVar>{{"x", draw_signs(random, {5})}};
};

Case cube() {
  return {"cube, twice",
          vector_of_five,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return Eager(x[0]) * x[0] * x[0]; },
                [fault](Pullback& p) {
                  const Eager x = cut_if(fault == 1, p.input(0));
                  const Eager again = cut_if(fault == 2, x);
                  const Eager g = cut_if(fault == 3, p.gradient());
                  p.add(0, 3.0 * (g * x * again));
                })};
          },
          {{FaultClass::second_order, "the pullback takes its input as constant"},
           {FaultClass::second_order, "one of the pullback's two factors is constant"},
           {FaultClass::second_order, "the incoming gradient is taken as constant"}},
          2};
}

Case sigmoid_twice() {
  return {"sigmoid, twice",
          vector_of_five,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return sigmoid(Eager(x[0])); },
                [fault](Pullback& p) {
                  const Eager y = p.output();
                  const Eager rest = 1.0 - Eager(cut_if(fault == 1, y));
                  const Var dx = p.gradient() * y * rest;
                  if (fault == 2) {
                    return p.add(0, corrupt(dx, [](const Eager& g) { return 1.001 * g; }));
                  }
                  p.add(0, dx);
                })};
          },
          {{FaultClass::second_order, "a term of the second derivative is missing"},
           {FaultClass::second_order, "the second derivative is 0.1 percent too large"}},
          2};
}

Case product_twice() {
  return {"product, twice",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw(random, {2, 2})}, {"b", draw(random, {2, 2})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return matmul(x[0], x[1]); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  const Var b = cut_if(fault == 1, p.input(1));
                  Var da = matmul(g, transpose(b));
                  if (fault == 2) {
                    da = corrupt(da, [](const Eager& second) { return transpose(second); });
                  }
                  p.add(0, da);
                  p.add(1, matmul(transpose(p.input(0)), g));
                })};
          },
          {{FaultClass::second_order, "the pullback takes b as constant"},
           {FaultClass::second_order, "the second gradient is transposed"}},
          2};
}

Case softmax_twice() {
  return {"softmax, twice",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw(random, {2, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return softmax(x[0]); },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  const Eager y = p.output();
                  const Var inner = sum(g * y, {1}, {.keep = true});
                  p.add(0, y * (g - cut_if(fault == 1, inner)));
                })};
          },
          {{FaultClass::second_order, "the row's sum is taken as constant"}},
          2};
}

Case recurrence_twice() {
  return {"recurrence, twice",
          [](Generator& random) {
            return std::vector<NamedVar>{{"h", draw_signs(random, {2})},
                                         {"w", draw_signs(random, {2})}};
          },
          [](const Vars& in, int fault) -> Vars {
            Var h = in[0];
            for (Index t = 0; t < 3; ++t) {
              const Eager z = Eager(h) * in[1];
              h = op(
                  {z}, [](const Vars& x) { return tanh(Eager(x[0])); },
                  [=](Pullback& p) {
                    const Eager y = cut_if(fault == 1 && t == 1, p.output());
                    p.add(0, p.gradient() * (1.0 - y * y));
                  });
            }
            return {h};
          },
          {{FaultClass::second_order, "one step's saved result is taken as constant"}},
          2};
}

}  // namespace

std::vector<Case> second_order_cases() {
  return {cube(), sigmoid_twice(), product_twice(), softmax_twice(), recurrence_twice()};
}

}  // namespace xgrad::mutants::detail
