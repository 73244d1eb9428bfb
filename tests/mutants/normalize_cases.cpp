// Softmax, layer normalisation, losses, dropout.
#include <memory>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/index.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

const auto square_matrix = [](Generator& random) {
  return std::vector<NamedVar>{{"x", draw(random, {3, 3})}};
};

Case softmax_of_rows() {
  return {"softmax",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return softmax(x[0]); },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  const Eager y = p.output();
                  if (fault == 1) return p.add(0, y * g);
                  if (fault == 2) return p.add(0, y * (1.0 - y) * g);
                  const Index axis = fault == 3 ? 0 : 1;
                  p.add(0, y * (g - sum(g * y, {axis}, {.keep = true})));
                })};
          },
          {{FaultClass::missing_term, "the sum over the row is missing"},
           {FaultClass::missing_term, "only the Jacobian's diagonal"},
           {FaultClass::broadcast, "summed over the wrong axis"}}};
}

Case log_softmax_of_rows() {
  return {"log softmax",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return log_softmax(x[0]); },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  const Eager y = p.output();
                  const Eager s = fault == 1 ? y : exp(y);
                  p.add(0, g - s * sum(g, {1}, {.keep = true}));
                })};
          },
          {{FaultClass::saved_value, "the logarithm was saved, the softmax expected"}}};
}

Case layer_normalisation() {
  constexpr double eps = 1e-5;
  return {"layer normalisation",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {2, 6})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return layer_norm(x[0], eps); },
                [fault](Pullback& p) {
                  const auto row_mean = [](const Var& v) {
                    return Eager(mean(v, {1}, {.keep = true}));
                  };
                  const Eager g = p.gradient();
                  const Eager h = p.output();
                  const Var x = p.input(0);
                  const Eager spread = variance(x, {1}, {.unbiased = false, .keep = true});
                  Eager rest = g;
                  if (fault != 1) rest = rest - row_mean(g);
                  if (fault != 2) rest = rest - h * row_mean(g * h);
                  p.add(0, rest / sqrt((fault == 3 ? 0.0 : eps) + spread));
                })};
          },
          {{FaultClass::missing_term, "the mean of the gradient is not subtracted"},
           {FaultClass::missing_term, "the variance is taken as constant"},
           {FaultClass::precision, "epsilon is missing"}}};
}

Case classification() {
  return {"cross entropy",
          [](Generator& random) {
            return std::vector<NamedVar>{{"logits", draw(random, {3, 4})}};
          },
          [](const Vars& in, int fault) -> Vars {
            const Indices targets{2, 0, 3};
            const CrossEntropyOptions options{.label_smoothing = 0.001};
            return {op(
                {in[0]}, [=](const Vars& x) { return cross_entropy(x[0], targets, options); },
                [=](Pullback& p) {
                  const double e = fault == 1 ? 0 : options.label_smoothing;
                  const Var weights = numbers_like(p.input(0), [&](Index i) {
                    const auto target = targets.values()[static_cast<std::size_t>(i / 4)];
                    return (target == i % 4 ? 1 - e : 0) + e / 4;
                  });
                  const Eager d = Eager(softmax(p.input(0))) - weights;
                  const double rows = fault == 2 ? 1 : 3;
                  p.add(0, (1 / rows) * (d * p.gradient()));
                })};
          },
          {{FaultClass::missing_term, "labels are not smoothed"},
           {FaultClass::factor, "not divided by the number of rows"}}};
}

Case masked() {
  return {"dropout",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {4, 4})}};
          },
          [](const Vars& in, int fault) -> Vars {
            const auto random = std::make_shared<Generator>(3);
            const auto draw_mask = [random](const Var& x) {
              return numbers_like(x, [&](Index) { return random->below(2) == 0 ? 0.0 : 2.0; });
            };
            const auto mask = std::make_shared<Var>();
            return {op(
                {in[0]},
                [=](const Vars& x) {
                  *mask = draw_mask(x[0]);
                  return Eager(x[0]) * *mask;
                },
                [=](Pullback& p) {
                  const Eager g = p.gradient();
                  if (fault == 1) return p.add(0, g * draw_mask(g));
                  if (fault == 2) return p.add(0, g);
                  p.add(0, g * *mask);
                })};
          },
          {{FaultClass::saved_value, "the backward pass draws a new mask"},
           {FaultClass::missing_term, "the gradient is not masked"}}};
}

}  // namespace

std::vector<Case> normalize_cases() {
  return {softmax_of_rows(), log_softmax_of_rows(), layer_normalisation(), classification(),
          masked()};
}

}  // namespace xgrad::mutants::detail
