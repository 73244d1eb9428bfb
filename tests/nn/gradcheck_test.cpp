#include <sstream>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

Var draw(const Shape& shape, double low = -1, double high = 1) {
  static Generator random(11);
  return random.uniform(shape, low, high);
}

/// x^2 whose pullback is off by a factor in one entry.
struct WrongSquare {
  static constexpr const char* name = "wrong_square";
  double factor;
  Tensor value(const Tensor& x) const { return Var(Var(x) * Var(x)).tensor(); }
  void pullback(Pullback& p) const {
    Tensor scale = Tensor::full(p.input(0).shape(), 2, p.input(0).dtype());
    if (scale.dtype() == DType::float64) scale.mutable_data<double>()[1] = 2 * factor;
    p.add(0, p.gradient() * p.input(0) * Var(scale));
  }
};

TEST(Gradcheck, PassesACorrectFunction) {
  const auto report = gradcheck(
      [](const std::vector<Var>& in) { return matmul(tanh(in[0]), in[1]) / (1.5 + in[2]); },
      {{"a", draw({2, 3})}, {"b", draw({3, 4})}, {"c", draw({4})}});
  EXPECT_TRUE(report) << report;
  EXPECT_EQ(report.entries, 6 + 12 + 4);
  EXPECT_EQ(report.failed, 0);
  EXPECT_LT(report.worst.error, 1e-8);
}

TEST(Gradcheck, NamesTheWrongEntry) {
  const Var x = draw({3}, 0.5, 1);
  const auto report = gradcheck(
      [](const std::vector<Var>& in) { return apply(WrongSquare{1.001}, in[0]); }, {{"x", x}});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.worst.input, "x");
  EXPECT_EQ(report.worst.index, Shape{1});
  EXPECT_NEAR(report.worst.analytic / report.worst.numeric, 1.001, 1e-6);
  std::ostringstream text;
  text << report;
  EXPECT_NE(text.str().find("gradcheck: FAILED, 3 entries checked, 1 wrong; worst: gradient of "
                            "'x' at (1): analytic "),
            std::string::npos)
      << text.str();
}

TEST(Gradcheck, NanIsAFailure) {
  const auto report = gradcheck(
      [](const std::vector<Var>& in) {
        return apply(WrongSquare{std::numeric_limits<double>::quiet_NaN()}, in[0]);
      },
      {{"x", draw({3}, 0.5, 1)}});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.worst.index, Shape{1});
}

TEST(Gradcheck, RefusesToCheckNothing) {
  EXPECT_THROW(gradcheck([](const std::vector<Var>& in) { return tanh(in[0]); },
                         {{"x", Tensor::zeros({0, 3})}}),
               Error);
  EXPECT_THROW(
      gradcheck([](const std::vector<Var>& in) { return detach(in[0]); }, {{"x", draw({2})}}),
      Error);
}

TEST(Gradcheck, ChecksAFloat32CellAndLeavesItAsItWas) {
  nn::LSTMCell cell(3, 4);
  const std::vector<double> before = cell.Wh.tensor().to_vector();
  nn::LSTMCell::State state{draw({2, 4}), draw({2, 4})};
  const auto report = gradcheck(cell, draw({2, 3}), state);
  EXPECT_TRUE(report) << report;
  EXPECT_EQ(report.entries, 2 * 3 + 2 * 2 * 4 + cell.parameter_count());
  EXPECT_EQ(cell.dtype(), DType::float32);
  EXPECT_EQ(cell.Wh.tensor().to_vector(), before);
  EXPECT_FALSE(cell.Wh.has_grad());
}

TEST(Gradcheck, ChecksEveryShippedModule) {
  const Var x = draw({3, 5});
  nn::Linear linear(5, 2);
  EXPECT_TRUE(gradcheck(linear, x));
  nn::LayerNorm norm(5);
  EXPECT_TRUE(gradcheck(norm, x));
  nn::GRUCell gru(5, 4), before(5, 4, {.reset_after = false});
  EXPECT_TRUE(gradcheck(gru, x, {draw({3, 4})}));
  EXPECT_TRUE(gradcheck(before, x, {draw({3, 4})}));
  nn::RNNCell rnn(5, 4);
  EXPECT_TRUE(gradcheck(rnn, x, {draw({3, 4})}));
  nn::LSTM lstm(5, 3, {.layers = 2, .bidirectional = true});
  const std::vector<Index> lengths{4, 1, 2};
  const auto run = [&](const std::vector<Var>& in) {
    const auto result = lstm(in[0], {}, lengths);
    return std::vector<Var>{result.outputs, result.last[0].c, result.last[3].h};
  };
  const auto report = nn::gradcheck(lstm, run, {{"x", draw({4, 3, 5})}});
  EXPECT_TRUE(report) << report;
}

}  // namespace
}  // namespace xgrad
