// Models in use: one time step after the other.
#include <algorithm>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

/// The outputs of single steps.
template <class Net>
std::vector<double> streamed(const Net& net, const Var& x) {
  auto states = net.zero_state(x.shape()[1]);
  std::vector<double> outputs;
  for (Index t = 0; t < x.shape()[0]; ++t) {
    const std::vector<double> now = net.step(x[t], states).tensor().to_vector();
    outputs.insert(outputs.end(), now.begin(), now.end());
  }
  return outputs;
}

template <class Cell>
void expect_streaming_agrees(Index batch, Index input, Index hidden) {
  seed(7);
  nn::Recurrent<Cell> net(input, hidden, {.layers = 2});
  // Twice forward through two layers, of which the second one's input is as wide as its state.
  const double roundings =
      2 * testing::recurrent_roundings(50, static_cast<double>(std::max(input, hidden) + hidden));
  for (const DType dtype : {DType::float32, DType::float64}) {
    net.to(dtype);
    const Var x = default_generator().normal({50, batch, input}, 0, 1, dtype);
    const std::vector<double> whole = [&] {
      Tape tape;  // as in training
      return net(x).outputs.tensor().to_vector();
    }();
    const std::vector<double> steps = streamed(net, x);
    ASSERT_EQ(steps.size(), whole.size());
    double scale = 0;
    for (const double y : whole) scale = std::max(scale, std::abs(y));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      ASSERT_NEAR(steps[i], whole[i], testing::rounding_bound(dtype, roundings, scale))
          << name(dtype) << " " << i;
    }
    EXPECT_EQ(streamed(net, x), steps) << "other bits";
  }
}

TEST(Streaming, AgreesWithTheForwardPassOfTraining) {
  for (const Index batch : {1, 3}) {
    expect_streaming_agrees<nn::LSTMCell>(batch, 10, 50);
    expect_streaming_agrees<nn::GRUCell>(batch, 17, 33);
    expect_streaming_agrees<nn::RNNCell>(batch, 64, 64);
  }
}

/// An output of its own: twice the second of three members, which are shifted.
struct ThreeCell : nn::Module {
  ThreeCell(Index input, Index hidden) : W(param("W", nn::glorot()({input, hidden}))) {}
  struct State {
    Var a, b, c;
  };
  State zero_state(Index batch) const {
    const Var z = Tensor::zeros({batch, W.shape()[1]}, dtype());
    return {z, z, z};
  }
  State step(const Var& x, const State& s) const { return {tanh(matmul(x, W) + s.c), s.a, s.b}; }
  Var output(const State& s) const { return s.b * 2.0; }
  Var W;
};

TEST(Streaming, GivesTheCellsOutput) {
  nn::Recurrent<ThreeCell> net(3, 4, {.layers = 2});
  net.to(DType::float64);
  const Var x = default_generator().normal({7, 2, 3}, 0, 1, DType::float64);
  const Var outputs = net(x).outputs;
  auto states = net.zero_state(2);
  for (Index t = 0; t < 7; ++t) {
    const std::vector<double> y = net.step(x[t], states).tensor().to_vector();
    const std::vector<double> expected = outputs[t].tensor().to_vector();
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i],
                  testing::rounding_bound(DType::float64, testing::recurrent_roundings(7, 8), 2));
    }
  }
}

TEST(Streaming, ARecorderKnowsTheLayer) {
  nn::RNN net(3, 4, {.layers = 2});
  net.cells()[1].b.assign(Tensor::full({4}, std::numeric_limits<double>::infinity()));
  const FlightRecorder recorder;
  const Tape tape;
  auto states = net.zero_state(2);
  try {
    net.step(Tensor::zeros({2, 3}), states);
    ADD_FAILURE() << "nothing was found";
  } catch (const NonFiniteError& error) {
    EXPECT_EQ(error.place.layer, 1);
  }
}

TEST(Streaming, IsRecordedLikeAnyOp) {
  nn::LSTM net(3, 4, {.layers = 2});
  net.to(DType::float64);
  const Var x = default_generator().normal({5, 2, 3}, 0, 1, DType::float64);
  const auto gradients = [&](bool stepwise) {
    Tape tape;
    if (!stepwise) return grad(sum(net(x).outputs), net.parameters());
    auto states = net.zero_state(2);
    std::vector<Var> outputs;
    for (Index t = 0; t < 5; ++t) outputs.push_back(net.step(x[t], states));
    return grad(sum(stack(outputs)), net.parameters());
  };
  const auto steps = gradients(true);
  const auto whole = gradients(false);
  // Gradients of a sum over two rows and five steps of four units.
  const double bound = testing::rounding_bound(
      DType::float64, 2 * (2 * testing::recurrent_roundings(5, 4 + 4) + 10), 2 * 5 * 4);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const auto a = steps[i].tensor().to_vector();
    const auto b = whole[i].tensor().to_vector();
    for (std::size_t k = 0; k < b.size(); ++k) ASSERT_NEAR(a[k], b[k], bound) << i << " " << k;
  }
}

TEST(Streaming, AStepThatFailsLeavesAllStatesAsTheyWere) {
  const nn::LSTM lstm(3, 4, {.layers = 2});
  auto states = lstm.zero_state(2);
  lstm.step(Tensor::full({2, 3}, 1.0), states);
  const std::vector<double> before = states[0].c.tensor().to_vector();
  const Var second = states[1].h;
  states[1].h = Tensor::zeros({2, 7});
  EXPECT_THROW(lstm.step(Tensor::full({2, 3}, 1.0), states), Error);
  EXPECT_EQ(states[0].c.tensor().to_vector(), before);
  states[1].h = second;
  lstm.step(Tensor::full({2, 3}, 1.0), states);
  EXPECT_NE(states[0].c.tensor().to_vector(), before);
}

TEST(Streaming, Errors) {
  nn::LSTM net(3, 4);
  auto states = net.zero_state(2);
  EXPECT_EQ(error_of([&] {
              net.step(Tensor::zeros({1, 2, 3}), states);
            }),
            "recurrent: step: x is (1,2,3): it must be (batch, features)");
  EXPECT_EQ(
      error_of([&] {
        net.step(Tensor::zeros({5, 3}), states);
      }),
      "recurrent: x is (5,3) of float32, member 0 of the state of layer0 is (2,4) of float32: "
      "it must be (5,4) of float32");
  EXPECT_EQ(error_of([&] { net.final_output({}); }), "recurrent: 0 states for 1 cells");
  nn::LSTM::States none;
  EXPECT_EQ(error_of([&] {
              net.step(Tensor::zeros({2, 3}), none);
            }),
            "recurrent: 0 states for 1 cells");
  for (const nn::RecurrentOptions& options :
       {nn::RecurrentOptions{.bidirectional = true}, nn::RecurrentOptions{.reverse = true}}) {
    const nn::LSTM reverse(3, 4, options);
    auto two = reverse.zero_state(2);
    EXPECT_EQ(error_of([&] {
                reverse.step(Tensor::zeros({2, 3}), two);
              }),
              "recurrent: step: the reverse direction needs the whole sequence");
  }
}

}  // namespace
}  // namespace xgrad
