#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;
using detail::Results;
using Reduction = Var (*)(const Var& x, const Axes& axes, bool keep);

struct Reduce {
  const char* name;
  Reduction f;
  UnaryOp of_all;
  const char* not_analytic = "";
  bool of_one_is_flat = false;  ///< over a single element the result does not depend on it
};

const Reduce reductions[] = {
    {"sum", [](const Var& x, const Axes& axes, bool keep) { return sum(x, axes, {keep}); },
     [](const Var& x) { return sum(x); }},
    {"mean", [](const Var& x, const Axes& axes, bool keep) { return mean(x, axes, {keep}); },
     [](const Var& x) { return mean(x); }},
    {"max", [](const Var& x, const Axes& axes, bool keep) { return max(x, axes, {keep}); },
     [](const Var& x) { return max(x); }, "max"},
    {"min", [](const Var& x, const Axes& axes, bool keep) { return min(x, axes, {keep}); },
     [](const Var& x) { return min(x); }, "min"},
    {"prod", [](const Var& x, const Axes& axes, bool keep) { return prod(x, axes, {keep}); },
     [](const Var& x) { return prod(x); }},
    {"norm", [](const Var& x, const Axes& axes, bool keep) { return norm(x, axes, {keep}); },
     [](const Var& x) { return norm(x); }},
    {"logsumexp",
     [](const Var& x, const Axes& axes, bool keep) { return logsumexp(x, axes, {keep}); },
     [](const Var& x) { return logsumexp(x); }},
    {"variance",
     [](const Var& x, const Axes& axes, bool keep) {
       return variance(x, axes, {.unbiased = false, .keep = keep});
     },
     [](const Var& x) {
       Axes all = x.shape();
       for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Index>(i);
       return variance(x, all, {.unbiased = false});
     },
     "", true}};

void add_rows(GradcheckRows& rows, const Reduce& op) {
  const auto add = [&](const std::string& what, detail::CheckedFunction f, RowInput x) {
    rows.push_back({op.name, what, std::move(f), {std::move(x)}, op.not_analytic});
  };
  const Shape cube{2, 3, 4};
  const Axes choices[] = {{0}, {1}, {2}, {-1}, {0, 1}, {0, 2}, {1, 2}, {2, 0}, {0, 1, 2}};
  for (const Axes& axes : choices) {
    for (const bool keep : {false, true}) {
      add("over axes " + to_string(axes) + (keep ? ", kept" : ""),
          [f = op.f, axes, keep](In in) { return Results{f(in[0], axes, keep)}; }, {cube});
    }
  }
  add("over no axis", [f = op.f](In in) { return Results{f(in[0], {}, false)}; },
      {{2, 3}, -1, 1, {}, false, op.of_one_is_flat ? Verdict::zero : Verdict::correct});
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}, Shape{7}, Shape{17}, Shape{2, 3}}) {
    const bool flat = op.of_one_is_flat && element_count(shape) == 1;
    add("over all of " + to_string(shape), of_one(op.of_all),
        {shape, -1, 1, {}, false, flat ? Verdict::zero : Verdict::correct});
  }
  rows.back().second_order = std::string(op.not_analytic).empty();
  add("an axis of extent 1", [f = op.f](In in) { return Results{f(in[0], {1}, false)}; },
      {{3, 1}, -1, 1, {}, false, op.of_one_is_flat ? Verdict::zero : Verdict::correct});
  add("no results", [f = op.f](In in) { return Results{f(in[0], {1}, false)}; },
      {{0, 3}, -1, 1, {}, false, Verdict::vacuous});
  add("a transpose, over its first axis",
      [f = op.f](In in) { return Results{f(transpose(in[0]), {0}, false)}; }, {{3, 4}});
  add("strided entries",
      [f = op.f](In in) { return Results{f(slice(in[0], 1, 0, 7, 3), {1}, false)}; }, {{2, 7}});
  add("overlapping slices, and all",
      [f = op.f](In in) {
        return Results{f(slice(in[0], 0, 0, 4), {0}, false), f(slice(in[0], 0, 1, 5), {0}, true),
                       f(in[0], {0}, false)};
      },
      {{5, 2}});
  add("of itself", [f = op.f](In in) { return Results{in[0] * f(in[0], {-1}, true)}; }, {{2, 3}});
}

}  // namespace

GradcheckRows reduce_rows() {
  GradcheckRows rows;
  for (const Reduce& op : reductions) add_rows(rows, op);
  rows.push_back({"variance",
                  "unbiased",
                  [](In in) {
                    return Results{variance(in[0]), variance(in[0], {0}, {.keep = true})};
                  },
                  {{{3, 2}}},
                  "",
                  true});
  rows.push_back({"variance",
                  "of large numbers that differ little",
                  [](In in) { return Results{variance(in[0], {1})}; },
                  {{{2, 5}, 1000, 1001}}});
  rows.back().float32 = false;  // what float32 keeps of these numbers is no test of the op
  rows.push_back({"logsumexp",
                  "of large numbers",
                  [](In in) { return Results{logsumexp(in[0], {1})}; },
                  {{{2, 5}, 998, 1001}}});
  rows.back().float32 = false;
  // Those that share the largest value share its gradient; the others have none.
  rows.push_back({"max",
                  "ties",
                  [](In in) { return Results{max(in[0], {1})}; },
                  {{{2, 3}, 0, 0, {1, 0.5, 1, -1, -1, -1}, false, Verdict::kink}},
                  "max"});
  rows.push_back({"max",
                  "ties over all",
                  [](In in) { return Results{max(in[0])}; },
                  {{{4}, 0, 0, {0, 2, 2, 1}, false, Verdict::kink}},
                  "max"});
  rows.push_back({"min",
                  "ties",
                  [](In in) { return Results{min(in[0], {1})}; },
                  {{{2, 3}, 0, 0, {-1, 0.5, -1, 1, 1, 1}, false, Verdict::kink}},
                  "min"});
  rows.push_back({"prod",
                  "no, one and two zeros",
                  [](In in) { return Results{prod(in[0], {1})}; },
                  {{{3, 3}, 0, 0, {2, -1, 0.5, 0, 3, 1, 0, 0, -2}}},
                  "",
                  true});
  // Nothing but zeros: the cone's tip.
  rows.push_back({"norm",
                  "at zero",
                  [](In in) { return Results{norm(in[0])}; },
                  {{{3}, 0, 0, {0, 0, 0}, false, Verdict::kink}}});
  for (const Index axis : {0, 1, -1}) {
    rows.push_back({"cumsum",
                    "along axis " + std::to_string(axis),
                    [axis](In in) {
                      const Var y = cumsum(in[0], axis);
                      return Results{y * y};
                    },
                    {{{2, 3, 4}, 0.25, 1}},
                    "",
                    axis == 1});
  }
  rows.push_back(
      {"cumsum",
       "a transpose, and strided entries",
       [](In in) {
         return Results{cumsum(transpose(in[0]), 0), cumsum(slice(in[0], 1, 0, 5, 2), 1)};
       },
       {{{2, 5}}}});
  rows.push_back({"cumsum", "one", [](In in) { return Results{cumsum(in[0], 0)}; }, {{{1}}}});
  rows.push_back({"cumsum",
                  "nothing",
                  [](In in) { return Results{cumsum(in[0], 1)}; },
                  {{{2, 0}, -1, 1, {}, false, Verdict::vacuous}}});
  return rows;
}

}  // namespace xgrad::testing
