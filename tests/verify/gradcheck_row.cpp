#include "verify/gradcheck_row.hpp"

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;
using detail::Results;

RowInput with_shape(RowInput input, const Shape& shape) {
  input.shape = shape;
  return input;
}

RowInput empty(RowInput input, const Shape& shape) {
  input.shape = shape;
  input.expected = Verdict::vacuous;
  return input;
}

}  // namespace

GradcheckRows unary_patterns(const std::string& op, UnaryOp f, double low, double high,
                             const std::string& not_analytic) {
  const RowInput x{{}, low, high};
  GradcheckRows rows;
  const auto add = [&](const std::string& what, detail::CheckedFunction g, const RowInput& input) {
    rows.push_back({op, what, std::move(g), {input}, not_analytic});
  };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{5}, Shape{1, 1}, Shape{2, 3}, Shape{3, 1, 5},
                             Shape{17}}) {  // more than a vector of any width
    add(to_string(shape), of_one(f), with_shape(x, shape));
  }
  rows.back().second_order = not_analytic.empty();
  add("nothing", of_one(f), empty(x, {0}));
  add("no rows", of_one(f), empty(x, {0, 3}));
  add("no columns", of_one(f), empty(x, {2, 0}));
  add(
      "a transpose", [f](In in) { return Results{f(transpose(in[0]))}; }, with_shape(x, {3, 4}));
  add(
      "every other entry", [f](In in) { return Results{f(slice(in[0], 0, 0, 7, 2))}; },
      with_shape(x, {7}));
  add(
      "a row", [f](In in) { return Results{f(in[0][-1])}; }, with_shape(x, {2, 5}));
  add(
      "overlapping slices",
      [f](In in) { return Results{f(slice(in[0], 0, 0, 4)) * f(slice(in[0], 0, 1, 5))}; },
      with_shape(x, {5}));
  add(
      "twice, and its result twice",
      [f](In in) {
        const Var y = f(in[0]);
        return Results{y * f(in[0]), y};
      },
      with_shape(x, {4}));
  return rows;
}

GradcheckRows binary_patterns(const std::string& op, BinaryOp f, const RowInput& a,
                              const RowInput& b, const std::string& not_analytic) {
  GradcheckRows rows;
  const auto add = [&](const std::string& what, detail::CheckedFunction g,
                       std::vector<RowInput> inputs) {
    rows.push_back({op, what, std::move(g), std::move(inputs), not_analytic});
  };
  const std::pair<Shape, Shape> pairs[] = {{{}, {}},
                                           {{1}, {}},
                                           {{}, {1}},
                                           {{1}, {1}},
                                           {{5}, {}},
                                           {{}, {5}},
                                           {{5}, {1}},
                                           {{5}, {5}},
                                           {{2, 5}, {}},
                                           {{1}, {2, 5}},
                                           {{2, 5}, {5}},
                                           {{1, 5}, {2, 5}},
                                           {{2, 1}, {2, 5}},
                                           {{2, 1}, {5}},
                                           {{2, 1}, {1, 5}},
                                           {{1, 1}, {2, 5}},
                                           {{3, 1, 5}, {5}},
                                           {{2, 5}, {3, 1, 5}},
                                           {{3, 1, 5}, {2, 1}},
                                           {{3, 1, 1}, {1, 2, 5}},
                                           {{17}, {17}},
                                           {{3, 2, 5}, {3, 2, 5}}};
  for (const auto& [left, right] : pairs) {
    add(to_string(left) + " and " + to_string(right), of_two(f),
        {with_shape(a, left), with_shape(b, right)});
  }
  rows.back().second_order = not_analytic.empty();
  add("nothing", of_two(f), {empty(a, {0}), empty(b, {0})});
  add("nothing and a scalar", of_two(f), {empty(a, {2, 0}), empty(b, {})});
  add("one and nothing", of_two(f), {empty(a, {1}), empty(b, {0})});
  add("no rows, and a row", of_two(f), {empty(a, {0, 3}), empty(b, {3})});
  add("a transpose", [f](In in) { return Results{f(in[0], transpose(in[1]))}; },
      {with_shape(a, {2, 3}), with_shape(b, {3, 2})});
  add("strided entries",
      [f](In in) { return Results{f(slice(in[0], 1, 0, 5, 2), slice(in[1], 0, 1, 6, 2))}; },
      {with_shape(a, {2, 5}), with_shape(b, {6})});
  return rows;
}

std::vector<NamedVar> draw(const GradcheckRow& row, std::uint64_t seed) {
  Generator random(seed);
  std::vector<NamedVar> inputs;
  for (const RowInput& input : row.inputs) {
    const std::string name(1, static_cast<char>('a' + inputs.size()));
    const Tensor value = input.values.empty()
                             ? random.uniform(input.shape, input.low, input.high, DType::float64)
                             : Tensor(input.shape, input.values);
    inputs.push_back({name, value, input.constant});
  }
  return inputs;
}

GradcheckRows all_gradcheck_rows() {
  GradcheckRows all;
  for (const auto& group :
       {arithmetic_rows, unary_rows, pow_extremum_and_clip_rows, matmul_rows, reduce_rows,
        shape_rows, index_rows, normalize_rows, loss_rows, dropout_rows}) {
    for (GradcheckRow& row : group()) all.push_back(std::move(row));
  }
  return all;
}

}  // namespace xgrad::testing
