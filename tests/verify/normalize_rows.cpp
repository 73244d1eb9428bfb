#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {

using In = const std::vector<Var>&;
using detail::Results;

GradcheckRows normalize_rows() {
  GradcheckRows rows;
  const auto vacuous = Verdict::vacuous;
  using Along = Var (*)(const Var& x, Index axis);
  const Along soft = [](const Var& x, Index axis) { return softmax(x, axis); };
  const Along log_soft = [](const Var& x, Index axis) { return log_softmax(x, axis); };
  for (const auto& [name, f] : {std::pair{"softmax", soft}, {"log_softmax", log_soft}}) {
    const auto add = [&, name = name, f = f](const Shape& shape, Index axis,
                                             Verdict expected = Verdict::correct) {
      rows.push_back({name,
                      to_string(shape) + " along " + std::to_string(axis),
                      [f, axis](In in) { return Results{f(in[0], axis)}; },
                      {{shape, -2, 2, {}, false, expected}}});
    };
    for (const Index axis : {0, 1, 2, -1}) add({2, 3, 4}, axis);
    add({7}, 0);
    add({17}, 0);
    add({2, 3}, -1);
    rows.back().second_order = true;
    add({1}, 0, Verdict::zero);  // of one element: 1, or 0
    add({3, 1}, 1, Verdict::zero);
    add({0, 3}, 1, vacuous);
    add({3, 0}, 1, vacuous);
    rows.push_back({name,
                    "a transpose, and x",
                    [f = f](In in) { return Results{f(transpose(in[0]), -1) * f(in[0], -1)}; },
                    {{{3, 3}}}});
    rows.push_back({name,
                    "large numbers",
                    [f = f](In in) { return Results{f(in[0], -1)}; },
                    {{{2, 4}, 998, 1001}}});
    rows.back().float32 = false;  // what float32 keeps of these numbers is no test of the op
  }

  const UnaryOp norm = [](const Var& x) { return layer_norm(x, 1e-3); };
  for (const Shape& shape : {Shape{5}, Shape{17}, Shape{2, 4}, Shape{2, 3, 4}, Shape{1, 3}}) {
    rows.push_back(
        {"layer_norm", to_string(shape), of_one(norm), {{shape}}, "", shape == Shape{2, 4}});
  }
  rows.push_back(
      {"layer_norm", "rows of one", of_one(norm), {{{3, 1}, -1, 1, {}, false, Verdict::zero}}});
  rows.push_back({"layer_norm", "no rows", of_one(norm), {{{0, 3}, -1, 1, {}, false, vacuous}}});
  rows.push_back({"layer_norm",
                  "a transpose, and x",
                  [](In in) { return Results{layer_norm(transpose(in[0])) * layer_norm(in[0])}; },
                  {{{4, 4}}}});
  const detail::CheckedFunction affine_norm = [](In in) {
    return Results{layer_norm(in[0], in[1], in[2])};
  };
  for (const Shape& shape : {Shape{5}, Shape{2, 4}, Shape{2, 3, 4}}) {
    const Shape width{shape.back()};
    rows.push_back({"layer_norm",
                    to_string(shape) + " with weight and bias",
                    affine_norm,
                    {{shape}, {width, 0.5, 1.5}, {width}}});
  }
  rows.push_back({"layer_norm",
                  "x as its own weight and bias",
                  [](In in) { return Results{layer_norm(in[0], in[0][0], in[0][0])}; },
                  {{{2, 4}}}});
  return rows;
}

}  // namespace xgrad::testing
