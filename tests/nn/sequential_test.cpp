#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/sequential.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace {

using namespace xgrad;
using xgrad::testing::rounding_bound;
namespace layers = nn::layers;

Tensor numbers(const Shape& shape, std::uint64_t key = 1) {
  return Generator(key).uniform(shape, -1, 1);
}

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> result;
  for (const nn::NamedParameter& p : module.named_parameters()) result.push_back(p.name);
  return result;
}

/// A cell of a user's: a running mean with a learnt rate and a width of its own.
struct LeakyCell : nn::Module {
  LeakyCell(Index input, Index hidden, double start = 0.5)
      : W(param("W", nn::glorot()({input, hidden}))), rate(param("rate", Tensor({}, {start}))) {}
  struct State {
    Var h;
  };
  State zero_state(Index batch) const { return {Tensor::zeros({batch, W.shape()[1]}, W.dtype())}; }
  State step(const Var& x, const State& s) const { return {s.h + rate * (matmul(x, W) - s.h)}; }
  Var W, rate;
};

TEST(Sequential, TakesTheWidthsFromTheData) {
  nn::Sequential model(
      {layers::LSTM(50, {.return_sequences = true}), layers::LSTM(20), layers::Dense(1)});
  EXPECT_FALSE(model.built());
  EXPECT_TRUE(model.parameters().empty());
  EXPECT_EQ(to_string(model(numbers({7, 12, 3})).shape()), "(7,1)");
  EXPECT_TRUE(model.built());
  EXPECT_EQ(names(model),
            (std::vector<std::string>{"lstm_0.layer0.Wx", "lstm_0.layer0.Wh", "lstm_0.layer0.b",
                                      "lstm_1.layer0.Wx", "lstm_1.layer0.Wh", "lstm_1.layer0.b",
                                      "dense_2.W", "dense_2.b"}));
  EXPECT_EQ(to_string(model.parameters()[0].shape()), "(3,200)");
  // Other lengths and batches are fine.
  EXPECT_EQ(to_string(model(numbers({1, 1, 3})).shape()), "(1,1)");
}

TEST(Sequential, SummarisesTheLayers) {
  nn::Sequential model(
      {layers::LSTM(50, {.return_sequences = true}), layers::LSTM(20), layers::Dense(1)});
  EXPECT_EQ(model.summary(),
            "layer    output     parameters\n"
            "lstm_0   ?                   ?\n"
            "lstm_1   ?                   ?\n"
            "dense_2  ?                   ?\n"
            "total            not built yet\n");
  model.build({12, 1});
  EXPECT_EQ(model.summary(),
            "layer    output     parameters\n"
            "lstm_0   (N,12,50)       10400\n"
            "lstm_1   (N,20)           5680\n"
            "dense_2  (N,1)              21\n"
            "total                    16101\n");
}

TEST(Sequential, EqualsItsLayersByHand) {
  seed(3);
  nn::Sequential model({layers::LSTM(4, {.return_sequences = true, .layers = 2}), layers::GRU(3),
                        layers::Dense(2, nn::Activation::tanh)});
  model.build({5, 2});
  seed(3);
  const nn::LSTM lstm(2, 4, {.layers = 2});
  const nn::GRU gru(4, 3);
  const nn::Linear dense(3, 2);
  const Tensor x = numbers({6, 5, 2});
  const Var outputs = lstm(transpose(Var(x), {1, 0, 2})).outputs;
  const Var expected = tanh(dense(gru(outputs).outputs[-1]));
  EXPECT_EQ(model(x).tensor().to_vector(), expected.tensor().to_vector());
}

TEST(Sequential, TranspositionsBetweenRecurrentLayersCopyNothing) {
  nn::Sequential model({layers::LSTM(4, {.return_sequences = true}), layers::LSTM(3)});
  model.build({5, 2});
  const nn::LSTM first(2, 4);
  const nn::LSTM second(4, 3);
  const Var x = numbers({5, 6, 2});  // time first
  std::size_t by_hand = 0;
  {
    Tape tape;
    second(first(x).outputs);
    by_hand = tape.size();
  }
  Tape tape;
  model(transpose(x, {1, 0, 2}));
  EXPECT_EQ(tape.size(), by_hand);
}

TEST(Sequential, LayersGiveTheShapesOfKeras) {
  const auto shape = [](std::initializer_list<nn::Layer> list, const Shape& input) {
    nn::Sequential model(list);
    return to_string(model(Tensor::zeros(input)).shape());
  };
  EXPECT_EQ(shape({layers::LSTM(5)}, {4, 3, 2}), "(4,5)");
  EXPECT_EQ(shape({layers::LSTM(5, {.return_sequences = true})}, {4, 3, 2}), "(4,3,5)");
  EXPECT_EQ(shape({layers::GRU(5, {.bidirectional = true})}, {4, 3, 2}), "(4,10)");
  EXPECT_EQ(shape({layers::RNN(5, {.return_sequences = true, .bidirectional = true})}, {4, 3, 2}),
            "(4,3,10)");
  EXPECT_EQ(shape({layers::Recurrent<LeakyCell>(5)}, {4, 3, 2}), "(4,5)");
  EXPECT_EQ(shape({layers::Dense(5)}, {4, 3, 2}), "(4,3,5)");
  EXPECT_EQ(shape({layers::Dense(5)}, {4, 2}), "(4,5)");
  EXPECT_EQ(shape({layers::Flatten()}, {4, 3, 2}), "(4,6)");
  EXPECT_EQ(shape({layers::Flatten()}, {4}), "(4,1)");
  EXPECT_EQ(shape({layers::LayerNorm()}, {4, 3, 2}), "(4,3,2)");
  EXPECT_EQ(shape({layers::Dropout(0.5)}, {4, 3, 2}), "(4,3,2)");
  EXPECT_EQ(shape({layers::Embedding(10, 5)}, {4, 3}), "(4,3,5)");
  EXPECT_EQ(shape({layers::Embedding(10, 5), layers::LSTM(2)}, {4, 3}), "(4,2)");
}

TEST(Sequential, ActivationsAreTheFunctionsOfThatName) {
  const Var x = Tensor({1, 3}, {-1, 0.5, 2});
  const auto activated = [&](nn::Activation activation) {
    seed(5);
    nn::Sequential model({layers::Dense(3, activation)});
    return model(x).tensor().to_vector();
  };
  seed(5);
  const Var y = nn::Linear(3, 3)(x);
  EXPECT_EQ(activated(nn::Activation::linear), y.tensor().to_vector());
  EXPECT_EQ(activated(nn::Activation::relu), Var(relu(y)).tensor().to_vector());
  EXPECT_EQ(activated(nn::Activation::sigmoid), Var(sigmoid(y)).tensor().to_vector());
  EXPECT_EQ(activated(nn::Activation::tanh), Var(tanh(y)).tensor().to_vector());
  EXPECT_EQ(activated(nn::Activation::gelu), Var(gelu(y)).tensor().to_vector());
  const std::vector<double> p = activated(nn::Activation::softmax);
  EXPECT_NEAR(p[0] + p[1] + p[2], 1, rounding_bound(DType::float32, 3 + 1));
}

TEST(Sequential, CellOptionsReachTheCell) {
  nn::Sequential model({layers::LSTM(2, {}, {.forget_bias = 3}),
                        [](const Var& x) { return unsqueeze(x, 1); },
                        layers::Recurrent<LeakyCell>(1, {}, 0.25)});
  model.build({4, 1});
  EXPECT_EQ(model.parameters()[2].tensor().to_vector(),
            (std::vector<double>{0, 0, 3, 3, 0, 0, 0, 0}));
  EXPECT_EQ(model.named_parameters()[4].name, "recurrent_2.layer0.rate");
  EXPECT_EQ(model.parameters()[4].item(), 0.25);
}

TEST(Sequential, TakesFunctionsAndModules) {
  const nn::Linear linear(2, 2);
  nn::Sequential model({[](const Var& x) { return 2.0 * x; }, linear, nn::Layer(linear, "again"),
                        nn::Sequential({layers::Dense(3)})});
  const Var x = numbers({4, 2});
  const Var expected = linear(linear(2.0 * x));
  const Var y = model(x);
  EXPECT_EQ(to_string(y.shape()), "(4,3)");
  // The module's own parameters, tied ones once; the inner model is built along.
  EXPECT_EQ(names(model), (std::vector<std::string>{"module_1.W", "module_1.b",
                                                    "module_3.dense_0.W", "module_3.dense_0.b"}));
  EXPECT_TRUE(model.parameters()[0].is(linear.W));
  EXPECT_EQ(y.tensor().to_vector(),
            affine(expected, model.parameters()[2], model.parameters()[3]).tensor().to_vector());
}

TEST(Sequential, DropoutFollowsTheMode) {
  nn::Sequential model({layers::Dropout(0.5), layers::LSTM(8, {.layers = 2, .dropout = 0.5})});
  model.build({3, 4});
  const Var x = numbers({2, 3, 4});
  EXPECT_NE(model(x).tensor().to_vector(), model(x).tensor().to_vector());
  model.eval();
  EXPECT_EQ(model(x).tensor().to_vector(), model(x).tensor().to_vector());

  nn::Sequential later({layers::Dropout(0.5)});
  later.eval();
  later.build({100});
  EXPECT_EQ(later(Tensor::full({1, 100}, 1)).tensor().to_vector(), std::vector<double>(100, 1.0));
}

TEST(Sequential, ARecurrentLayersDropoutActsWhileTraining) {
  nn::Sequential model({layers::LSTM(8, {.layers = 2, .dropout = 0.5})});
  model.build({3, 4});
  const Var x = numbers({2, 3, 4});
  EXPECT_NE(model(x).tensor().to_vector(), model(x).tensor().to_vector());
  model.eval();
  EXPECT_EQ(model(x).tensor().to_vector(), model(x).tensor().to_vector());
}

TEST(Sequential, ModelsOfOneListHaveModesOfTheirOwn) {
  const std::vector<nn::Layer> list{layers::Dropout(0.5)};
  nn::Sequential one(list), other(list);
  one.build({100});
  other.build({100});
  one.eval();
  const Var x = Tensor::full({1, 100}, 1);
  EXPECT_EQ(one(x).tensor().to_vector(), std::vector<double>(100, 1.0));
  EXPECT_NE(other(x).tensor().to_vector(), std::vector<double>(100, 1.0));
}

TEST(Sequential, BuildingDrawsNothingForDropout) {
  seed(1);
  nn::Sequential with({layers::Dropout(0.5), layers::Dense(2)});
  with.build({3});
  seed(1);
  nn::Sequential without({layers::Dense(2)});
  without.build({3});
  EXPECT_EQ(with.parameters()[0].tensor().to_vector(),
            without.parameters()[0].tensor().to_vector());
}

TEST(Sequential, BuildingIsNotRecorded) {
  const Var x = numbers({2, 4, 1});
  nn::Sequential model({layers::LSTM(3), layers::Dense(1)});
  const auto recorded = [&] {
    const Tape tape;
    model(x);
    return tape.size();
  };
  const std::size_t first = recorded();
  EXPECT_EQ(first, recorded());
  EXPECT_GT(first, 0u);
}

TEST(Sequential, TakesTheDtypeOfTheData) {
  nn::Sequential model({layers::LSTM(3), layers::Dense(1)});
  EXPECT_EQ(model(Tensor::zeros({2, 4, 1}, DType::float64)).dtype(), DType::float64);
  EXPECT_EQ(model.dtype(), DType::float64);
}

TEST(Sequential, ACopySharesACloneDoesNot) {
  nn::Sequential model({layers::LSTM(3), layers::Dropout(0.5), layers::Dense(1)});
  model.build({4, 1}).eval();
  const Var x = numbers({2, 4, 1});
  const std::vector<double> before = model(x).tensor().to_vector();
  nn::Sequential copy = model;
  nn::Sequential twin = clone(model);
  EXPECT_EQ(names(twin), names(model));
  EXPECT_EQ(twin(x).tensor().to_vector(), before);
  for (const Var& p : model.parameters()) p.assign(Tensor::zeros(p.shape()));
  EXPECT_EQ(copy(x).tensor().to_vector(), (std::vector<double>{0, 0}));
  EXPECT_EQ(twin(x).tensor().to_vector(), before);
  for (const Var& p : twin.parameters()) p.assign(Tensor::zeros(p.shape()));
  EXPECT_EQ(twin(x).tensor().to_vector(), (std::vector<double>{0, 0}));
}

TEST(Sequential, ErrorsNameTheLayer) {
  EXPECT_EQ(error_of([] { nn::Sequential(std::vector<nn::Layer>()); }),
            "sequential: there are no layers: give it at least one");
  nn::Sequential flat({layers::LSTM(3), layers::LSTM(2)});
  EXPECT_EQ(error_of([&] {
              flat.build({4, 1});
            }),
            "sequential: lstm_1 on an input of (N,3): the input must be (batch, steps, features)");
  EXPECT_FALSE(flat.built());
  EXPECT_TRUE(flat.parameters().empty());

  EXPECT_EQ(error_of([] { nn::Sequential({layers::Dense(3)}).build({0}); }),
            "sequential: dense_0 on an input of (N,0): Linear: in is 0: it must be at least 1");

  nn::Sequential words({layers::Embedding(10, 5)});
  EXPECT_NE(error_of([&] {
              words(Tensor::full({1, 2}, 0.5));
            }).find("0.500000 is not a whole number"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              words(Tensor::full({1, 2}, 10));
            }).find("sequential: embedding_0"),
            std::string::npos);

  nn::Sequential model({layers::Dense(3), layers::Dense(1)});
  model.build({4});
  EXPECT_EQ(error_of([&] {
              model(Tensor::zeros({2, 5}));
            }).find("sequential: dense_0 on an input of (2,5): "),
            0U);
  const nn::Sequential unbuilt({layers::Dense(3)});
  EXPECT_NE(error_of([&] {
              unbuilt(Tensor::zeros({2, 5}));
            }).find("is not built"),
            std::string::npos);
}

}  // namespace
