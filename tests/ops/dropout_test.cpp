#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/flight_recorder.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/dropout.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"

namespace xgrad::testing {
namespace {

const OpRow row("dropout");

TEST(Dropout, DropsAboutItsShareAndScalesTheRest) {
  const Index n = 100'000;
  for (const DType dtype : {DType::float32, DType::float64, DType::complex128}) {
    for (const double p : {0.1, 0.5, 0.9}) {
      Generator generator(1);
      const Var y = dropout(Tensor::full({n}, 1, dtype), p, generator);
      double zeros = 0;
      for (const double v : y.tensor().to_vector()) {
        if (v == 0) {
          ++zeros;
        } else {
          EXPECT_NEAR(v, 1 / (1 - p), 1e-6);
        }
      }
      // Five standard deviations.
      EXPECT_NEAR(zeros / n, p, 5 * std::sqrt(p * (1 - p) / n));
    }
  }
}

TEST(Dropout, TheGradientHasTheMaskOfTheValue) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Generator generator(2);
    const Var x = parameter(Tensor::full({7, 5}, 1, DType::float64));
    Tape tape(mode);
    const Var y = dropout(x, 0.4, generator);
    tape.backward(sum(y));
    EXPECT_EQ(x.grad().to_vector(), y.tensor().to_vector());
  }
}

TEST(Dropout, WhatIsDroppedLeavesNoTrace) {
  const double bad[] = {std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()};
  const auto drop = [](const Var& x) {
    Generator generator(2);
    return dropout(x, 0.4, generator);
  };
  const std::vector<double> kept = drop(Tensor::full({7, 5}, 1)).tensor().to_vector();
  for (const double value : bad) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      std::vector<float> numbers(35, 1);
      for (std::size_t i = 0; i < 35; ++i) {
        if (kept[i] == 0) numbers[i] = static_cast<float>(value);
      }
      const Tensor holed({7, 5}, numbers);
      const Var x = parameter(holed);
      const FlightRecorder stops_at_nan_and_inf;
      Tape tape(mode);
      const Var y = drop(x);
      EXPECT_EQ(y.tensor().to_vector(), kept);
      EXPECT_EQ(grad(sum(y), {x})[0].tensor().to_vector(), kept);
    }
    // Nor does what lies behind it.
    const Var x = parameter(Tensor::full({7, 5}, 1));
    Tape tape;
    std::vector<float> seed(35, 1);
    for (std::size_t i = 0; i < 35; ++i) {
      if (kept[i] == 0) seed[i] = static_cast<float>(value);
    }
    tape.backward(drop(x), Tensor({7, 5}, seed));
    EXPECT_EQ(x.grad().to_vector(), kept);
  }
}

TEST(Dropout, DerivativesToTheThirdOrder) {
  check_derivatives(
      [](std::span<const Var> p) {
        Generator generator(3);
        return dropout(p[0] * p[0] * p[0], 0.5, generator);
      },
      {numbers({4, 3}, 1)});
}

TEST(Dropout, SameGeneratorSameMaskAndThenAnother) {
  const Var x = Tensor::full({100}, 1);
  Generator a(5);
  Generator b(5);
  const auto first = dropout(x, 0.5, a).tensor().to_vector();
  EXPECT_EQ(first, dropout(x, 0.5, b).tensor().to_vector());
  EXPECT_NE(first, dropout(x, 0.5, a).tensor().to_vector());
  seed(5);
  EXPECT_EQ(first, dropout(x, 0.5).tensor().to_vector());
}

TEST(Dropout, OfZeroIsTheArgumentItself) {
  Generator generator(6);
  const std::string state = generator.state();
  const Var x = Tensor({2}, {1, 2});
  EXPECT_TRUE(dropout(x, 0, generator).is(x));
  EXPECT_EQ(generator.state(), state);
}

TEST(Dropout, Errors) {
  const Var x = Tensor({2}, {1, 2});
  EXPECT_EQ(error_of([&] { dropout(x, 1); }),
            "dropout: x is (2), p is 1.000000: p must be in [0, 1)");
  EXPECT_EQ(error_of([&] { dropout(x, -0.5); }),
            "dropout: x is (2), p is -0.500000: p must be in [0, 1)");
  EXPECT_EQ(error_of([&] { dropout(x, std::nan("")); }),
            "dropout: x is (2), p is nan: p must be in [0, 1)");
}

}  // namespace
}  // namespace xgrad::testing
