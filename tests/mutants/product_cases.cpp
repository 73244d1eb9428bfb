// Matrix products and what broadcasts.
#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

Case square_product() {
  return {"product of square matrices",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw(random, {3, 3})}, {"b", draw(random, {3, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return matmul(x[0], x[1]); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  const Var a = p.input(0);
                  const Var b = p.input(1);
                  p.add(0, matmul(g, fault == 1 ? b : transpose(b)));
                  if (fault == 2) return p.add(1, matmul(transpose(g), a));
                  if (fault == 3) return;
                  p.add(1, matmul(transpose(a), g));
                })};
          },
          {{FaultClass::operand, "b is not transposed"},
           {FaultClass::operand, "b's gradient is transposed"},
           {FaultClass::vanished, "b gets no gradient"}}};
}

Case gram_matrix() {
  return {"x times its transpose",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw(random, {4, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return matmul(x[0], transpose(x[0])); },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  // The same, if the incoming gradient is symmetric.
                  const Eager both =
                      fault == 1 ? (2.0 * g).var() : (g + transpose(p.gradient())).var();
                  if (fault == 2) return p.add(0, matmul(g, p.input(0)));
                  p.add(0, matmul(both, p.input(0)));
                })};
          },
          {{FaultClass::operand, "twice the gradient instead of it and its transpose"},
           {FaultClass::accumulation, "only the first of two uses counts"}}};
}

Case matrix_squared() {
  return {"matrix squared",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw(random, {3, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {matmul(in[0], fault == 1 ? detach(in[0]) : in[0])};
          },
          {{FaultClass::accumulation, "the second use is cut off"}}};
}

Case batched_product() {
  return {"batched product",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw(random, {2, 2, 3})},
                                         {"b", draw(random, {2, 3, 2})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return matmul(x[0], x[1]); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  p.add(0, matmul(g, transpose(p.input(1), {0, 2, 1})));
                  const Var db = matmul(transpose(p.input(0), {0, 2, 1}), g);
                  if (fault == 2) return p.add(1, Eager(db) * unit_like(db, 0));
                  p.add(1, fault == 1 ? flip(db, 0) : db);
                })};
          },
          {{FaultClass::index, "the batch entries are exchanged"},
           {FaultClass::vanished, "all but the first entry is zero"}}};
}

Case linear_layer() {
  return {"linear layer",
          [](Generator& random) {
            return std::vector<NamedVar>{
                {"x", draw(random, {4, 3})}, {"W", draw(random, {3, 2})}, {"b", draw(random, {2})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return affine(x[0], x[1], x[2]); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  p.add(0, matmul(g, transpose(p.input(1))));
                  const Var dW = matmul(transpose(p.input(0)), g);
                  p.add(1, fault == 4 ? (0.25 * Eager(dW)).var() : dW);
                  if (fault == 1) return p.add(2, g[0]);
                  if (fault == 2) return p.add(2, mean(g, {0}));
                  if (fault == 3) return p.add(2, sum(slice(g, 0, 0, 3), {0}));
                  p.add(2, sum(g, {0}));
                })};
          },
          {{FaultClass::broadcast, "the bias gets the first row's gradient"},
           {FaultClass::broadcast, "the bias gets the mean over the batch"},
           {FaultClass::index, "the bias' sum ends before the last row"},
           {FaultClass::factor, "the weight's gradient is divided by the batch"}}};
}

Case scaled_rows() {
  return {"rows and columns scaled",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {3, 3})},
                                         {"column", draw_signs(random, {3, 1})},
                                         {"scalar", draw_signs(random, {})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return Eager(x[0]) * x[1] * x[2]; },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  const Eager x = p.input(0);
                  const Eager column = p.input(1);
                  const Eager scalar = p.input(2);
                  p.add(0, g * column * scalar);
                  const Var to_column = g * x * scalar;
                  const Var to_scalar = g * x * column;
                  if (fault == 1) {
                    p.add(1, reshape(sum(to_column, {0}), {3, 1}));
                  } else {
                    p.add(1, sum(to_column, {1}, {.keep = true}));
                  }
                  if (fault == 2) return p.add(2, to_scalar[0][0]);
                  if (fault == 3) return p.add(2, -sum(to_scalar));
                  p.add(2, sum(to_scalar));
                })};
          },
          {{FaultClass::broadcast, "the column's gradient is summed over the wrong axis"},
           {FaultClass::broadcast, "the scalar's gradient is not summed"},
           {FaultClass::sign, "the scalar's gradient has the wrong sign"}}};
}

Case outer_product() {
  return {"outer product",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw_signs(random, {3})},
                                         {"b", draw_signs(random, {3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in, [](const Vars& x) { return outer(x[0], x[1]); },
                [fault](Pullback& p) {
                  const Eager g = p.gradient();
                  const Var along_rows = sum(g * p.input(1), {1});
                  const Var along_columns = sum(g * unsqueeze(p.input(0), 1), {0});
                  p.add(0, fault == 1 ? along_columns : along_rows);
                  p.add(1, fault == 1 ? along_rows : along_columns);
                })};
          },
          {{FaultClass::operand, "the two gradients are exchanged"}}};
}

}  // namespace

std::vector<Case> product_cases() {
  return {square_product(), gram_matrix(), matrix_squared(), batched_product(),
          linear_layer(),   scaled_rows(), outer_product()};
}

}  // namespace xgrad::mutants::detail
