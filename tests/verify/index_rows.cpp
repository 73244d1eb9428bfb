#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/dropout.hpp>
#include <xgrad/ops/index.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {

using In = const std::vector<Var>&;
using detail::Results;

GradcheckRows index_rows() {
  GradcheckRows rows;
  const auto vacuous = Verdict::vacuous;
  const auto gathered = [&](const std::string& what, const Shape& shape, const Indices& indices,
                            Index axis, Verdict expected = Verdict::correct) {
    rows.push_back({"gather",
                    what,
                    [indices, axis](In in) { return Results{gather(in[0], indices, axis)}; },
                    {{shape, -1, 1, {}, false, expected}}});
  };
  gathered("rows, one of them twice", {4, 3}, {0, 2, 2, 3}, 0);
  gathered("columns", {2, 4}, {3, 0, 1}, 1);
  gathered("the middle axis, by a matrix", {2, 3, 2}, Indices({2, 2}, {0, 1, 2, 2}), 1);
  gathered("by a scalar", {4}, Indices({}, {2}), 0);
  gathered("one entry of one", {1}, {0}, 0);
  gathered("by nothing", {3, 2}, Indices({0}, {}), 0, vacuous);
  gathered("of empty rows", {3, 0}, {0, 1}, 0, vacuous);
  rows.push_back({"gather",
                  "a transpose, and again",
                  [](In in) {
                    const Var y = gather(transpose(in[0]), {1, 1, 0});
                    return Results{y * gather(y, {2, 1, 0})};
                  },
                  {{{2, 3}}},
                  "",
                  true});
  const auto looked_up = [&](const std::string& what, const Shape& shape, const Indices& indices,
                             Verdict expected = Verdict::correct) {
    rows.push_back({"embedding",
                    what,
                    [indices](In in) {
                      const Var e = embedding(in[0], indices);
                      return Results{e * e};
                    },
                    {{shape, 0.25, 1, {}, false, expected}},
                    "",
                    shape[0] == 4});
  };
  looked_up("a sentence", {4, 3}, {1, 3, 1, 0});
  looked_up("a batch of sentences", {5, 2}, Indices({2, 3}, {4, 0, 0, 1, 4, 2}));
  looked_up("one word of one", {1, 1}, {0});
  looked_up("no words", {3, 2}, Indices({2, 0}, {}), vacuous);
  const auto taken = [&](const std::string& what, const Shape& shape, const Indices& indices,
                         Verdict expected = Verdict::correct) {
    rows.push_back({"take_along",
                    what,
                    [indices](In in) {
                      const Var y = take_along(in[0], indices);
                      return Results{y * y};
                    },
                    {{shape, 0.25, 1, {}, false, expected}},
                    "",
                    shape.size() == 3});
  };
  taken("a vector", {5}, Indices({}, {3}));
  taken("rows", {3, 4}, {3, 0, 0});
  taken("a cube", {2, 2, 3}, Indices({2, 2}, {0, 2, 1, 1}));
  taken("one column", {2, 1}, {0, 0});
  taken("no rows", {0, 3}, Indices({0}, {}), vacuous);
  rows.push_back(
      {"take_along",
       "a transpose and x",
       [](In in) {
         return Results{take_along(transpose(in[0]), {1, 0, 2}), take_along(in[0], {2, 2, 1})};
       },
       {{{3, 3}}}});
  for (const bool largest : {true, false}) {
    rows.push_back({largest ? "argmax" : "argmin",
                    "what is there",
                    [largest](In in) {
                      return Results{take_along(in[0], largest ? argmax(in[0]) : argmin(in[0]))};
                    },
                    {{{3, 4}}},
                    largest ? "argmax" : "argmin"});
  }
  return rows;
}

GradcheckRows dropout_rows() {
  GradcheckRows rows;
  const auto vacuous = Verdict::vacuous;
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{3, 4}}) {
    rows.push_back({"dropout",
                    to_string(shape),
                    [](In in) {
                      return Results{dropout(in[0], 0.4), 0.3 * in[0]};
                    },
                    {{shape}}});
  }
  rows.push_back({"dropout",
                  "()",
                  [](In in) {
                    return Results{dropout(in[0], 0.4), 0.3 * in[0]};
                  },
                  {{{}}}});
  rows.push_back({"dropout",
                  "of nothing",
                  [](In in) { return Results{dropout(in[0], 0.4)}; },
                  {{{0, 2}, -1, 1, {}, false, vacuous}}});
  rows.push_back({"dropout", "p = 0", [](In in) { return Results{dropout(in[0], 0)}; }, {{{3}}}});
  rows.push_back(
      {"dropout",
       "two masks of one Var, and a transpose",
       [](In in) {
         return Results{dropout(in[0], 0.5) * dropout(in[0], 0.5), dropout(transpose(in[0]), 0.1)};
       },
       {{{3, 3}}},
       "",
       true});
  return rows;
}

}  // namespace xgrad::testing
