// Sums, means, norms and other reductions.
#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

const auto square_matrix = [](Generator& random) {
  return std::vector<NamedVar>{{"x", draw_signs(random, {3, 3})}};
};

Case sum_of_rows() {
  return {"sum along an axis",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return sum(x[0], {1}); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  const Shape shape = fault == 1 ? Shape{1, 3} : Shape{3, 1};
                  p.add(0, broadcast_to(reshape(g, shape), {3, 3}));
                })};
          },
          {{FaultClass::broadcast, "spread along the wrong axis"}}};
}

Case mean_of_all() {
  return {"mean",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return mean(x[0]); },
                [fault](Pullback& p) {
                  const double n = fault == 1 ? 1 : fault == 2 ? 8 : 9;
                  p.add(0, broadcast_to((1 / n) * Eager(p.gradient()), {3, 3}));
                })};
          },
          {{FaultClass::factor, "not divided by the number of elements"},
           {FaultClass::factor, "divided by one less than the number of elements"}}};
}

Case variance_of_rows() {
  return {"variance",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw(random, {2, 5})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return variance(x[0], {1}); },
                [fault](Pullback& p) {
                  const Var x = p.input(0);
                  const Eager centered =
                      fault == 1 ? x : (Eager(x) - mean(x, {1}, {.keep = true})).var();
                  const double factor = fault == 2 ? 1.0 / 4 : fault == 3 ? 2.0 / 5 : 2.0 / 4;
                  p.add(0, factor * (centered * unsqueeze(p.gradient(), 1)));
                })};
          },
          {{FaultClass::missing_term, "the mean is not subtracted"},
           {FaultClass::factor, "the factor 2 is missing"},
           {FaultClass::factor, "divided by n instead of n - 1"}}};
}

Case norm() {
  return {"norm",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return sqrt(Eager(sum(Eager(x[0]) * x[0]))); },
                [fault](Pullback& p) {
                  const Eager gx = Eager(p.gradient()) * p.input(0);
                  p.add(0, fault == 1 ? gx : gx / p.output());
                })};
          },
          {{FaultClass::factor, "not divided by the norm"}}};
}

Case log_sum_exp() {
  return {"log of a sum of exponentials",
          square_matrix,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return logsumexp(x[0], {1}); },
                [fault](Pullback& p) {
                  const Eager g = unsqueeze(p.gradient(), 1);
                  if (fault == 1) return p.add(0, broadcast_to((1.0 / 3) * g, {3, 3}));
                  const Eager y = unsqueeze(p.output(), 1);
                  p.add(0, g * exp(Eager(p.input(0)) - y));
                })};
          },
          {{FaultClass::operand, "spread evenly instead of by softmax"}}};
}

Case maximum_of_rows() {
  return {"maximum",
          [](Generator& random) {  // far enough from each other that no step exchanges them
            const Tensor x = draw(random, {3, 4}, 0, 0.1);
            for (Index row = 0; row < 3; ++row) {
              const auto top = static_cast<Index>(random.below(4));
              x.mutable_data<double>()[row * 4 + top] += 1;
            }
            return std::vector<NamedVar>{{"x", x}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return max(x[0], {1}); },
                [fault](Pullback& p) {
                  const Var y = unsqueeze(p.output(), 1);
                  const Var chosen = equal(p.input(0), y);
                  const Var g = Eager(unsqueeze(p.gradient(), 1)) * chosen;
                  if (fault == 2) {
                    return p.add(
                        0, (1.0 / 4) * Eager(broadcast_to(unsqueeze(p.gradient(), 1), {3, 4})));
                  }
                  p.add(0, fault == 1 ? roll(g, 1, 1) : g);
                })};
          },
          {{FaultClass::index, "the largest entry's neighbour gets the gradient"},
           {FaultClass::operand, "all entries share the gradient"}}};
}

Case cumulative_sum() {
  // y_t = x_0 + ... + x_t, as T sums.
  const auto cumsum = [](const Var& x) {
    Vars sums{x[0]};
    for (Index t = 1; t < x.shape()[0]; ++t) sums.push_back(Eager(sums.back()) + x[t]);
    return stack(sums);
  };
  return {"cumulative sum",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {5, 2})}};
          },
          [cumsum](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [cumsum](const Vars& x) { return cumsum(x[0]); },
                [cumsum, fault](Pullback& p) {
                  const Var g = p.gradient();
                  if (fault == 1) return p.add(0, cumsum(g));
                  const Eager from_end = flip(cumsum(flip(g, 0)), 0);
                  if (fault == 2) return p.add(0, from_end - g);
                  p.add(0, from_end);
                })};
          },
          {{FaultClass::time, "summed from the beginning instead of the end"},
           {FaultClass::index, "a step's own gradient is left out"}}};
}

}  // namespace

std::vector<Case> reduction_cases() {
  return {sum_of_rows(), mean_of_all(),     variance_of_rows(), norm(),
          log_sum_exp(), maximum_of_rows(), cumulative_sum()};
}

}  // namespace xgrad::mutants::detail
