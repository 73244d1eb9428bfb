#include <set>

#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;
using detail::Results;

void append(GradcheckRows& rows, GradcheckRows more) {
  for (GradcheckRow& row : more) rows.push_back(std::move(row));
}

/// Both operands the same Var, overlapping parts of one, and x with its own transpose. `low` and
/// `high` are good for either operand.
GradcheckRows aliased(const std::string& op, BinaryOp f, double low, double high,
                      const std::string& not_analytic = "", Verdict twice = Verdict::correct) {
  const RowInput x{{}, low, high};
  const auto input = [&](const Shape& shape, Verdict expected = Verdict::correct) {
    RowInput result = x;
    result.shape = shape;
    result.expected = expected;
    return result;
  };
  const Verdict others = twice == Verdict::zero ? Verdict::zero : Verdict::correct;
  return {{op,
           "the same twice",
           [f](In in) { return Results{f(in[0], in[0])}; },
           {input({2, 3}, twice)},
           not_analytic},
          {op,
           "overlapping slices",
           [f](In in) { return Results{f(slice(in[0], 0, 0, 4), slice(in[0], 0, 1, 5))}; },
           {input({5}, others)},
           not_analytic},
          {op,
           "a row and the whole",
           [f](In in) {
             return Results{f(in[0], in[0][1]), f(in[0][0], in[0])};
           },
           {input({2, 3}, twice)},
           not_analytic},
          {op,
           "x and its transpose",
           [f](In in) { return Results{f(in[0], transpose(in[0]))}; },
           {input({3, 3}, twice)},
           not_analytic}};
}

/// An op at numbers where it is special.
GradcheckRow at(const std::string& op, const std::string& what, UnaryOp f,
                const std::vector<double>& xs, Verdict expected,
                const std::string& not_analytic = "") {
  const RowInput x{{static_cast<Index>(xs.size())}, 0, 0, xs, false, expected};
  return {op, what, of_one(f), {x}, not_analytic};
}

}  // namespace

GradcheckRows arithmetic_rows() {
  GradcheckRows rows;
  const RowInput any{{}, -2, 2};
  const RowInput positive{{}, 0.5, 2};
  struct Operator {
    const char* name;
    BinaryOp f;
    const RowInput& right;
  };
  const Operator operators[] = {
      {"operator+", [](const Var& a, const Var& b) -> Var { return a + b; }, any},
      {"operator-", [](const Var& a, const Var& b) -> Var { return a - b; }, any},
      {"operator*", [](const Var& a, const Var& b) -> Var { return a * b; }, any},
      {"operator/", [](const Var& a, const Var& b) -> Var { return a / b; }, positive}};
  for (const Operator& each : operators) {
    append(rows, binary_patterns(each.name, each.f, any, each.right));
    const bool cancels = std::string(each.name) == "operator-";
    const bool constant = std::string(each.name) == "operator/";
    GradcheckRows more = aliased(each.name, each.f, 0.5, 2);
    if (cancels || constant) more[0].inputs[0].expected = Verdict::zero;  // x - x and x / x
    append(rows, more);
  }
  const auto numbers = [&](const std::string& op, UnaryOp left, UnaryOp right) {
    rows.push_back({op, "a number on the left", of_one(left), {{{2, 3}, 0.5, 2}}});
    rows.push_back({op, "a number on the right", of_one(right), {{{2, 3}, 0.5, 2}}});
  };
  numbers(
      "operator+", [](const Var& x) -> Var { return 2 + x; },
      [](const Var& x) -> Var { return x + 2; });
  numbers(
      "operator-", [](const Var& x) -> Var { return 2 - x; },
      [](const Var& x) -> Var { return x - 2; });
  numbers(
      "operator*", [](const Var& x) -> Var { return 3 * x; },
      [](const Var& x) -> Var { return x * 3; });
  numbers(
      "operator/", [](const Var& x) -> Var { return 3 / x; },
      [](const Var& x) -> Var { return x / 3; });
  append(rows, unary_patterns(
                   "operator-", [](const Var& x) -> Var { return -x; }, -2, 2));
  rows.push_back({"operator*",
                  "one fused expression of many",
                  [](In in) {
                    const Var &i = in[0], &f = in[1], &g = in[2], &c = in[3];
                    const Var next = sigmoid(f) * c + sigmoid(i) * tanh(g) - c / (2 + i * f);
                    return Results{next};
                  },
                  {{{3, 4}}, {{4}}, {{3, 1}}, {{}}}});
  // Comparisons have no gradient, and the numbers say so.
  const RowInput flat{{}, -1, 1, {}, false, Verdict::zero};
  struct Comparison {
    const char* op;
    const char* name;
    BinaryOp f;
  };
  const Comparison comparisons[] = {
      {"operator>", "greater", [](const Var& a, const Var& b) -> Var { return a > b; }},
      {"operator<", "greater", [](const Var& a, const Var& b) -> Var { return a < b; }},
      {"operator>=", "greater_equal", [](const Var& a, const Var& b) -> Var { return a >= b; }},
      {"operator<=", "greater_equal", [](const Var& a, const Var& b) -> Var { return a <= b; }},
      {"equal", "equal", [](const Var& a, const Var& b) -> Var { return equal(a, b); }}};
  for (const Comparison& each : comparisons) {
    append(rows, binary_patterns(each.op, each.f, flat, flat, each.name));
  }
  // Of a choice: the condition is a constant, or made from what is chosen.
  for (const auto& [c, a, b] : {std::tuple<Shape, Shape, Shape>{{}, {}, {}},
                                {{5}, {5}, {5}},
                                {{2, 1}, {5}, {1, 1}},
                                {{2, 5}, {}, {2, 1}},
                                {{1}, {3, 1, 5}, {2, 1}}}) {
    rows.push_back({"where",
                    to_string(c) + ", " + to_string(a) + " and " + to_string(b),
                    [](In in) {
                      return Results{where(in[0] > 0.0, in[1], in[2]), in[1] + in[2]};
                    },
                    {{c, -1, 1, {}, true}, {a}, {b}},
                    "greater"});
  }
  rows.push_back({"where",
                  "a mask, and what is not chosen",
                  [](In in) { return Results{where(in[0], in[1], in[2])}; },
                  {{{3}, 0, 0, {1, 1, 1}, true}, {{3}}, {{3}, -1, 1, {}, false, Verdict::zero}},
                  "",
                  true});
  rows.push_back({"where",
                  "what is not chosen is infinite",
                  [](In in) { return Results{where(in[0], in[1] * in[1], in[2])}; },
                  {{{2}, 0, 0, {1, 1}, true},
                   {{2}},
                   {{2}, 0, 0, {std::numeric_limits<double>::infinity(), std::nan("")}, true}}});
  rows.push_back({"where",
                  "what is not chosen has no slope",
                  [](In in) { return Results{where(in[0], sqrt(in[1]), square(in[1]))}; },
                  {{{3}, 0, 0, {1, 0, 0}, true}, {{3}, 0, 0, {0.5, 0, -1}}},
                  "",
                  true});
  rows.push_back({"where",
                  "the same Var as all three",
                  [](In in) { return Results{where(in[0], in[0], in[0])}; },
                  {{{4}}}});
  rows.push_back({"where",
                  "nothing",
                  [](In in) { return Results{where(in[0], in[1], in[2])}; },
                  {{{0}, 0, 0, {}, true, Verdict::vacuous},
                   {{0}, 0, 0, {}, false, Verdict::vacuous},
                   {{1}, -1, 1, {}, false, Verdict::vacuous}}});
  return rows;
}

GradcheckRows unary_rows() {
  struct Unary {
    const char* name;
    UnaryOp f;
    double low;
    double high;
    const char* not_analytic = "";
  };
  const Unary table[] = {
      {"exp", [](const Var& x) -> Var { return exp(x); }, -2, 2},
      {"log", [](const Var& x) -> Var { return log(x); }, 0.2, 3},
      {"log1p", [](const Var& x) -> Var { return log1p(x); }, -0.7, 2},
      {"expm1", [](const Var& x) -> Var { return expm1(x); }, -2, 2},
      {"sqrt", [](const Var& x) -> Var { return sqrt(x); }, 0.2, 3},
      {"square", [](const Var& x) -> Var { return square(x); }, -2, 2},
      {"abs", [](const Var& x) -> Var { return abs(x); }, -2, 2, "abs"},
      {"sin", [](const Var& x) -> Var { return sin(x); }, -4, 4},
      {"cos", [](const Var& x) -> Var { return cos(x); }, -4, 4},
      {"tan", [](const Var& x) -> Var { return tan(x); }, -1.2, 1.2},
      {"sinh", [](const Var& x) -> Var { return sinh(x); }, -3, 3},
      {"cosh", [](const Var& x) -> Var { return cosh(x); }, -3, 3},
      {"asin", [](const Var& x) -> Var { return asin(x); }, -0.9, 0.9},
      {"acos", [](const Var& x) -> Var { return acos(x); }, -0.9, 0.9},
      {"atan", [](const Var& x) -> Var { return atan(x); }, -3, 3},
      {"erf", [](const Var& x) -> Var { return erf(x); }, -2, 2, "erf"},
      {"sigmoid", [](const Var& x) -> Var { return sigmoid(x); }, -4, 4},
      {"tanh", [](const Var& x) -> Var { return tanh(x); }, -3, 3},
      {"relu", [](const Var& x) -> Var { return relu(x); }, -2, 2},
      {"leaky_relu", [](const Var& x) -> Var { return leaky_relu(x, 0.1); }, -2, 2},
      {"elu", [](const Var& x) -> Var { return elu(x, 0.7); }, -2, 2},
      {"gelu", [](const Var& x) -> Var { return gelu(x); }, -8, 4, "gelu"},
      {"softplus", [](const Var& x) -> Var { return softplus(x); }, -3, 3},
      {"silu", [](const Var& x) -> Var { return silu(x); }, -3, 3},
      {"clip", [](const Var& x) -> Var { return clip(x, -0.5, 0.75); }, -1, 1, "clip"},
      {"sign", [](const Var& x) -> Var { return sign(x); }, -2, -0.2, "sign"},
      {"floor", [](const Var& x) -> Var { return floor(x); }, 1.1, 1.9, "floor"}};
  // Those of which a random input may be constant or zero all over.
  const std::set<std::string> flat{"relu", "clip", "sign", "floor"};
  GradcheckRows rows;
  for (const Unary& each : table) {
    GradcheckRows more = unary_patterns(each.name, each.f, each.low, each.high, each.not_analytic);
    for (GradcheckRow& row : more) {
      if (flat.contains(each.name) && row.inputs[0].expected == Verdict::correct) {
        // One entry at least takes part; and its covector is not 0.
        row.f = [f = row.f](In in) {
          Results results = f(in);
          results.push_back(0.3 * in[0]);
          return results;
        };
      }
      row.second_order = row.second_order && !flat.contains(each.name);
    }
    append(rows, more);
  }
  return rows;
}

GradcheckRows pow_extremum_and_clip_rows() {
  GradcheckRows rows;
  const RowInput any{{}, -2, 2};
  const BinaryOp power = [](const Var& a, const Var& b) -> Var { return pow(a, b); };
  append(rows, binary_patterns("pow", power, {{}, 0.5, 2}, any));
  append(rows, aliased("pow", power, 0.5, 2));
  rows.push_back(at(
      "pow", "negative numbers to an odd power", [](const Var& x) -> Var { return pow(x, 3); },
      {-1.5, -0.25, 0.5}, Verdict::correct));
  rows.push_back(at(
      "pow", "zero to a power", [](const Var& x) -> Var { return pow(x, 2); }, {0, 1},
      Verdict::correct));
  rows.push_back(at(
      "pow", "to the power of 0", [](const Var& x) -> Var { return pow(x, 0); }, {0, -1, 2},
      Verdict::zero));
  rows.push_back(at(
      "pow", "a number to x", [](const Var& x) -> Var { return pow(1.5, x); }, {-1, 0, 2},
      Verdict::correct));

  const BinaryOp angle = [](const Var& a, const Var& b) -> Var { return atan2(a, b); };
  append(rows, binary_patterns("atan2", angle, any, {{}, 0.5, 2}));
  GradcheckRows angles = aliased("atan2", angle, 0.5, 2);
  angles[0].inputs[0].expected = Verdict::zero;  // of x and x it is pi / 4
  angles[0].float32 = false;                     // all of its gradient is rounding
  append(rows, angles);
  rows.push_back(at(
      "sign", "either side of 0", [](const Var& x) -> Var { return sign(x); }, {-2, 1e-3},
      Verdict::zero, "sign"));
  rows.push_back(at(
      "floor", "between whole numbers", [](const Var& x) -> Var { return floor(x); }, {-2.5, 0.5},
      Verdict::zero, "floor"));

  const BinaryOp larger = [](const Var& a, const Var& b) -> Var { return maximum(a, b); };
  const BinaryOp smaller = [](const Var& a, const Var& b) -> Var { return minimum(a, b); };
  for (const auto& [name, f] : {std::pair{"maximum", larger}, {"minimum", smaller}}) {
    GradcheckRows more = binary_patterns(name, f, any, any, name);
    GradcheckRows twice = aliased(name, f, -1, 1, name);
    // f(x, x) is x, and its gradient twice a half.
    append(more, twice);
    for (GradcheckRow& row : more) {
      if (row.inputs[0].expected != Verdict::correct || row.inputs.size() < 2) continue;
      row.f = [f = row.f](In in) {  // so that either operand takes part
        Results results = f(in);
        for (const Var& x : in) results.push_back(0.3 * x);
        return results;
      };
    }
    append(rows, more);
    const RowInput left{{3}, 0, 0, {0.5, 1, -0.25}, false, Verdict::kink};
    const RowInput right{{3}, 0, 0, {0.5, 0.75, -0.25}, false, Verdict::kink};
    rows.push_back({name, "ties", of_two(f), {left, right}, name});
  }

  const auto kink = Verdict::kink;
  rows.push_back(at(
      "relu", "0", [](const Var& x) -> Var { return relu(x); }, {0, 1, -1}, kink));
  rows.push_back(at(
      "relu", "only negative numbers", [](const Var& x) -> Var { return relu(x); }, {-2, -1},
      Verdict::zero));
  rows.push_back(at(
      "abs", "0", [](const Var& x) -> Var { return abs(x); }, {0, 1, -1}, kink, "abs"));
  rows.push_back(at(
      "leaky_relu", "0", [](const Var& x) -> Var { return leaky_relu(x); }, {0, 1, -1}, kink));
  rows.push_back(at(
      "elu", "0, with alpha 0.5", [](const Var& x) -> Var { return elu(x, 0.5); }, {0, 1, -1},
      kink));
  rows.push_back(at(
      "elu", "0, with alpha 1: no kink", [](const Var& x) -> Var { return elu(x); }, {0, 1, -1},
      Verdict::correct));
  rows.push_back(at(
      "clip", "the borders", [](const Var& x) -> Var { return clip(x, -1, 1); }, {-1, 0, 1}, kink,
      "clip"));
  rows.push_back(at(
      "clip", "outside", [](const Var& x) -> Var { return clip(x, -1, 1); }, {-2, 2}, Verdict::zero,
      "clip"));
  return rows;
}

}  // namespace xgrad::testing
