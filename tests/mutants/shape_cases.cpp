// Ops that move elements: slices, joins, transposes, look-ups, shifts.
#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/index.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

/// y of extent n, at places begin ... begin + n of zeros of the given extent along axis 1.
Var padded(const Var& y, Index begin, Index extent) {
  const Index rows = y.shape()[0];
  const Index end = begin + y.shape()[1];
  Vars parts;
  if (begin > 0) parts.push_back(Tensor::zeros({rows, begin}, y.dtype()));
  parts.push_back(y);
  if (end < extent) parts.push_back(Tensor::zeros({rows, extent - end}, y.dtype()));
  return concat(parts, 1);
}

Case middle_slice() {
  return {"slice",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {2, 6})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return slice(x[0], 1, 2, 5); },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  if (fault == 1) return p.add(0, padded(g, 1, 6));
                  if (fault == 2) return p.add(0, padded(slice(g, 1, 0, 2), 2, 6));
                  p.add(0, padded(g, 2, 6));
                })};
          },
          {{FaultClass::index, "one column too far to the left"},
           {FaultClass::index, "the last column is lost"}}};
}

Case join() {
  return {"concatenation",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw_signs(random, {2, 3})},
                                         {"b", draw_signs(random, {2, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                in,
                [](const Vars& x) {
                  return concat({x[0], x[1]}, 1);
                },
                [fault](Pullback& p) {
                  const auto [left, right] = split<2>(p.gradient(), 1);
                  p.add(0, fault == 1 ? right : left);
                  p.add(1, fault == 1 ? left : right);
                })};
          },
          {{FaultClass::index, "the parts are exchanged"}}};
}

Case transposed() {
  return {"transpose",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {3, 3})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return transpose(x[0]); },
                [fault](Pullback& p) {
                  p.add(0, fault == 1 ? p.gradient() : transpose(p.gradient()));
                })};
          },
          {{FaultClass::operand, "the gradient is not transposed back"}}};
}

Case look_up() {
  return {"embedding",
          [](Generator& random) {
            return std::vector<NamedVar>{{"table", draw_signs(random, {4, 2})}};
          },
          [](const Vars& in, int fault) -> Vars {
            const Indices words{2, 0, 2, 3, 2};
            return {op(
                {in[0]}, [words](const Vars& x) { return embedding(x[0], words); },
                [words, fault](Pullback& p) {
                  Vars rows(4);
                  for (Index i = 0; i < words.size(); ++i) {
                    const auto word =
                        static_cast<std::size_t>(words.values()[static_cast<std::size_t>(i)]);
                    Var& row = rows[fault == 2 ? (word + 1) % 4 : word];
                    const bool add = row.defined() && fault != 1;
                    row = add ? (Eager(row) + p.gradient()[i]).var() : p.gradient()[i];
                  }
                  for (Var& row : rows) {
                    if (!row.defined()) row = Tensor::zeros({2}, p.gradient().dtype());
                  }
                  p.add(0, stack(rows));
                })};
          },
          {{FaultClass::accumulation, "a word's last occurrence replaces the others"},
           {FaultClass::index, "the next word gets the gradient"}}};
}

Case shift() {
  return {"circular shift",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {5})}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return roll(x[0], 0, 1); },
                [fault](Pullback& p) { p.add(0, roll(p.gradient(), 0, fault == 1 ? 1 : 4)); })};
          },
          {{FaultClass::time, "shifted forward instead of back"}}};
}

Case filter() {
  // y_t = w_0 x_t + w_1 x_{t+1}
  return {
      "filter",
      [](Generator& random) {
        return std::vector<NamedVar>{{"x", draw_signs(random, {1, 6})},
                                     {"w", draw_signs(random, {2})}};
      },
      [](const Vars& in, int fault) -> Vars {
        return {op(
            in,
            [](const Vars& x) {
              return Eager(slice(x[0], 1, 0, 5)) * x[1][0] + Eager(slice(x[0], 1, 1, 6)) * x[1][1];
            },
            [fault](Pullback& p) {
              const Eager g = p.gradient();
              const Var x = p.input(0);
              const Var w = p.input(1);
              const Index first = fault == 1 ? 1 : 0;
              p.add(0, padded(g * w[first], 0, 6));
              if (fault != 2) p.add(0, padded(g * w[1 - first], 1, 6));
              const Index second = fault == 3 ? 0 : 1;
              p.add(1,
                    stack({sum(g * slice(x, 1, 0, 5)), sum(g * slice(x, 1, second, second + 5))}));
            })};
      },
      {{FaultClass::time, "the filter is reversed"},
       {FaultClass::accumulation, "only the first tap reaches the input"},
       {FaultClass::index, "the second tap's gradient sees the input unshifted"}}};
}

}  // namespace

std::vector<Case> shape_cases() {
  return {middle_slice(), join(), transposed(), look_up(), shift(), filter()};
}

}  // namespace xgrad::mutants::detail
