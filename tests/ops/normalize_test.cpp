#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

const OpRow rows[] = {OpRow("softmax"), OpRow("log_softmax"), OpRow("layer_norm")};

using Parameters = std::span<const Var>;

// The sum of the exponentials, and that of the gradient; the terms that cancel are of this size.
const CaseOptions options{.sums = 2, .magnitude = 0.1};

TEST(Softmax, ValuesAndGradients) {
  ASSERT_FALSE(cases_of("softmax").empty());
  for (const std::string& name : cases_of("softmax")) {
    check_case(
        name, [](const Arguments& a) { return std::vector{softmax(a["x"], a.integer("axis"))}; },
        options);
  }
}

TEST(LogSoftmax, ValuesAndGradients) {
  ASSERT_FALSE(cases_of("log_softmax").empty());
  for (const std::string& name : cases_of("log_softmax")) {
    check_case(
        name,
        [](const Arguments& a) { return std::vector{log_softmax(a["x"], a.integer("axis"))}; },
        options);
  }
}

TEST(LayerNorm, ValuesAndGradients) {
  ASSERT_FALSE(cases_of("layer_norm").empty());
  for (const std::string& name : cases_of("layer_norm")) {
    const double lost = name == "layer_norm/offset" ? 1e4 : 0;  // PyTorch subtracts the mean
    check_case(name,
               [](const Arguments& a) {
                 const double eps = a.number("eps");
                 if (!a.has("weight")) return std::vector{layer_norm(a["x"], eps)};
                 const Var& weight = a["weight"];
                 const Var& bias = a["bias"];
                 if (weight.dim() == 1) return std::vector{layer_norm(a["x"], weight, bias, eps)};
                 // PyTorch normalises over several axes; here they are one.
                 const Var x = reshape(a["x"], {-1, weight.size()});
                 const Var y = layer_norm(x, reshape(weight, {-1}), reshape(bias, {-1}), eps);
                 return std::vector{reshape(y, a["x"].shape())};
               },
               {.sums = 3, .magnitude = 1, .lost = lost});  // mean, variance, gradient
  }
}

TEST(Normalize, DerivativesToTheThirdOrder) {
  const std::vector<Tensor> x{numbers({3, 2, 4}, 3)};
  for (const Index axis : {0, 1, 2}) {
    SCOPED_TRACE(axis);
    check_derivatives([&](Parameters p) { return softmax(p[0], axis); }, x);
    check_derivatives([&](Parameters p) { return log_softmax(p[0], axis); }, x);
  }
  check_derivatives([](Parameters p) { return layer_norm(p[0], 0.1); }, x);
  for (const Shape& bias : {Shape{4}, Shape{3, 2, 4}}) {
    check_derivatives([](Parameters p) { return layer_norm(p[0], p[1], p[2], 0.1); },
                      {x[0], numbers({4}, 4), numbers(bias, 5)});
  }
}

// Rows of every length around a vector's, against the formula written in plain ops.
TEST(Normalize, RowsOfAllLengths) {
  for (Index n = 1; n <= 40; ++n) {
    const Tensor values = numbers({2, n}, static_cast<int>(n));
    const Tensor weights = numbers({n}, 8);
    const auto same = [&](const auto& op, const auto& formula) {
      for (const DType dtype : {DType::float64, DType::float32}) {
        const auto run = [&](const auto& f, DType type) {
          const Var x = parameter(values.to(dtype).to(type));
          const Var weight = parameter(weights.to(dtype).to(type));
          const Var bias = parameter(values.to(dtype).to(type));
          Tape tape;
          const Var y = f(x, weight, bias) + 0 * (weight + bias);
          tape.backward(y, numbers(y.shape(), 7).to(dtype).to(type));
          std::vector<double> result = y.tensor().to_vector();
          for (const Var& p : {x, weight, bias}) {
            for (const double g : p.grad().to_vector()) result.push_back(g);
          }
          return result;
        };
        // Three sums of n one after the other; their terms are at most an entry of the result
        // divided by the deviation, which is at least sqrt(0.1).
        const double roundings = 3 * static_cast<double>(n) + 4 * elementary;
        const std::vector<double> expected = run(formula, DType::float64);
        double largest = 1;
        for (const double x : expected) largest = std::max(largest, std::abs(x));
        const double sides = dtype == DType::float64 ? 2 : 1;  // of which both are rounded
        expect_close(run(op, dtype), expected, rounding_bound(dtype, sides * roundings),
                     largest / std::sqrt(0.1));
      }
    };
    const auto normal = [](const Var& x) {
      const Var centered = x - mean(x, {-1}, {.keep = true});
      return Var(centered / sqrt(mean(square(centered), {-1}, {.keep = true}) + 0.1));
    };
    using V = const Var&;
    SCOPED_TRACE(n);
    same([](V x, V, V) { return softmax(x); },
         [](V x, V, V) { return Var(exp(x) / sum(exp(x), {-1}, {.keep = true})); });
    same([](V x, V, V) { return log_softmax(x); },
         [](V x, V, V) { return Var(x - log(sum(exp(x), {-1}, {.keep = true}))); });
    same([](V x, V, V) { return layer_norm(x, 0.1); }, [&](V x, V, V) { return normal(x); });
    same([](V x, V weight, V bias) { return layer_norm(x, weight, bias, 0.1); },
         [&](V x, V weight, V bias) { return Var(normal(x) * weight + bias); });
    same([](V x, V weight, V bias) { return layer_norm(x, weight, bias[1], 0.1); },
         [&](V x, V weight, V bias) { return Var(normal(x) * weight + bias[1]); });
  }
}

// Where nobody else reads the gradient of the result, that of x takes its memory.
TEST(LayerNorm, GradientsOfResultsThatOthersRead) {
  const auto gradients = [](TapeMode mode, const auto& f, bool of_all) {
    const Var x = parameter(numbers({3, 20}, 1));
    const Var weight = parameter(numbers({20}, 2));
    const Var bias = parameter(numbers({20}, 3));
    Tape tape(mode);
    const Var h = exp(x);
    const Var y = layer_norm(h, weight, bias, 0.1);
    const Var total = sum(f(h, y) * Var(numbers({3, 20}, 4)));
    std::vector<Var> of{x, weight, bias};
    if (of_all) of.insert(of.end(), {h, y});
    std::vector<double> result;
    for (const Var& g : grad(total, of)) {
      for (const double value : g.tensor().to_vector()) result.push_back(value);
    }
    return result;
  };
  const auto same = [&](const auto& f) {
    for (const bool of_all : {false, true}) {
      const std::vector<double> naive = gradients(TapeMode::naive, f, of_all);
      double largest = 1;
      for (const double x : naive) largest = std::max(largest, std::abs(x));
      // Two normalisations forward and back at most, each with three sums of 20.
      expect_close(gradients(TapeMode::fast, f, of_all), naive,
                   rounding_bound(DType::float64, 2 * 4 * (3 * 20 + elementary)), largest);
    }
  };
  same([](const Var&, const Var& y) { return Var(y * y); });
  same([](const Var& h, const Var& y) { return Var(y * y + h); });
  same([](const Var& h, const Var& y) { return Var(y + h); });
  same([](const Var&, const Var& y) { return y; });
  same([](const Var&, const Var& y) { return layer_norm(y, 0.1) * Var(y + 1); });
}

TEST(Normalize, LargeNumbersOverflowNowhere) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = Tensor({1, 3}, {1e4, 0, -1e4}, dtype);
    EXPECT_EQ(softmax(x).tensor().to_vector(), (std::vector<double>{1, 0, 0}));
    EXPECT_EQ(log_softmax(x).tensor().to_vector(), (std::vector<double>{0, -1e4, -2e4}));
  }
  // The mean is far larger than the deviation: 1e4 and +-1.
  const Var x = Tensor({1, 2}, {1e4 + 1, 1e4 - 1}, DType::float32);
  EXPECT_EQ(layer_norm(x, 0).tensor().to_vector(), (std::vector<double>{1, -1}));
  // The first element is far from all others, whose differences of 1 still count.
  Tensor far = Tensor::zeros({1, 1001}, DType::float64);
  far.mutable_data<double>()[0] = 1e6;
  for (Index i = 1; i < 1001; ++i) far.mutable_data<double>()[i] = static_cast<double>(i % 2);
  const Tensor h = layer_norm(far, 0).tensor();
  EXPECT_NEAR(h.to_vector()[1] - h.to_vector()[2], 3.1654e-5, 1e-9);
}

TEST(LayerNorm, IsAsExactBesideALargeMean) {
  const Index n = 100;
  for (const double offset : {0.0, 1e3, 1e5, 1e7}) {
    const Tensor values = Generator(1).normal({3, n}, offset, 1).to(DType::float32);
    const Tensor covector = Generator(2).normal({3, n}, 0, 1);
    const auto run = [&](DType dtype) {
      const Var x = parameter(values.to(dtype));
      Tape tape;
      const Var y = layer_norm(x, 1e-5);
      tape.backward(y, covector.to(dtype));
      return std::pair(y.tensor().to_vector(), x.grad().to_vector());
    };
    const auto [h, dx] = run(DType::float32);
    const auto [exact, exact_dx] = run(DType::float64);
    // Against float64, which is off by n u of double at most beside numbers of size 1: the float32
    // one makes less than eight roundings of terms of the size of the largest result.
    const auto largest = [](const std::vector<double>& x) {
      double result = 0;
      for (const double each : x) result = std::max(result, std::abs(each));
      return result;
    };
    const double u = 0x1p-24;
    for (std::size_t i = 0; i < h.size(); ++i) {
      ASSERT_LE(std::abs(h[i] - exact[i]), 8 * u * largest(exact)) << offset;
      ASSERT_LE(std::abs(dx[i] - exact_dx[i]), 8 * u * largest(exact_dx)) << offset;
    }
    // And float64 itself against the definition in long double.
    for (Index row = 0; row < 3; ++row) {
      const std::vector<double> x = Var(values)[row].tensor().to_vector();
      long double mean = 0, squares = 0;
      for (const double each : x) mean += each;
      mean /= n;
      for (const double each : x) squares += (each - mean) * (each - mean);
      const long double scale = 1 / std::sqrt(squares / n + 1e-5L);
      for (Index i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const long double error =
            exact[static_cast<std::size_t>(row * n) + at] - (x[at] - mean) * scale;
        ASSERT_LE(std::abs(error), 4 * n * (0x1p-53L + 0x1p-64L * std::abs(mean))) << offset;
      }
    }
  }
}

TEST(Normalize, EmptyRowsAndNoRows) {
  for (const Shape& shape : {Shape{0, 3}, Shape{3, 0}}) {
    const Var x = parameter(Tensor::zeros(shape));
    Tape tape;
    const Var y = softmax(x) + log_softmax(x) + layer_norm(x);
    EXPECT_TRUE(y.shape() == shape);
    tape.backward(sum(y));
    EXPECT_TRUE(x.grad().shape() == shape);
  }
}

TEST(Normalize, Errors) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  const Var scalar = Tensor({}, {1});
  const Var three = Tensor({3}, {1, 2, 3});
  EXPECT_EQ(error_of([&] { softmax(x, 2); }), "softmax: x is (2,3): there is no axis 2");
  EXPECT_EQ(error_of([&] { log_softmax(x, -3); }), "log_softmax: x is (2,3): there is no axis -3");
  EXPECT_EQ(error_of([&] { layer_norm(scalar); }), "layer_norm: x is (): there is no axis -1");
  EXPECT_EQ(error_of([&] {
              layer_norm(x, Tensor({2}, {1, 2}), three);
            }),
            "layer_norm: x is (2,3), weight is (2): it must have the extent of x's last axis");
  EXPECT_EQ(error_of([&] { layer_norm(x, x, three); }),
            "layer_norm: x is (2,3), weight is (2,3): it must have the extent of x's last axis");
  EXPECT_EQ(error_of([&] {
              layer_norm(x, three, Tensor({2, 1}, {1, 2}));
            }),
            "layer_norm: x is (2,3), bias is (2,1): it must have the extent of x's last axis or "
            "x's shape");
  EXPECT_EQ(error_of([&] { layer_norm(x, three, three.tensor().to(DType::float64)); }),
            "layer_norm: operands are float32 and float64: they must have one dtype");
}

}  // namespace
}  // namespace xgrad::testing
