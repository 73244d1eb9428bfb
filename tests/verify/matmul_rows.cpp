#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {

using In = const std::vector<Var>&;
using detail::Results;

GradcheckRows matmul_rows() {
  GradcheckRows rows;
  const BinaryOp product = [](const Var& a, const Var& b) -> Var { return matmul(a, b); };
  const auto empty = [](const Shape& shape) {
    return RowInput{shape, -1, 1, {}, false, Verdict::vacuous};
  };
  const std::pair<Shape, Shape> pairs[] = {{{2, 3}, {3, 4}},
                                           {{1, 1}, {1, 1}},
                                           {{1, 3}, {3, 1}},
                                           {{3, 1}, {1, 4}},
                                           {{1, 5}, {5, 4}},
                                           {{5, 4}, {4, 1}},
                                           {{2, 17}, {17, 3}},  // long enough for the packed kernel
                                           {{2, 3, 4}, {4, 5}},
                                           {{1, 3, 4}, {4, 2}},
                                           {{3, 1, 4}, {4, 2}},
                                           {{2, 1, 2, 3}, {3, 2}},
                                           {{2, 3, 4}, {2, 4, 5}},
                                           {{1, 3, 4}, {2, 4, 5}},
                                           {{2, 3, 4}, {1, 4, 5}},
                                           {{1, 2, 3}, {1, 3, 2}},
                                           {{3, 1, 1}, {3, 1, 1}},
                                           {{4}, {4}},
                                           {{4}, {4, 3}},
                                           {{3, 4}, {4}},
                                           {{2, 3, 4}, {4}},
                                           {{4}, {2, 4, 3}},
                                           {{1}, {1}}};
  for (const auto& [a, b] : pairs) {
    const bool second = a == Shape{2, 3} || b == Shape{1, 4, 5} || b == Shape{4};
    rows.push_back(
        {"matmul", to_string(a) + " and " + to_string(b), of_two(product), {{a}, {b}}, "", second});
  }
  rows.push_back({"matmul", "no rows", of_two(product), {empty({0, 3}), empty({3, 2})}});
  rows.push_back({"matmul", "no batch", of_two(product), {empty({0, 2, 3}), empty({0, 3, 2})}});
  rows.push_back({"matmul", "no inner axis", of_two(product), {empty({2, 0}), empty({0, 2})}});
  rows.push_back({"matmul",
                  "the same twice",
                  [](In in) { return Results{matmul(in[0], in[0])}; },
                  {{{3, 3}}}});
  rows.push_back({"matmul",
                  "x and its transpose",
                  [](In in) { return Results{matmul(in[0], transpose(in[0]))}; },
                  {{{3, 4}}},
                  "",
                  true});
  rows.push_back({"matmul",
                  "the transpose of x and x",
                  [](In in) { return Results{matmul(transpose(in[0]), in[0])}; },
                  {{{3, 4}}}});
  rows.push_back(
      {"matmul",
       "overlapping slices",
       [](In in) { return Results{matmul(slice(in[0], 0, 0, 3), slice(in[0], 0, 1, 4))}; },
       {{{4, 3}}}});
  rows.push_back({"matmul",
                  "a step through a sequence",
                  [](In in) {
                    const Var h = matmul(in[0][0], in[1]);
                    return Results{matmul(in[0][1] + h, in[1]), h};
                  },
                  {{{2, 3, 4}}, {{4, 4}}}});
  rows.push_back(
      {"matmul",
       "strided operands",
       [](In in) { return Results{matmul(slice(in[0], 1, 0, 6, 2), slice(in[1], 0, 0, 6, 2))}; },
       {{{2, 6}}, {{6, 2}}}});
  rows.push_back({"matmul",
                  "a batch against its transpose",
                  [](In in) {
                    return Results{matmul(in[0], transpose(in[0], {0, 2, 1}))};
                  },
                  {{{2, 3, 4}}}});

  const detail::CheckedFunction linear = [](In in) { return Results{affine(in[0], in[1], in[2])}; };
  for (const auto& [x, W] : {std::pair<Shape, Shape>{{2, 3}, {3, 4}},
                             {{3}, {3, 4}},
                             {{1, 1}, {1, 1}},
                             {{2, 3, 4}, {4, 5}},
                             {{1, 1, 4}, {4, 1}},
                             {{2, 17}, {17, 3}}}) {
    rows.push_back({"affine",
                    to_string(x) + " and " + to_string(W),
                    linear,
                    {{x}, {W}, {{W[1]}}},
                    "",
                    x.size() == 3});
  }
  rows.push_back({"affine", "a matrix to add", linear, {{{2, 3}}, {{3, 4}}, {{2, 4}}}, "", true});
  rows.push_back(
      {"affine", "steps of a sequence to add", linear, {{{2, 3, 4}}, {{4, 5}}, {{2, 3, 5}}}});
  rows.push_back({"affine", "no rows", linear, {empty({0, 3}), empty({3, 2}), empty({2})}});
  rows.push_back({"affine",
                  "one parameter as all three",
                  [](In in) { return Results{affine(in[0], in[0], in[0][1])}; },
                  {{{3, 3}}}});
  rows.push_back({"affine",
                  "a transposed weight, twice",
                  [](In in) {
                    const Var W = transpose(in[1]);
                    return Results{affine(affine(in[0], W, in[2]), W, in[2])};
                  },
                  {{{2, 3}}, {{3, 3}}, {{3}}}});

  const BinaryOp tensor = [](const Var& a, const Var& b) -> Var { return outer(a, b); };
  rows.push_back({"outer", "(2) and (3)", of_two(tensor), {{{2}}, {{3}}}, "", true});
  rows.push_back({"outer", "(1) and (1)", of_two(tensor), {{{1}}, {{1}}}});
  rows.push_back({"outer", "(1) and (5)", of_two(tensor), {{{1}}, {{5}}}});
  rows.push_back({"outer", "nothing", of_two(tensor), {empty({0}), empty({3})}});
  rows.push_back(
      {"outer", "the same twice", [](In in) { return Results{outer(in[0], in[0])}; }, {{{4}}}});
  return rows;
}

}  // namespace xgrad::testing
