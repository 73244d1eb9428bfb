// Faults in an otherwise right gradient that are small or hit few entries: a right function whose
// gradient is changed on its way back.
#include <limits>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

/// The gradient times 1 + relative in the chosen entries.
Var scaled(const Var& x, double relative, const std::function<bool(Index)>& chosen) {
  return corrupt(x, [=](const Eager& g) {
    return g * numbers_like(g, [&](Index i) { return chosen(i) ? 1 + relative : 1; });
  });
}

Case layer_of_64() {
  return {"layer of 64 weights",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {3, 8})},
                                         {"W", draw(random, {8, 8})}};
          },
          [](const Vars& in, int fault) -> Vars {
            Var W = in[1];
            const auto one = [](Index i) { return i == 37; };
            const auto all = [](Index) { return true; };
            const auto last_column = [](Index i) { return i % 8 == 7; };
            switch (fault) {
              case 1:
                W = scaled(W, 1e-6, one);
                break;
              case 2:
                W = scaled(W, 1e-8, one);
                break;
              case 3:
                W = scaled(W, 1e-9, all);
                break;
              case 4:
                W = corrupt(W, [](const Eager& g) -> Var {
                  return g.var().tensor().to(DType::float32).to(g.var().dtype());
                });
                break;
              case 5:
                W = corrupt(W, [](const Eager& g) { return 1e-7 + g; });
                break;
              case 6:
                W = scaled(W, -1, last_column);
                break;
              case 7:
                W = scaled(W, 1e-3, one);
                break;
              case 8:
                W = scaled(W, -1, one);
                break;
              case 9:
                W = scaled(W, -1, all);
                break;
              case 10:
                W = scaled(W, -2, all);
                break;
              case 11:
                W = scaled(W, std::numeric_limits<double>::quiet_NaN(), one);
                break;
              case 12:
                W = scaled(W, 0.005, all);
                break;
              case 13:
                W = scaled(W, 5e-4, all);
                break;
              default:
                break;
            }
            return {tanh(Eager(matmul(in[0], W)))};
          },
          {{FaultClass::precision, "relative error of 1e-6 in one entry of 64"},
           {FaultClass::precision, "relative error of 1e-8 in one entry of 64"},
           {FaultClass::precision, "relative error of 1e-9 everywhere"},
           {FaultClass::precision, "rounded to float32"},
           {FaultClass::precision, "1e-7 too much everywhere"},
           {FaultClass::partial, "the last column gets no gradient"},
           {FaultClass::partial, "relative error of 1e-3 in one entry of 64"},
           {FaultClass::partial, "one entry of 64 gets no gradient"},
           {FaultClass::vanished, "all gradients are zero"},
           {FaultClass::sign, "the gradient descends where it should ascend"},
           {FaultClass::vanished, "NaN in one entry"},
           {FaultClass::factor, "half a percent too large"},
           {FaultClass::factor, "0.05 percent too large"}}};
}

Case many_results() {
  return {"small gradient beside a large one",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {4})},
                                         {"y", draw_signs(random, {4})}};
          },
          [](const Vars& in, int fault) -> Vars {
            // x's gradient is about 1e-4, and so below what a tolerance of 1e-2 can tell from 0.
            const Var x = fault == 1 ? detach(in[0]) : in[0];
            const Var faint = 1e-4 * sin(Eager(x));
            if (fault == 2) {
              return {Eager(corrupt(faint, [](const Eager& g) { return -g; })) + sin(Eager(in[1]))};
            }
            return {Eager(faint) + sin(Eager(in[1]))};
          },
          {{FaultClass::vanished, "a gradient of 1e-4 is missing"},
           {FaultClass::sign, "a gradient of 1e-4 has the wrong sign"}}};
}

Case unused_input() {
  return {"input that does not take part",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {2, 3})},
                                         {"bias", draw_signs(random, {3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            const Eager y = tanh(Eager(in[0]));
            return {fault == 1 ? y.var() : (y + in[1]).var()};
          },
          {{FaultClass::vanished, "the bias is forgotten in both directions"}}};
}

}  // namespace

std::vector<Case> small_cases() { return {layer_of_64(), many_results(), unused_input()}; }

}  // namespace xgrad::mutants::detail
