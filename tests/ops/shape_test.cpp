#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"

namespace xgrad::testing {
namespace {

const OpRow rows[] = {OpRow("reshape"),   OpRow("transpose"),   OpRow("slice"), OpRow("split"),
                      OpRow("concat"),    OpRow("stack"),       OpRow("flip"),  OpRow("squeeze"),
                      OpRow("unsqueeze"), OpRow("broadcast_to")};

using Vars = std::span<const Var>;
using Values = std::vector<double>;

void check(const char* group, const Evaluate& op) {
  const std::vector<std::string> cases = cases_of(group);
  ASSERT_FALSE(cases.empty());
  for (const std::string& name : cases) check_case(name, op);
}

TEST(ShapeOps, Reference) {
  using A = const Arguments&;
  check("reshape", [](A a) { return std::vector{reshape(a["x"], a.list("shape"))}; });
  check("transpose", [](A a) { return std::vector{transpose(a["x"], a.list("axes"))}; });
  check("slice", [](A a) {
    if (a.has("index")) return std::vector{a["x"][a.integer("index")]};
    return std::vector{
        slice(a["x"], a.integer("axis"), a.integer("begin"), a.integer("end"), a.integer("step"))};
  });
  check("split", [](A a) { return split(a["x"], a.integer("parts"), a.integer("axis")); });
  check("concat", [](A a) { return std::vector{concat({a["a"], a["b"]}, a.integer("axis"))}; });
  check("stack", [](A a) { return std::vector{stack({a["a"], a["b"]}, a.integer("axis"))}; });
  check("broadcast_to", [](A a) { return std::vector{broadcast_to(a["x"], a.list("shape"))}; });
  check("flip", [](A a) {
    Var y = a["x"];
    for (const Index axis : a.list("axes")) y = flip(y, axis);
    return std::vector{y};
  });
}

/// 0, 1, 2, ...
Var counting(const Shape& shape) {
  Values values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return Tensor(shape, values);
}

TEST(ShapeOps, Values) {
  const Var x = counting({2, 3});
  const auto values = [](const Var& y) { return y.tensor().to_vector(); };
  EXPECT_EQ(values(transpose(x)), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(reshape(transpose(x), {2, 3})), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values(slice(x, 1, -2, -1)), (Values{1, 4}));
  EXPECT_EQ(values(slice(x, -1, 0, 3, 2)), (Values{0, 2, 3, 5}));
  EXPECT_EQ(values(flip(x, -1)), (Values{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(values(flip(transpose(x), 0)), (Values{2, 5, 1, 4, 0, 3}));
  EXPECT_EQ(values(concat({x, slice(x, 1, 0, 0), x}, -1)),
            (Values{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}));
  EXPECT_EQ(values(stack({x, flip(x, 0)}, -1)), (Values{0, 3, 1, 4, 2, 5, 3, 0, 4, 1, 5, 2}));
  EXPECT_EQ(values(broadcast_to(slice(x, 1, 0, 1), {2, 2})), (Values{0, 0, 3, 3}));
  EXPECT_EQ(values(split<3>(x)[1]), (Values{1, 4}));
  EXPECT_EQ(values(split<2>(x, 0)[1]), (Values{3, 4, 5}));
}

TEST(ShapeOps, Shapes) {
  const Var x = counting({2, 1, 3});
  EXPECT_EQ(squeeze(x, 1).shape(), (Shape{2, 3}));
  EXPECT_EQ(squeeze(x, -2).shape(), (Shape{2, 3}));
  EXPECT_EQ(unsqueeze(x, 0).shape(), (Shape{1, 2, 1, 3}));
  EXPECT_EQ(unsqueeze(x, -1).shape(), (Shape{2, 1, 3, 1}));
  EXPECT_EQ(unsqueeze(x, -1).tensor().is_contiguous(), true);
  EXPECT_EQ(reshape(x, {-1}).shape(), (Shape{6}));
  EXPECT_EQ(reshape(x, {3, -1, 2}).shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(transpose(x).shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(transpose(x, {-1, 0, 1}).shape(), (Shape{3, 2, 1}));

  const Var scalar = counting({});
  EXPECT_EQ(reshape(scalar, {1, 1}).shape(), (Shape{1, 1}));
  EXPECT_EQ(reshape(reshape(scalar, {-1}), {}).shape(), Shape());
  EXPECT_EQ(transpose(scalar).shape(), Shape());
  EXPECT_EQ(unsqueeze(scalar, 0).shape(), (Shape{1}));
  EXPECT_EQ(stack({scalar, scalar}).shape(), (Shape{2}));
  EXPECT_EQ(broadcast_to(scalar, {0, 2}).shape(), (Shape{0, 2}));

  const Var none = counting({2, 0, 3});
  EXPECT_EQ(reshape(none, {0, 5}).shape(), (Shape{0, 5}));
  EXPECT_EQ(reshape(none, {2, 3, -1}).shape(), (Shape{2, 3, 0}));
  EXPECT_EQ(transpose(none).shape(), (Shape{3, 0, 2}));
  EXPECT_EQ(slice(none, 2, 1, 3).shape(), (Shape{2, 0, 2}));
  EXPECT_EQ(slice(counting({4}), 0, 4, 4).shape(), (Shape{0}));
  EXPECT_EQ(flip(none, 0).shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(flip(none, 1).shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(concat({none, counting({2, 1, 3}), none}, 1).shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(stack({none, none}, 1).shape(), (Shape{2, 2, 0, 3}));
  EXPECT_EQ(split<2>(none, 1)[0].shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(split(none, 3, -1)[2].shape(), (Shape{2, 0, 1}));
}

TEST(ShapeOps, ViewsShareMemoryAndRecordNothing) {
  const Var x = parameter(counting({2, 4}).tensor());
  Tape tape;
  const Var y = x * 1.0;
  EXPECT_EQ(tape.size(), 1u);
  for (const Var& base : {x, y}) {
    const std::byte* bytes = base.tensor().bytes();
    EXPECT_EQ(reshape(base, {4, 2}).tensor().bytes(), bytes);
    EXPECT_EQ(transpose(base).tensor().bytes(), bytes);
    EXPECT_EQ(slice(base, 0, 1, 2).tensor().bytes(), bytes + 4 * sizeof(double));
    EXPECT_EQ(split<2>(base)[1].tensor().bytes(), bytes + 2 * sizeof(double));
    EXPECT_EQ(squeeze(unsqueeze(base, 1), 1).tensor().bytes(), bytes);
  }
  EXPECT_EQ(tape.size(), 1u);
  const Var copy = reshape(transpose(y), {8});  // cannot be a view
  EXPECT_EQ(tape.size(), 2u);
  EXPECT_EQ(copy.tensor().to_vector(), (Values{0, 4, 1, 5, 2, 6, 3, 7}));
}

TEST(ShapeOps, HigherDerivatives) {
  const Tensor x = numbers({2, 3, 4}, 1);
  const Tensor z = numbers({2, 3, 4}, 2);
  const auto cube = [](const Var& y) { return y * y * y; };
  const std::function<Var(Vars)> functions[] = {
      [&](Vars v) {
        return cube(reshape(v[0], {4, -1}));
      },
      [&](Vars v) {
        return cube(reshape(transpose(v[0] * v[1]), {4, -1}));
      },
      [&](Vars v) {
        return cube(transpose(v[0], {1, 2, 0}));
      },
      [&](Vars v) { return cube(slice(slice(v[0], 2, 1, 4, 2), 1, 1, 3)); },
      [&](Vars v) {
        const auto [a, b] = split<2>(v[0] * v[1]);
        return a * a * b;
      },
      [&](Vars v) {
        return cube(concat({v[0], v[1], v[0]}, 1));
      },
      [&](Vars v) {
        return cube(stack({v[0], v[1], v[0]}, 1));
      },
      [&](Vars v) {
        return cube(broadcast_to(slice(v[0], 1, 0, 1), {5, 2, 3, 4}));
      },
      [&](Vars v) { return cube(flip(v[0] * v[1], 1)); },
      [&](Vars v) { return cube(squeeze(unsqueeze(v[0], 1), 1) * v[1]); },
      [&](Vars v) { return cube(v[0][1]) * v[1][0] * slice(v[0], 0, 0, 2); },
  };
  for (std::size_t i = 0; i < std::size(functions); ++i) {
    SCOPED_TRACE(i);
    check_derivatives(functions[i], {x, z});
  }
}

TEST(ShapeOps, ConstantsAmongThePartsTakeTheirOwnPartOfTheGradient) {
  const Var c = Tensor({2}, {1, 2});
  const Var w = parameter(Tensor({3}, {3, 4, 5}));
  const Var weights = Tensor({7}, {1, 2, 3, 4, 5, 6, 7});
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    tape.backward(sum(concat({c, w, c}) * weights));
    EXPECT_EQ(w.grad().to_vector(), (std::vector<double>{3, 4, 5}));
    w.clear_grad();
    Tape second(mode);
    second.backward(
        sum(stack({Var(Tensor::zeros({3})), w}) * reshape(slice(weights, 0, 0, 6), {2, 3})));
    EXPECT_EQ(w.grad().to_vector(), (std::vector<double>{4, 5, 6}));
    w.clear_grad();
  }
}

TEST(ShapeOps, SeveralViewsOfOneVarShareItsGradient) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var x = parameter(Tensor({2, 3}, {1, 2, 3, 4, 5, 6}, DType::float64));
    Tape tape(mode);
    const Var y = x * 2.0;
    // Overlapping: a row, a column, every second element, all, and the same row again.
    const Var sum = total(y[0]) + 10.0 * total(slice(y, 1, 1, 2)) +
                    100.0 * total(slice(y, 1, 0, 3, 2)) + 1000.0 * total(transpose(y)) +
                    10000.0 * total(stack({y[0], y[0]}));
    tape.backward(sum);
    EXPECT_EQ(x.grad().to_vector(), (Values{42202, 42022, 42202, 2200, 2020, 2200}));
  }
}

TEST(ShapeOps, Errors) {
  const Var x = Tensor::zeros({2, 3});
  EXPECT_EQ(error_of([&] {
              reshape(x, {4, 2});
            }),
            "reshape: x is (2,3), the new shape is (4,2): both must hold the same number of "
            "elements");
  const char* shapes[] = {"(-1,4)", "(-1,-1)", "(-2,3)", "(0,-1)"};
  const Shape wanted[] = {{-1, 4}, {-1, -1}, {-2, 3}, {0, -1}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(error_of([&] { reshape(x, wanted[i]); }),
              std::string("reshape: x is (2,3), the new shape is ") + shapes[i] +
                  ": both must hold the same number of elements");
  }
  EXPECT_EQ(error_of([&] {
              transpose(x, {0, 0});
            }),
            "transpose: x is (2,3), order is (0,0): it must name each axis once");
  EXPECT_EQ(error_of([&] { transpose(x, {0}); }),
            "transpose: x is (2,3), order is (0): it must name each axis once");
  EXPECT_EQ(error_of([&] { transpose(x, {0, 2}); }), "transpose: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { slice(x, 1, 1, 4); }),
            "slice: x is (2,3), axis 1 from 1 to 4: the range must lie within the axis, begin "
            "before end");
  EXPECT_EQ(error_of([&] { slice(x, 1, -4, 2); }),
            "slice: x is (2,3), axis 1 from -4 to 2: the range must lie within the axis, begin "
            "before end");
  EXPECT_EQ(error_of([&] { slice(x, 1, 2, 1); }),
            "slice: x is (2,3), axis 1 from 2 to 1: the range must lie within the axis, begin "
            "before end");
  EXPECT_EQ(error_of([&] { slice(x, 1, 0, 2, 0); }),
            "slice: x is (2,3), step is 0: it must be at least 1");
  EXPECT_EQ(error_of([&] { slice(x, 2, 0, 1); }), "slice: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { split<2>(x); }),
            "split: x is (2,3): 2 equal parts must make up axis -1");
  EXPECT_EQ(error_of([&] { split(x, 0, 0); }),
            "split: x is (2,3): 0 equal parts must make up axis 0");
  EXPECT_EQ(error_of([&] { concat({}, 0); }), "concat: there must be at least one array");
  EXPECT_EQ(error_of([&] {
              concat({x, Tensor::zeros({2, 4})}, 0);
            }),
            "concat: arrays are (2,3) and (2,4): their shapes may differ along axis 0 only");
  EXPECT_EQ(error_of([&] {
              concat({x, Tensor::zeros({3})}, 0);
            }),
            "concat: arrays are (2,3) and (3): their shapes may differ along axis 0 only");
  EXPECT_EQ(error_of([&] { concat({x, x}, -3); }), "concat: x is (2,3): there is no axis -3");
  EXPECT_EQ(error_of([&] { stack({}, 0); }), "stack: there must be at least one array");
  EXPECT_EQ(error_of([&] {
              stack({x, Tensor::zeros({2, 4})});
            }),
            "stack: arrays are (2,3) and (2,4): they must have one shape");
  EXPECT_EQ(error_of([&] { stack({x, x}, 3); }), "stack: x is (2,3): the result has no axis 3");
  const Var mixed = Tensor::zeros({2, 3}, DType::float64);
  EXPECT_EQ(error_of([&] {
              stack({x, mixed});
            }),
            "stack: operands are float32 and float64: they must have one dtype");
  EXPECT_EQ(error_of([&] {
              concat({x, mixed});
            }),
            "concat: operands are float32 and float64: they must have one dtype");
  EXPECT_EQ(error_of([&] {
              broadcast_to(x, {4, 3});
            }),
            "broadcast_to: x is (2,3), the new shape is (4,3): aligned at the right, each extent "
            "of x must be equal to its own or 1");
  const Index large = Index{1} << 32;
  for (const Shape& shape :
       {Shape{large, large}, Shape{0, large, large}, Shape{-1, large, large}}) {
    EXPECT_NE(error_of([&] {
                reshape(Tensor::zeros({0}), shape);
              }).find("both must hold the same number of elements"),
              std::string::npos);
  }
  EXPECT_EQ(error_of([&] { flip(x, 2); }), "flip: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { squeeze(x, 0); }), "squeeze: x is (2,3): axis 0 must have extent 1");
  EXPECT_EQ(error_of([&] { unsqueeze(x, 3); }), "unsqueeze: x is (2,3): the result has no axis 3");
  EXPECT_EQ(error_of([&] {
              unsqueeze(Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1}), 0);
            }),
            "shape: a tensor has at most 8 axes");
}

}  // namespace
}  // namespace xgrad::testing
