#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;
using detail::Results;

}  // namespace

GradcheckRows shape_rows() {
  GradcheckRows rows;
  // Squared first, so that there is a gradient to rearrange, and recorded results as well as
  // parameters are the base of views.
  const auto add = [&](const char* op, const std::string& what, detail::CheckedFunction f,
                       const Shape& shape, Verdict expected = Verdict::correct) {
    rows.push_back({op, what, f, {{shape, 0.25, 1, {}, false, expected}}});
    rows.push_back({op,
                    what + ", of a result",
                    [f](In in) {
                      const Var y = in[0] * in[0];
                      Results results = f({y});
                      results.push_back(y);
                      return results;
                    },
                    {{shape, 0.25, 1, {}, false, expected}}});
  };
  const auto vacuous = Verdict::vacuous;
  add("reshape", "(2,3) to (6)", [](In in) { return Results{reshape(in[0], {6})}; }, {2, 3});
  add("reshape", "(2,3) to (3,-1)", [](In in) { return Results{reshape(in[0], {3, -1})}; }, {2, 3});
  add("reshape", "(1) to ()", [](In in) { return Results{reshape(in[0], {})}; }, {1});
  add("reshape", "() to (1,1)", [](In in) { return Results{reshape(in[0], {1, 1})}; }, {});
  add(
      "reshape", "nothing",
      [](In in) {
        return Results{reshape(in[0], {3, 0})};
      },
      {0, 2}, vacuous);
  add("reshape", "a transpose: a copy",
      [](In in) { return Results{reshape(transpose(in[0]), {-1})}; }, {2, 3});

  add("transpose", "a matrix", [](In in) { return Results{transpose(in[0])}; }, {2, 3});
  add("transpose", "a cube", [](In in) { return Results{transpose(in[0], {2, 0, 1})}; }, {2, 3, 4});
  add("transpose", "a vector", [](In in) { return Results{transpose(in[0])}; }, {3});
  add("transpose", "a scalar", [](In in) { return Results{transpose(in[0])}; }, {});
  add(
      "transpose", "nothing", [](In in) { return Results{transpose(in[0])}; }, {0, 2}, vacuous);
  add("transpose", "twice, beside once",
      [](In in) {
        return Results{transpose(transpose(in[0])) * in[0], transpose(in[0])};
      },
      {2, 3});

  add("slice", "the middle", [](In in) { return Results{slice(in[0], 0, 1, 3), in[0]}; }, {4, 2});
  add("slice", "columns", [](In in) { return Results{slice(in[0], 1, 1, 3), in[0]}; }, {2, 4});
  add("slice", "steps from the end",
      [](In in) {
        return Results{slice(in[0], -1, -4, -1, 2), in[0]};
      },
      {2, 5});
  add("slice", "one entry", [](In in) { return Results{slice(in[0], 0, 0, 1)}; }, {1});
  add("slice", "overlapping",
      [](In in) {
        return Results{slice(in[0], 0, 0, 3) * slice(in[0], 0, 1, 4), in[0]};
      },
      {4});
  add("slice", "of a transpose, of a slice",
      [](In in) {
        return Results{slice(transpose(slice(in[0], 0, 1, 4)), 0, 0, 3, 2), in[0]};
      },
      {4, 3});
  add(
      "slice", "nothing", [](In in) { return Results{slice(in[0], 0, 1, 1)}; }, {3}, vacuous);
  rows.pop_back();  // of a result: that is itself one

  add("split", "in two",
      [](In in) {
        const auto [a, b] = split<2>(in[0]);
        return Results{a * b, a};
      },
      {3, 4});
  add("split", "in one", [](In in) { return Results{split<1>(in[0])[0]}; }, {1});
  add("split", "rows, as a list",
      [](In in) {
        const std::vector<Var> parts = split(in[0], 3, 0);
        return Results{parts[2] - parts[0] * parts[1]};
      },
      {3, 2});

  add("flip", "rows", [](In in) { return Results{flip(in[0], 0)}; }, {3, 2});
  add("flip", "columns, and x itself", [](In in) { return Results{flip(in[0], -1) * in[0]}; },
      {2, 3});
  add("flip", "one entry", [](In in) { return Results{flip(in[0], 0)}; }, {1});
  add(
      "flip", "nothing", [](In in) { return Results{flip(in[0], 0)}; }, {0, 2}, vacuous);
  add("squeeze", "the middle", [](In in) { return Results{squeeze(in[0], 1)}; }, {2, 1, 3});
  add("squeeze", "to a scalar", [](In in) { return Results{squeeze(in[0], 0)}; }, {1});
  add(
      "squeeze", "nothing", [](In in) { return Results{squeeze(in[0], 0)}; }, {1, 0}, vacuous);
  add("unsqueeze", "the end", [](In in) { return Results{unsqueeze(in[0], -1)}; }, {2, 3});
  add("unsqueeze", "a scalar", [](In in) { return Results{unsqueeze(in[0], 0)}; }, {});
  add(
      "unsqueeze", "nothing", [](In in) { return Results{unsqueeze(in[0], 0)}; }, {0}, vacuous);

  for (const auto& [from, to] : {std::pair<Shape, Shape>{{}, {5}},
                                 {{1}, {5}},
                                 {{5}, {2, 5}},
                                 {{2, 1}, {2, 5}},
                                 {{2, 5}, {3, 2, 5}},
                                 {{1, 5, 1}, {3, 5, 2}},
                                 {{2, 3}, {2, 3}},
                                 {{}, {}}}) {
    add(
        "broadcast_to", to_string(from) + " to " + to_string(to),
        [to = to](In in) { return Results{broadcast_to(in[0], to)}; }, from);
  }
  add(
      "broadcast_to", "to nothing",
      [](In in) {
        return Results{broadcast_to(in[0], {0, 3})};
      },
      {3}, vacuous);
  rows.pop_back();
  add("broadcast_to", "a transpose",
      [](In in) {
        return Results{broadcast_to(transpose(in[0]), {2, 3, 2})};
      },
      {2, 3});

  for (const Index axis : {0, 1, -1}) {
    rows.push_back({"concat",
                    "along " + std::to_string(axis),
                    [axis](In in) {
                      return Results{concat({in[0], in[1]}, axis)};
                    },
                    {{{2, 2}}, {{2, 2}}}});
    rows.push_back({"stack",
                    "along " + std::to_string(axis),
                    [axis](In in) {
                      return Results{stack({in[0], in[1]}, axis)};
                    },
                    {{{2, 3}}, {{2, 3}}}});
  }
  rows.push_back({"concat",
                  "of different extents",
                  [](In in) {
                    return Results{concat({in[0], in[1], in[2]}, 1)};
                  },
                  {{{2, 1}}, {{2, 3}}, {{2, 2}}}});
  rows.push_back({"concat",
                  "with nothing",
                  [](In in) {
                    return Results{concat({in[0], in[1]})};
                  },
                  {{{0, 3}, -1, 1, {}, false, vacuous}, {{2, 3}}}});
  rows.push_back({"stack",
                  "nothing",
                  [](In in) {
                    return Results{stack({in[0], in[1]})};
                  },
                  {{{0}, -1, 1, {}, false, vacuous}, {{0}, -1, 1, {}, false, vacuous}}});
  rows.push_back({"stack",
                  "scalars",
                  [](In in) {
                    return Results{stack({in[0], in[1], in[0]})};
                  },
                  {{{}}, {{}}}});
  add("concat", "one", [](In in) { return Results{concat({in[0]})}; }, {2, 3});
  add("concat", "the same twice, and a view of it",
      [](In in) {
        return Results{concat({in[0], in[0], transpose(in[0])}, 1)};
      },
      {3, 3});
  add("stack", "one", [](In in) { return Results{stack({in[0]})}; }, {2});
  add("stack", "the same twice, and overlapping slices",
      [](In in) {
        return Results{stack({in[0], in[0]}),
                       stack({slice(in[0], 0, 0, 2), slice(in[0], 0, 1, 3)}, 1)};
      },
      {3});
  rows.push_back({"stack",
                  "the second derivative through all that copies",
                  [](In in) {
                    const Var y = in[0] * in[0];
                    return Results{concat({reshape(transpose(y), {-1}), flip(in[0][1], 0)}) * 2.0,
                                   stack({y, in[0]}, 1) * broadcast_to(in[0][0], {2, 2, 3})};
                  },
                  {{{2, 3}}},
                  "",
                  true});
  return rows;
}

}  // namespace xgrad::testing
