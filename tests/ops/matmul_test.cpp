#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

const OpRow rows[] = {OpRow("matmul"), OpRow("affine"), OpRow("outer")};

using Vars = std::span<const Var>;

void check(const char* group, const Evaluate& op) {
  const std::vector<std::string> cases = cases_of(group);
  ASSERT_FALSE(cases.empty());
  for (const std::string& name : cases) check_case(name, op, {.products = true});
}

TEST(Matmul, Reference) {
  check("matmul", [](const Arguments& a) { return std::vector{matmul(a["a"], a["b"])}; });
  check("affine", [](const Arguments& a) { return std::vector{affine(a["x"], a["W"], a["b"])}; });
  check("outer", [](const Arguments& a) { return std::vector{outer(a["a"], a["b"])}; });
}

TEST(Matmul, HigherDerivatives) {
  const Tensor a = numbers({2, 3}, 1);
  const Tensor b = numbers({3, 2}, 2);
  const Tensor batch = numbers({2, 2, 3}, 3);
  const Tensor batch_b = numbers({1, 3, 2}, 4);
  const Tensor bias = numbers({2}, 5);
  const auto cube = [](const Var& x) { return x * x * x; };
  check_derivatives([&](Vars x) { return cube(matmul(x[0], x[1])); }, {a, b});
  check_derivatives([&](Vars x) { return cube(matmul(x[0], x[1])); }, {batch, b});
  check_derivatives([&](Vars x) { return cube(matmul(x[0], x[1])); }, {batch, batch_b});
  check_derivatives([&](Vars x) { return cube(affine(x[0], x[1], x[2])); }, {batch, b, bias});
  check_derivatives([&](Vars x) { return cube(affine(x[0], x[1], x[2])); },
                    {batch, b, numbers({2, 2, 2}, 8)});
  check_derivatives([&](Vars x) { return cube(outer(x[0], x[1])); }, {bias, numbers({3}, 6)});
  check_derivatives([&](Vars x) { return matmul(x[0], transpose(x[0])); }, {a});
  check_derivatives([&](Vars x) { return matmul(x[0], matmul(x[0], x[0])); }, {numbers({3, 3}, 7)});
}

Var sizes(const Var& x) { return abs(x); }

/// Compares with the same product element by element, in double.
void expect_product(const Var& a, const Var& b) {
  const Index m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  const std::vector<double> x = a.tensor().to_vector(), y = b.tensor().to_vector();
  std::vector<double> z(static_cast<std::size_t>(m * n), 0.0), magnitudes = z;
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(i * n + j);
      for (Index l = 0; l < k; ++l) {
        const double term =
            x[static_cast<std::size_t>(i * k + l)] * y[static_cast<std::size_t>(l * n + j)];
        z[at] += term;
        magnitudes[at] += std::abs(term);
      }
    }
  }
  const auto roundings = static_cast<double>(2 * k);  // k on both sides
  expect_close(matmul(a, b).tensor().to_vector(), z, rounding_bound(DType::float64, roundings),
               magnitudes);
}

TEST(Matmul, TakesViewsOfAnyStrides) {
  const Var x = numbers({6, 8, 10}, 1);
  const Var views[] = {x[1],
                       transpose(x[1]),
                       slice(x[2], 1, 1, 9, 2),
                       slice(slice(x[3], 0, 0, 8, 3), 1, 0, 10, 3),
                       slice(x, 2, 4, 5)[0],
                       slice(transpose(x)[2], 1, 0, 1),
                       transpose(x, {1, 2, 0})[3]};
  for (const Var& a : views) {
    for (const Var& b : views) {
      const Index k = std::min(a.shape()[1], b.shape()[0]);
      const Var left = slice(a, 1, 0, k);
      const Var right = slice(b, 0, 0, k);
      SCOPED_TRACE(to_string(left.tensor().strides()) + to_string(right.tensor().strides()));
      expect_product(left, right);
    }
  }
}

// The gradient of weights, for which there are several ways by extent.
TEST(Matmul, TallMatricesTransposed) {
  for (const Index m : {1, 7, 9}) {
    for (const Index n : {3, 17, 260}) {
      for (const Index k : {5, 4000}) {
        SCOPED_TRACE(to_string({m, n, k}));
        const Var wide = numbers({k, m + 1}, 1);
        const Var b = numbers({k, n}, 2);
        const Var a = transpose(slice(wide, 1, 0, m));
        expect_product(a, b);
        const Var row_major = transpose(wide) + 0.0;
        EXPECT_EQ(row_major.tensor().strides()[1], 1);
        expect_product(slice(row_major, 0, 0, m), b);
      }
    }
  }
}

/// Gradients of sums of products of parameters in both modes.
void expect_same_gradients(const std::function<Var(Vars)>& f, const std::vector<Tensor>& values) {
  double roundings = 0;
  const auto gradients = [&](TapeMode mode, const auto& each) {
    std::vector<Var> xs;
    for (const Tensor& value : values) xs.push_back(parameter(each(value).tensor()));
    Tape tape(mode);
    const Var y = f(xs);
    const Var loss = total(y * each(numbers(y.shape(), 9)));
    Index terms = y.size();  // of each sum, at most
    for (const Var& x : xs) terms = std::max(terms, x.size());
    roundings = 2 * static_cast<double>(tape.size()) * static_cast<double>(terms);
    tape.backward(loss);
    std::vector<std::vector<double>> result;
    for (const Var& x : xs) result.push_back(x.grad().to_vector());
    return result;
  };
  const auto itself = [](const Var& x) { return x; };
  const auto fast = gradients(TapeMode::fast, itself);
  const auto naive = gradients(TapeMode::naive, itself);
  const auto magnitudes = gradients(TapeMode::naive, sizes);
  for (std::size_t i = 0; i < values.size(); ++i) {
    expect_close(fast[i], naive[i], rounding_bound(DType::float64, 2 * roundings), magnitudes[i]);
  }
}

// Products defer and write into parts of a gradient: the ways in which several can meet in one.
TEST(Matmul, SeveralProductsOfOneParameter) {
  const Tensor x = numbers({2, 3, 4}, 1);
  const Tensor W = numbers({4, 4}, 2);
  const Tensor b = numbers({4}, 3);
  // The same sequence through two layers, and as matrices of different extents.
  expect_same_gradients(
      [](Vars v) { return affine(v[0], v[1], v[2]) * affine(flip(v[0], 0), v[1], v[2]); },
      {x, W, b});
  expect_same_gradients([](Vars v) { return affine(v[0], v[1], v[2]) + matmul(v[0], v[1]); },
                        {x, W, b});
  expect_same_gradients(
      [](Vars v) {
        const Var tall = matmul(reshape(v[0], {8, 3}), slice(v[1], 0, 0, 3));
        const Var wide = matmul(reshape(v[0], {6, 4}), v[1]);
        return matmul(transpose(wide), slice(tall, 0, 0, 6)) * matmul(v[1], transpose(v[1]));
      },
      {x, W});
  // Blocks of one matrix, next to each other and interleaved.
  expect_same_gradients(
      [](Vars v) {
        const auto [left, right] = split<2>(v[1]);
        const Var even = slice(v[1], 1, 0, 4, 2);
        const Var grid = slice(slice(v[1], 0, 0, 4, 2), 1, 0, 4, 2);
        const Var y = matmul(v[0][0], left) + matmul(v[0][1], right) + matmul(v[0][0], even);
        return matmul(matmul(y, grid), matmul(grid, transpose(left)));
      },
      {x, W});
  // A recurrence.
  expect_same_gradients(
      [](Vars v) {
        Var h = v[2];
        h = broadcast_to(h, {3, 4});
        for (Index t = 0; t < 2; ++t) h = matmul(h, v[1]) + affine(v[0][t], v[1], v[2]);
        return h;
      },
      {x, W, b});
}

// The products of W wait for the end of the pass; what they read lies in the gradient of x.
TEST(Matmul, ASecondPassAddsToGradients) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Var x = parameter(numbers({3, 2, 2}, 1));
    const Var W = parameter(numbers({2, 2}, 2));
    std::vector<double> first[2];
    for (int pass = 1; pass <= 3; ++pass) {
      Tape tape(mode);
      Var h = tanh(x[0]);
      for (Index t = 1; t < 3; ++t) h = tanh(affine(h, W, x[t]));
      tape.backward(total(h));
      const Var parameters[] = {x, W};
      for (int i = 0; i < 2; ++i) {
        const std::vector<double> sum = parameters[i].grad().to_vector();
        if (pass == 1) first[i] = sum;
        std::vector<double> expected = first[i];
        for (double& value : expected) value *= pass;
        // Sums of two rows' gradients at three steps: of 1, and what at most 2 times the later
        // steps' adds. Only their order differs.
        const double magnitude = 2 * (1 + (1 + 2) + (1 + 2 + 4)) * pass;
        expect_close(sum, expected, rounding_bound(DType::float64, 2 * 6 * pass), magnitude);
      }
    }
  }
}

// Whose gradient is the result's: passed on where nobody else reads the addend, else added.
TEST(Matmul, AffineOfAMatrixToAdd) {
  const Tensor z = numbers({3, 2, 4}, 1);
  const Tensor W = numbers({4, 4}, 2);
  const auto unroll = [](const Var& first, const Var& weight, const Var& zs) {
    Var state = first;
    for (Index t = 0; t < 3; ++t) state = affine(state, weight, zs[t]);
    return state;
  };
  const Tensor h = numbers({2, 4}, 3);
  expect_same_gradients([&](Vars v) { return unroll(v[0], v[1], v[2]); }, {h, W, z});
  expect_same_gradients([&](Vars v) { return unroll(v[0], v[1], v[2] * v[2]); }, {h, W, z});
  expect_same_gradients([&](Vars v) { return unroll(v[0], v[1], v[2] * v[2]) * v[2][1]; },
                        {h, W, z});
  expect_same_gradients([](Vars v) { return affine(v[0], v[1], v[0]) * affine(v[0], v[1], v[0]); },
                        {h, W});
  expect_same_gradients(
      [](Vars v) {
        const Var x = v[0] + v[0];
        return affine(x, v[1], transpose(transpose(x))) + affine(x, v[1], affine(x, v[1], x));
      },
      {h, W});
  const Var step = Var(z)[1];
  const auto expect_sum = [&](const Var& addend) {
    expect_close(affine(h, W, addend).tensor().to_vector(),
                 Var(matmul(h, W) + addend).tensor().to_vector(),
                 rounding_bound(DType::float64, 2 * (4 + 1)),
                 Var(matmul(sizes(h), sizes(W)) + sizes(addend)).tensor().to_vector());
  };
  expect_sum(step);
  // Not row-major, one row, and shapes that only broadcast.
  expect_sum(transpose(Var(numbers({4, 2}, 4))));
  EXPECT_EQ(affine(numbers({1, 4}, 5), W, numbers({1, 4}, 6)).shape(), (Shape{1, 4}));
  EXPECT_THROW(affine(h, W, numbers({1, 4}, 6)), Error);
}

TEST(Matmul, SameVarTwice) {
  expect_same_gradients([](Vars v) { return matmul(v[0], v[0]); }, {numbers({3, 3}, 1)});
  expect_same_gradients([](Vars v) { return outer(v[0], v[0]); }, {numbers({3}, 1)});
  expect_same_gradients(
      [](Vars v) {
        return matmul(v[0], transpose(v[0], {0, 2, 1}));
      },
      {numbers({2, 3, 4}, 1)});
}

TEST(Matmul, EmptyExtents) {
  const auto zeros = [](const Shape& shape) { return Var(Tensor::zeros(shape, DType::float64)); };
  EXPECT_EQ(matmul(zeros({0, 3}), zeros({3, 2})).shape(), (Shape{0, 2}));
  EXPECT_EQ(matmul(zeros({2, 3}), zeros({3, 0})).shape(), (Shape{2, 0}));
  EXPECT_EQ(matmul(zeros({2, 0, 3}), zeros({3, 2})).shape(), (Shape{2, 0, 2}));
  EXPECT_EQ(matmul(zeros({2, 3, 0}), zeros({0, 4})).tensor().to_vector(),
            std::vector<double>(24, 0.0));
  EXPECT_EQ(matmul(zeros({1, 2, 0}), zeros({3, 0, 2})).tensor().to_vector(),
            std::vector<double>(12, 0.0));
  EXPECT_EQ(matmul(zeros({0, 2, 3}), zeros({1, 3, 2})).shape(), (Shape{0, 2, 2}));
  EXPECT_EQ(outer(zeros({0}), zeros({2})).shape(), (Shape{0, 2}));
  const Var bias = Tensor({2}, {1, 2}, DType::float64);
  EXPECT_EQ(affine(zeros({3, 0}), zeros({0, 2}), bias).tensor().to_vector(),
            (std::vector<double>{1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(affine(zeros({3}), zeros({3, 2}), bias).tensor().to_vector(),
            (std::vector<double>{1, 2}));
  expect_same_gradients([](Vars v) { return affine(v[0], v[1], v[2]); },
                        {numbers({2, 0}, 1), numbers({0, 3}, 1), numbers({3}, 1)});
}

TEST(Matmul, Complex) {
  const auto complex = [](const Shape& shape, int seed) {
    return Var(numbers(shape, seed, DType::complex128));
  };
  const auto real = [](const Var& x) { return Var(x.tensor().to(DType::float64)); };
  const Var a = complex({2, 2, 3}, 1);
  const Var W = complex({3, 4}, 2);
  const Var b = complex({4}, 3);
  expect_close(affine(a, W, b).tensor().to_vector(),
               affine(real(a), real(W), real(b)).tensor().to_vector(),
               rounding_bound(DType::float64, 2 * (3 + 1)),
               affine(sizes(real(a)), sizes(real(W)), sizes(real(b))).tensor().to_vector());
}

TEST(Matmul, Vectors) {
  const Tensor a = numbers({4}, 1), b = numbers({4, 3}, 2), c = numbers({2, 4, 3}, 3);
  const Tensor d = numbers({2, 3, 4}, 4);
  expect_same_gradients([](Vars v) { return matmul(v[0], v[0]); }, {a});
  expect_same_gradients([](Vars v) { return matmul(v[0], v[1]); }, {a, b});
  expect_same_gradients([](Vars v) { return matmul(transpose(v[1]), v[0]); }, {a, b});
  expect_same_gradients([](Vars v) { return matmul(v[0], v[1]); }, {a, c});
  expect_same_gradients([](Vars v) { return matmul(v[1], v[0]); }, {a, d});
  // Columns of a matrix, which do not lie together, of a parameter that is multiplied otherwise,
  // too.
  expect_same_gradients(
      [](Vars v) {
        const Var column = transpose(v[0])[1];
        const Var row = v[0][2];
        return matmul(column, v[0]) * matmul(v[0], row)[0] + matmul(matmul(v[0], v[1]), row);
      },
      {numbers({4, 4}, 5), numbers({4, 4}, 6)});
  for (const DType dtype : {DType::float32, DType::float64, DType::complex128}) {
    const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6}, dtype);
    const Var y = Tensor({3}, {1, -1, 2}, dtype);
    EXPECT_EQ(matmul(y, y).item(), 6);
    EXPECT_EQ(matmul(y, y).shape(), Shape());
    EXPECT_EQ(matmul(x, y).tensor().to_vector(), (std::vector<double>{5, 11}));
    EXPECT_EQ(matmul(y, transpose(x)).tensor().to_vector(), (std::vector<double>{5, 11}));
    EXPECT_EQ(matmul(transpose(x)[1], x).tensor().to_vector(), (std::vector<double>{22, 29, 36}));
  }
  EXPECT_EQ(matmul(Tensor::zeros({0}), Tensor::zeros({0})).item(), 0);
  EXPECT_EQ(matmul(Tensor::zeros({0}), Tensor::zeros({0, 2})).tensor().to_vector(),
            (std::vector<double>{0, 0}));
  EXPECT_EQ(matmul(Tensor::zeros({2, 0, 3}), Tensor::zeros({3})).shape(), (Shape{2, 0}));
}

TEST(Matmul, Errors) {
  const auto array = [](const Shape& shape) { return Var(Tensor::zeros(shape)); };
  EXPECT_EQ(error_of([&] {
              matmul(array({2, 3}), array({4, 5}));
            }),
            "matmul: a is (2,3), b is (4,5): a.shape[1] must equal b.shape[0]");
  EXPECT_EQ(error_of([&] {
              matmul(array({7, 2, 3}), array({4, 5}));
            }),
            "matmul: a is (7,2,3), b is (4,5): a.shape[2] must equal b.shape[0]");
  EXPECT_EQ(error_of([&] {
              matmul(array({7, 2, 3}), array({7, 4, 5}));
            }),
            "matmul: a is (7,2,3), b is (7,4,5): a.shape[2] must equal b.shape[1]");
  EXPECT_EQ(error_of([&] {
              matmul(array({7, 2, 3}), array({6, 3, 5}));
            }),
            "matmul: a is (7,2,3), b is (6,3,5): a.shape[0] and b.shape[0] must be equal, or one "
            "of them 1");
  EXPECT_EQ(error_of([&] { matmul(array({3}), array({4})); }),
            "matmul: a is (3), b is (4): a.shape[0] must equal b.shape[0]");
  EXPECT_EQ(error_of([&] {
              matmul(array({3}), array({4, 5}));
            }),
            "matmul: a is (3), b is (4,5): a.shape[0] must equal b.shape[0]");
  EXPECT_EQ(error_of([&] {
              matmul(array({3}), array({2, 4, 5}));
            }),
            "matmul: a is (3), b is (2,4,5): a.shape[0] must equal b.shape[1]");
  EXPECT_EQ(error_of([&] {
              matmul(array({2, 4, 5}), array({4}));
            }),
            "matmul: a is (2,4,5), b is (4): a.shape[2] must equal b.shape[0]");
  const std::string rule =
      ": b must be a vector or a matrix and a have at least 1 axis, or b must have 3 and a 1 or 3";
  EXPECT_EQ(error_of([&] { matmul(array({}), array({3})); }), "matmul: a is (), b is (3)" + rule);
  EXPECT_EQ(error_of([&] { matmul(array({3}), array({})); }), "matmul: a is (3), b is ()" + rule);
  EXPECT_EQ(error_of([&] {
              matmul(array({2, 3}), array({2, 3, 5}));
            }),
            "matmul: a is (2,3), b is (2,3,5)" + rule);
  EXPECT_EQ(error_of([&] {
              matmul(array({3}), array({2, 2, 3, 5}));
            }),
            "matmul: a is (3), b is (2,2,3,5)" + rule);
  EXPECT_EQ(error_of([&] {
              affine(array({2, 3}), array({4, 5}), array({5}));
            }),
            "affine: x is (2,3), W is (4,5), b is (5): they must be (...,I), (I,O) and (O) "
            "or (...,O)");
  EXPECT_EQ(error_of([&] {
              affine(array({2, 4}), array({4, 5}), array({1}));
            }),
            "affine: x is (2,4), W is (4,5), b is (1): they must be (...,I), (I,O) and (O) "
            "or (...,O)");
  EXPECT_EQ(error_of([&] {
              outer(array({2, 4}), array({4}));
            }),
            "outer: a is (2,4), b is (4): both must have 1 axis");
  const Var real64 = Tensor::zeros({3, 3}, DType::float64);
  const Var vector64 = Tensor::zeros({3}, DType::float64);
  const char* mixed = ": operands are float32 and float64: they must have one dtype";
  EXPECT_EQ(error_of([&] { matmul(array({3, 3}), real64); }), std::string("matmul") + mixed);
  EXPECT_EQ(error_of([&] {
              affine(array({3, 3}), real64, vector64);
            }),
            std::string("affine") + mixed);
  EXPECT_EQ(error_of([&] { outer(array({3}), vector64); }), std::string("outer") + mixed);
}

}  // namespace
}  // namespace xgrad::testing
