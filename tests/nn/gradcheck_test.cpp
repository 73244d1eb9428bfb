#include <sstream>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

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
  EXPECT_EQ(report.verdict, Verdict::correct);
  EXPECT_EQ(report.entries, 6 + 12 + 4);
  EXPECT_TRUE(report.complex_step);
  for (const GradcheckInput& input : report.inputs) {
    EXPECT_LT(input.detectable, 1e-11) << input.name;
    // Sums of products of 3 and 2, forward and back, a tanh and a division, on both sides.
    const double roundings = 2 * (2 * (3 + 2) + testing::elementary + 6);
    EXPECT_LT(input.worst.error(), testing::rounding_bound(DType::float64, roundings, input.scale))
        << input.name;
  }
}

TEST(Gradcheck, NamesTheWrongEntry) {
  const Var x = draw({3}, 0.5, 1);
  const auto report = gradcheck(
      [](const std::vector<Var>& in) { return apply(WrongSquare{1.001}, in[0]); }, {{"x", x}});
  EXPECT_FALSE(report);
  EXPECT_EQ(report.verdict, Verdict::wrong);
  EXPECT_EQ(report["x"].wrong, 1);
  EXPECT_EQ(report["x"].worst.index, Shape{1});
  EXPECT_NEAR(report["x"].worst.analytic / report["x"].worst.numeric, 1.001, 1e-12);
  std::ostringstream text;
  text << report;
  EXPECT_NE(text.str().find("gradcheck: WRONG, 3 entries checked one by one"), std::string::npos)
      << text.str();
  EXPECT_NE(text.str().find("gradient of 'x' at (1): analytic "), std::string::npos) << text.str();
}

TEST(Gradcheck, NanIsWrong) {
  const auto report = gradcheck(
      [](const std::vector<Var>& in) {
        return apply(WrongSquare{std::numeric_limits<double>::quiet_NaN()}, in[0]);
      },
      {{"x", draw({3}, 0.5, 1)}});
  EXPECT_EQ(report.verdict, Verdict::wrong);
  EXPECT_EQ(report["x"].worst.index, Shape{1});
}

TEST(Gradcheck, NothingToCheckIsVacuous) {
  const auto empty = gradcheck([](const std::vector<Var>& in) { return tanh(in[0]); },
                               {{"x", Tensor::zeros({0, 3})}});
  EXPECT_EQ(empty.verdict, Verdict::vacuous);
  EXPECT_FALSE(empty);
  const auto none = gradcheck([](const std::vector<Var>&) { return Tensor::zeros({2}); }, {});
  EXPECT_EQ(none.verdict, Verdict::vacuous);
  const auto unreached = gradcheck([](const std::vector<Var>& in) { return Var(2.0 * in[0]); },
                                   {{"x", draw({2})}, {"y", draw({2})}});
  EXPECT_EQ(unreached["x"].verdict, Verdict::correct);
  EXPECT_EQ(unreached["y"].verdict, Verdict::vacuous);
  EXPECT_FALSE(unreached);
}

TEST(Gradcheck, ADetachedInputIsWrong) {
  const auto report = gradcheck(
      [](const std::vector<Var>& in) { return detach(in[0]) * detach(in[0]); }, {{"x", draw({2})}});
  EXPECT_EQ(report.verdict, Verdict::wrong) << report;
}

TEST(Gradcheck, ChecksAFloat32CellAndLeavesItAsItWas) {
  nn::LSTMCell cell(3, 4);
  const std::vector<double> before = cell.Wh.tensor().to_vector();
  nn::LSTMCell::State state{draw({2, 4}), draw({2, 4})};
  const auto report = gradcheck(cell, draw({2, 3}), state);
  EXPECT_EQ(report.verdict, Verdict::correct) << report;
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

TEST(Gradcheck, AWholeSequenceByItsInputsStatesAndParameters) {
  nn::LSTM lstm(3, 2, {.layers = 2, .bidirectional = true});
  nn::LSTM::States initial;
  for (int i = 0; i < 4; ++i) initial.push_back({draw({2, 2}), draw({2, 2})});
  const auto report = gradcheck(lstm, draw({4, 2, 3}), initial, {4, 2});
  EXPECT_EQ(report.verdict, Verdict::correct) << report;
  EXPECT_EQ(report.inputs.size(), 1u + 2 * 4 + 3 * 4);
  EXPECT_EQ(report["state3[1]"].entries, 4);
  EXPECT_EQ(report["layer1_reverse.Wh"].verdict, Verdict::correct);
}

/// x, whose gradient is twice as large where there is one row.
struct TwiceOfOneRow {
  static constexpr const char* name = "twice_of_one_row";
  Tensor value(const Tensor& x) const { return x.copy(); }
  void pullback(Pullback& p) const {
    p.add(0, p.gradient() * (p.input(0).shape()[0] == 1 ? 2.0 : 1.0));
  }
};

/// Wrong where the other sequences of a batch have ended.
struct LonelyCell : nn::Module {
  LonelyCell(Index input, Index hidden) : W(param("W", nn::glorot()({input, hidden}))) {}
  struct State {
    Var h;
  };
  State zero_state(Index batch) const { return {Tensor::zeros({batch, W.shape()[1]}, W.dtype())}; }
  State step(const Var& x, const State& s) const {
    return {apply(TwiceOfOneRow{}, tanh(0.5 * s.h + matmul(x, W)))};
  }
  Var W;
};

TEST(Gradcheck, FindsWhatIsWrongOnlyWithLengths) {
  nn::Recurrent<LonelyCell> net(3, 2);
  const Var x = draw({4, 2, 3});
  EXPECT_TRUE(gradcheck(net, x));
  EXPECT_EQ(gradcheck(net, x, {}, {4, 2}).verdict, Verdict::wrong);
  EXPECT_EQ(gradcheck(net, x, {}, {4, 2}, {.fast = true}).verdict, Verdict::wrong);
  EXPECT_TRUE(gradgradcheck(net, x));
  EXPECT_EQ(gradgradcheck(net, x, {}, {4, 2}).verdict, Verdict::wrong);
  // What lies behind the ends is not read in float32 either.
  const Tensor padded = x.tensor().copy();
  std::fill_n(padded.mutable_data<float>() + 3 * 6 + 3, 3, std::nanf(""));
  nn::LSTM lstm(3, 2);
  EXPECT_TRUE(float32check(lstm, padded, {}, {4, 3}));
  EXPECT_FALSE(float32check(lstm, padded));
}

TEST(Gradcheck, ARecurrentWeightThatSeesOnlyZerosIsZero) {
  nn::LSTM lstm(3, 2);
  const auto report = gradcheck(lstm, draw({1, 2, 3}));
  EXPECT_TRUE(report) << report;
  EXPECT_EQ(report["layer0.Wh"].verdict, Verdict::zero);
  EXPECT_EQ(report["layer0.Wx"].verdict, Verdict::correct);
}

TEST(Gradcheck, SecondDerivativesOfCellsAndSequences) {
  nn::LSTMCell lstm_cell(3, 2);
  const auto cell = gradgradcheck(lstm_cell, draw({2, 3}), {draw({2, 2}), draw({2, 2})});
  EXPECT_EQ(cell.verdict, Verdict::correct) << cell;
  EXPECT_TRUE(cell.complex_step) << cell;
  nn::GRUCell gru_cell(3, 2);
  const auto gru = gradgradcheck(gru_cell, draw({2, 3}), {draw({2, 2})});
  EXPECT_EQ(gru.verdict, Verdict::correct) << gru;
  nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true});
  const auto fast = gradgradcheck(lstm, draw({5, 2, 3}), {}, {}, {.fast = true});
  EXPECT_EQ(fast.verdict, Verdict::correct) << fast;
  EXPECT_TRUE(fast.fast);
}

TEST(Gradcheck, AFrozenParameterIsLeftOut) {
  nn::LSTMCell cell(3, 2);
  cell.Wh.set_trainable(false);
  const auto report = gradcheck(cell, draw({2, 3}), {draw({2, 2}), draw({2, 2})});
  EXPECT_EQ(report.verdict, Verdict::correct) << report;
  EXPECT_THROW(report["Wh"], Error);
}

TEST(Gradcheck, PutsTheModuleBackWhenItThrows) {
  nn::Linear linear(3, 2);
  const std::vector<double> before = linear.W.tensor().to_vector();
  int calls = 0;
  const auto throws = [&](const std::vector<Var>& in) {
    if (++calls >= 20) throw Error("test: enough");
    return linear(in[0]);
  };
  EXPECT_THROW(nn::gradcheck(linear, throws, {{"x", draw({4, 3})}}), Error);
  EXPECT_EQ(linear.dtype(), DType::float32);
  EXPECT_EQ(linear.W.tensor().to_vector(), before);
}

TEST(Gradcheck, LeavesGradientsAndViewsOfParametersAsTheyWere) {
  nn::Linear linear(2, 3);
  const Var row = linear.W[0];
  linear.W.add_grad(Tensor::full({2, 3}, 0.5));
  const Tensor gradient = linear.W.grad();
  EXPECT_TRUE(gradcheck(linear, draw({4, 2})));
  EXPECT_TRUE(float32check(linear, draw({4, 2})));
  EXPECT_TRUE(linear.W.grad().shares_memory(gradient));
  EXPECT_FALSE(linear.b.has_grad());
  linear.W.assign(Tensor::full({2, 3}, 7));
  EXPECT_EQ(row.tensor().to_vector(), std::vector<double>(3, 7));
}

}  // namespace
}  // namespace xgrad
