#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;
using detail::Results;
using Loss = Var (*)(const Var& prediction, const Var& target, Reduction reduction);

struct NamedLoss {
  const char* name;
  Loss f;
  double low;  ///< of the target
  const char* not_analytic = "";
};

const NamedLoss losses[] = {
    {"mse", [](const Var& a, const Var& b, Reduction r) { return mse(a, b, r); }, -1},
    {"mae", [](const Var& a, const Var& b, Reduction r) { return mae(a, b, r); }, -1, "abs"},
    {"huber", [](const Var& a, const Var& b, Reduction r) { return huber(a, b, 0.5, r); }, -1,
     "huber"},
    {"binary_cross_entropy_with_logits",
     [](const Var& a, const Var& b, Reduction r) {
       return binary_cross_entropy_with_logits(a, b, r);
     },
     0}};

void add_rows(GradcheckRows& rows, const NamedLoss& loss) {
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::none}) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{5}, Shape{2, 3}, Shape{17}}) {
      const char* reduction = r == Reduction::mean ? "mean" : r == Reduction::sum ? "sum" : "none";
      rows.push_back({loss.name,
                      to_string(shape) + ", " + reduction,
                      [f = loss.f, r](In in) { return Results{f(in[0], in[1], r)}; },
                      {{shape, -2, 2}, {shape, loss.low, 1}},
                      loss.not_analytic});
    }
  }
  rows.back().second_order = std::string(loss.not_analytic).empty();
  const RowInput empty{{0, 2}, 0, 1, {}, false, Verdict::vacuous};
  rows.push_back({loss.name,
                  "nothing",
                  [f = loss.f](In in) { return Results{f(in[0], in[1], Reduction::sum)}; },
                  {empty, empty},
                  loss.not_analytic});
  rows.back().not_analytic = "";
  rows.push_back({loss.name,
                  "a transpose, and overlapping slices",
                  [f = loss.f](In in) {
                    const Var& x = in[0];
                    return Results{f(x, transpose(x), Reduction::sum),
                                   f(slice(x, 0, 0, 2), slice(x, 0, 1, 3), Reduction::none), x};
                  },
                  {{{3, 3}}},
                  loss.not_analytic});
}

}  // namespace

GradcheckRows loss_rows() {
  GradcheckRows rows;
  for (const NamedLoss& loss : losses) add_rows(rows, loss);
  const RowInput a{{3}, 0, 0, {0.5, 1, -0.25}, false, Verdict::kink};
  const RowInput b{{3}, 0, 0, {0.5, 0.75, 2}, false, Verdict::kink};
  rows.push_back({"mae",
                  "ties",
                  [](In in) { return Results{mae(in[0], in[1], Reduction::none)}; },
                  {a, b},
                  "abs"});
  rows.push_back({"huber",
                  "at delta the derivative is one of both sides",
                  [](In in) { return Results{huber(in[0], in[1], 0.25, Reduction::none)}; },
                  {{{2}, 0, 0, {0.5, 1}}, {{2}, 0, 0, {0.75, 0.75}}},
                  "huber"});

  const auto entropy = [&](const std::string& what, const Shape& shape, const Indices& targets,
                           CrossEntropyOptions options, Verdict expected = Verdict::correct) {
    rows.push_back(
        {"cross_entropy",
         what,
         [targets, options](In in) { return Results{cross_entropy(in[0], targets, options)}; },
         {{shape, -2, 2, {}, false, expected}},
         "",
         options.label_smoothing > 0});
  };
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::none}) {
    entropy("a batch", {3, 4}, {0, 3, 1}, {.reduction = r});
    entropy("smoothed, one row ignored", {3, 4}, {0, -100, 1},
            {.label_smoothing = 0.1, .reduction = r});
    entropy("a sequence", {2, 2, 5}, Indices({2, 2}, {4, 0, 1, 1}), {.reduction = r});
  }
  const std::vector<double> weights{2, 0.5, 1, 3};
  entropy("class weights", {3, 4}, {0, 3, 1}, {.class_weights = weights});
  entropy("class weights, smoothed, one row ignored", {3, 4}, {0, -100, 1},
          {.label_smoothing = 0.1, .class_weights = weights});
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::none}) {
    rows.push_back({"cross_entropy",
                    "probabilities",
                    [r](In in) { return Results{cross_entropy(in[0], in[1], {.reduction = r})}; },
                    {{{2, 4}, -2, 2}, {{2, 4}, 0, 1}},
                    "",
                    r == Reduction::mean});
  }
  rows.push_back({"cross_entropy",
                  "probabilities, smoothed, with class weights",
                  [weights](In in) {
                    return Results{cross_entropy(
                        in[0], in[1], {.label_smoothing = 0.2, .class_weights = weights})};
                  },
                  {{{2, 2, 4}, -2, 2}, {{2, 2, 4}, 0, 1}}});
  entropy("one row", {17}, Indices({}, {3}), {});
  entropy("one class", {2, 1}, {0, 0}, {}, Verdict::zero);
  entropy("all rows ignored", {2, 3}, {-100, -100}, {.reduction = Reduction::sum}, Verdict::zero);
  entropy("no rows", {0, 3}, Indices({0}, {}), {.reduction = Reduction::sum}, Verdict::vacuous);
  rows.push_back({"cross_entropy",
                  "a transpose, and x",
                  [](In in) {
                    return Results{cross_entropy(transpose(in[0]), {2, 0, 1}) *
                                   cross_entropy(in[0], {1, 1, 0})};
                  },
                  {{{3, 3}}}});
  return rows;
}

}  // namespace xgrad::testing
