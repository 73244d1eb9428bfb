#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/array.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/index.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "reference/reference.hpp"

namespace xgrad::testing {
namespace {

const OpRow rows[] = {OpRow("gather"), OpRow("embedding"), OpRow("take_along"), OpRow("argmax"),
                      OpRow("argmin")};

using Vars = std::span<const Var>;
using Values = std::vector<double>;

TEST(IndexOps, Reference) {
  for (const std::string& name : cases_of("embedding")) {
    check_case(name, [](const Arguments& a) {
      return std::vector{embedding(a["table"], a.indices.at("index"))};
    });
  }
  ASSERT_FALSE(cases_of("embedding").empty());
  for (const std::string& name : cases_of("index_select")) {
    check_case(name, [](const Arguments& a) {
      return std::vector{gather(a["x"], a.indices.at("index"), a.integer("axis"))};
    });
  }
  ASSERT_FALSE(cases_of("index_select").empty());
}

/// x at those places along the axis.
Var picked(const Var& x, const Indices& places, Index axis) {
  Axes order;
  for (std::size_t i = 0; i < x.dim(); ++i) order.push_back(static_cast<Index>(i));
  const Index last = axis < 0 ? axis + static_cast<Index>(x.dim()) : axis;
  order.erase(static_cast<std::size_t>(last));
  order.push_back(last);
  return take_along(transpose(x, order), places);
}

TEST(IndexOps, ArgmaxAndArgminAreThoseOfPyTorch) {
  const std::pair<const char*, Indices (*)(const Var&, Index)> ops[] = {{"argmax", argmax},
                                                                        {"argmin", argmin}};
  for (const auto& [op, f] : ops) {
    ASSERT_FALSE(cases_of(op).empty());
    for (const std::string& name : cases_of(op)) {
      check_case(name,
                 [&, op = f](const Arguments& a) {
                   const Indices places = op(a["x"], a.integer("axis"));
                   const Array expected =
                       array(reference("ops.json").at(name).at("outputs").at("places"));
                   EXPECT_EQ(std::vector<double>(places.values().begin(), places.values().end()),
                             expected.data);
                   return std::vector{picked(a["x"], places, a.integer("axis"))};
                 },
                 {.complex = false});
    }
  }
}

TEST(IndexOps, ArgmaxAndArgminOfFewElementsViewsAndSpecials) {
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const auto list = [](const Indices& indices) {
    return std::vector<std::int64_t>(indices.values().begin(), indices.values().end());
  };
  using List = std::vector<std::int64_t>;
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = Tensor({2, 3}, {3, 1, 3, 2, 5, -1}, dtype);
    EXPECT_EQ(list(argmax(x)), (List{0, 1}));
    EXPECT_EQ(list(argmin(x)), (List{1, 2}));
    EXPECT_EQ(list(argmax(x, 0)), (List{0, 1, 0}));
    EXPECT_EQ(list(argmin(x, -2)), (List{1, 0, 1}));
    EXPECT_EQ(list(argmax(transpose(x))), (List{0, 1, 0}));
    EXPECT_EQ(list(argmax(slice(x, 1, 0, 3, 2))), (List{0, 0}));
    EXPECT_EQ(argmax(x[0]).shape(), Shape());
    EXPECT_EQ(list(argmax(Tensor({1}, {7}, dtype))), (List{0}));
    EXPECT_EQ(list(argmax(Tensor({3}, {0, nan, nan}, dtype))), (List{1}));
    EXPECT_EQ(list(argmin(Tensor({3}, {0, nan, -inf}, dtype))), (List{1}));
    EXPECT_EQ(list(argmax(Tensor({2}, {-inf, -inf}, dtype))), (List{0}));
    EXPECT_EQ(list(argmin(Tensor({2}, {inf, inf}, dtype))), (List{0}));
    EXPECT_EQ(list(argmax(Tensor({2}, {-0.0, 0.0}, dtype))), (List{0}));
  }
  EXPECT_EQ(argmax(Tensor::zeros({0, 3})).shape(), (Shape{0}));
}

TEST(IndexOps, Values) {
  const Var x = Tensor({2, 3}, {0, 1, 2, 3, 4, 5}, DType::float64);
  const auto values = [](const Var& y) { return y.tensor().to_vector(); };
  const Indices grid({2, 2}, {2, 0, 1, 1});
  EXPECT_EQ(gather(x, grid, 1).shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(values(gather(x, grid, -1)), (Values{2, 0, 1, 1, 5, 3, 4, 4}));
  EXPECT_EQ(values(gather(transpose(x), {2, 0})), (Values{2, 5, 0, 3}));
  EXPECT_EQ(values(gather(x, Indices({}, {1}))), (Values{3, 4, 5}));
  EXPECT_EQ(gather(x, Indices({}, {1})).shape(), (Shape{3}));
  EXPECT_EQ(gather(x, Indices({0, 2}, {})).shape(), (Shape{0, 2, 3}));
  EXPECT_EQ(values(embedding(x, {1, 1})), (Values{3, 4, 5, 3, 4, 5}));
  EXPECT_EQ(values(take_along(x, {2, 0})), (Values{2, 3}));
  EXPECT_EQ(values(take_along(transpose(x), {1, 0, 1})), (Values{3, 1, 5}));
  EXPECT_EQ(values(take_along(x[0], Indices({}, {2}))), (Values{2}));
  EXPECT_EQ(take_along(x[0], Indices({}, {2})).shape(), Shape());
  EXPECT_EQ(take_along(Tensor::zeros({0, 3}), Indices({0}, {})).shape(), (Shape{0}));
  for (const DType dtype : {DType::float32, DType::complex128}) {
    const Var y = x.tensor().to(dtype);
    EXPECT_EQ(values(gather(y, grid, 1)), (Values{2, 0, 1, 1, 5, 3, 4, 4}));
    EXPECT_EQ(values(take_along(y, {2, 0})), (Values{2, 3}));
  }
}

TEST(IndexOps, GradientsAddUpAtRepeatedIndices) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      const Var x = parameter(Tensor({2, 3}, {0, 1, 2, 3, 4, 5}, dtype));
      Tape tape(mode);
      const Var weights = Tensor({2, 4}, {1, 2, 4, 8, 16, 32, 64, 128}, dtype);
      const Var first = total(gather(x, {0, 2, 0, 0}, 1) * weights);
      EXPECT_EQ(grad(first, {x}, {.retain = true})[0].tensor().to_vector(),
                (Values{13, 0, 2, 208, 0, 32}));
      const Var picked = Tensor({2}, {3, 7}, dtype);
      const Var second = first + total(take_along(x, {1, 1}) * picked);
      tape.backward(second + total(take_along(x, {1, 2})));
      EXPECT_EQ(x.grad().to_vector(), (Values{13, 4, 2, 208, 7, 33}));
    }
  }
}

TEST(IndexOps, HigherDerivatives) {
  const Tensor x = numbers({3, 4}, 1);
  const auto cube = [](const Var& y) { return y * y * y; };
  check_derivatives([&](Vars v) { return cube(gather(v[0], {1, 0, 1, 3, 1}, 1)); }, {x});
  check_derivatives([&](Vars v) { return cube(embedding(v[0], {{2, 2}, {1, 2, 2, 0}})); }, {x});
  check_derivatives([&](Vars v) { return cube(take_along(v[0], {3, 0, 3})); }, {x});
}

TEST(IndexOps, IndicesAreMadeFromXtensorAndSharedByCopies) {
  const xt::xarray<int> array{{1, 2, 3}, {4, 5, 6}};
  const Indices all = array;
  EXPECT_EQ(all.shape(), (Shape{2, 3}));
  EXPECT_EQ(std::vector(all.values().begin(), all.values().end()),
            (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}));
  const Indices part = xt::view(array, xt::all(), 1) * 2;
  EXPECT_EQ(part.shape(), (Shape{2}));
  EXPECT_EQ(std::vector(part.values().begin(), part.values().end()),
            (std::vector<std::int64_t>{4, 10}));
  const Indices copy = all;
  EXPECT_EQ(copy.values().data(), all.values().data());
}

TEST(IndexOps, TheValuesOfATemporaryAreACopy) {
  const Var x = Tensor({2, 3}, {3, 1, 2, 1, 5, 2});
  std::vector<std::int64_t> found;
  for (const std::int64_t place : argmax(x).values()) found.push_back(place);
  EXPECT_EQ(found, (std::vector<std::int64_t>{0, 1}));
}

TEST(IndexOps, IndicesThatWereMovedFromAreNone) {
  const Var x = Tensor::zeros({2, 3});
  Indices indices{1, 0};
  Indices taken = std::move(indices);
  EXPECT_EQ(taken.size(), 2);
  EXPECT_EQ(indices.shape(), (Shape{0}));
  EXPECT_TRUE(indices.values().empty());
  EXPECT_EQ(gather(x, indices).shape(), (Shape{0, 3}));
  EXPECT_THROW(take_along(x, indices), Error);
  indices = taken;
  EXPECT_EQ(gather(x, indices).shape(), (Shape{2, 3}));
}

TEST(IndexOps, Errors) {
  const Var x = Tensor::zeros({2, 3});
  EXPECT_EQ(error_of([&] {
              gather(x, {0, 3}, 1);
            }),
            "gather: x is (2,3): index 3 is not in [0, 3)");
  EXPECT_EQ(error_of([&] { gather(x, {-1}); }), "gather: x is (2,3): index -1 is not in [0, 2)");
  EXPECT_EQ(error_of([&] { gather(x, {0}, 2); }), "gather: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { gather(Tensor::zeros({}), {0}); }),
            "gather: x is (): there is no axis 0");
  EXPECT_EQ(error_of([&] {
              embedding(x, {1, 65});
            }),
            "embedding: table is (2,3): index 65 is not in [0, 2)");
  EXPECT_EQ(error_of([&] { embedding(x[0], {1}); }), "embedding: table is (3): it must be (V,E)");
  EXPECT_EQ(error_of([&] {
              take_along(x, {1, 2, 0});
            }),
            "take_along: x is (2,3), indices are (3): they must be (...,C) and (...)");
  EXPECT_EQ(error_of([&] { take_along(Tensor::zeros({}), Indices({}, {0})); }),
            "take_along: x is (), indices are (): they must be (...,C) and (...)");
  EXPECT_EQ(error_of([&] {
              take_along(x, {1, 3});
            }),
            "take_along: x is (2,3): index 3 is not in [0, 3)");
  EXPECT_EQ(error_of([&] { argmax(x, 2); }), "argmax: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([] { argmin(Tensor::zeros({})); }), "argmin: x is (): there is no axis -1");
  EXPECT_EQ(error_of([] {
              argmin(Tensor::zeros({2, 0}));
            }),
            "argmin: x is (2,0): axis -1 must have at least one element");
  EXPECT_EQ(error_of([] { argmax(Tensor::zeros({2}, DType::complex128)); }),
            "argmax: complex128 is not supported: the operation is not analytic");
  EXPECT_EQ(error_of([&] {
              Indices({2, 2}, {1, 2, 3});
            }),
            "indices: shape (2,2) does not hold the 3 elements that were given");
  EXPECT_EQ(error_of([&] {
              Indices({-1, -1}, {1});
            }),
            "indices: shape (-1,-1) does not hold the 1 elements that were given");
  EXPECT_EQ(error_of([&] {
              Indices({Index{1} << 32, Index{1} << 32}, {});
            }),
            "indices: shape (4294967296,4294967296) does not hold the 0 elements that were given");
}

}  // namespace
}  // namespace xgrad::testing
