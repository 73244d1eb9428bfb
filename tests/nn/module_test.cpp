#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/tape.hpp>
#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/embedding.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/module.hpp>
#include <xgrad/nn/sequential.hpp>
#include <xgrad/nn/training/sequential_layers.hpp>
#include <xgrad/ops/loss.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace {

using namespace xgrad;
using xgrad::testing::rounding_bound;

std::vector<std::string> names(const nn::Module& module) {
  std::vector<std::string> result;
  for (const nn::NamedParameter& parameter : module.named_parameters()) {
    result.push_back(parameter.name);
  }
  return result;
}

struct Net : nn::Module {
  Net()
      : scale(param("scale", Tensor({}, {2.0}))),
        dropout(child("dropout", nn::Dropout(0.5))),
        first(child("first", nn::Linear(3, 4))),
        second(child("second", nn::Linear(4, 2, {.bias = false}))) {}
  Var operator()(const Var& x) const { return scale * second(dropout(first(x))); }

  Var scale;
  nn::Dropout dropout;
  nn::Linear first, second;
};

/// Two layers with the same weights.
struct Tied : nn::Module {
  Tied() : a(child("a", nn::Linear(3, 3))), b(child("b", a)), alias(param("alias", a.W)) {}
  Var operator()(const Var& x) const { return b(a(x)); }

  nn::Linear a, b;
  Var alias;
};

TEST(Module, NamesParametersInTheOrderOfDeclaration) {
  const Net net;
  EXPECT_EQ(names(net), (std::vector<std::string>{"scale", "first.W", "first.b", "second.W"}));
  EXPECT_EQ(net.parameter_count(), 1 + 12 + 4 + 8);
  ASSERT_EQ(net.parameters().size(), 4U);
  EXPECT_TRUE(net.parameters()[1].is(net.first.W));
  EXPECT_EQ(names(nn::LSTM(2, 3, {.layers = 2, .bidirectional = true}))[3], "layer0_reverse.Wx");
}

TEST(Module, NamesTiedWeightsOnce) {
  const Tied tied;
  EXPECT_EQ(names(tied), (std::vector<std::string>{"a.W", "a.b"}));
  EXPECT_EQ(tied.parameter_count(), 12);
  EXPECT_TRUE(tied.alias.is(tied.b.W));
}

TEST(Module, RefusesASecondParameterOfOneNameAndWhatIsNoParameter) {
  struct Twice : nn::Module {
    Twice() {
      param("w", Tensor::zeros({1}));
      param("w", Tensor::zeros({1}));
    }
  };
  EXPECT_EQ(error_of([] { Twice(); }), "module: there are two parameters named 'w'");
  struct Constant : nn::Module {
    Constant() { param("w", Var(Tensor::zeros({1}))); }
  };
  EXPECT_EQ(error_of([] { Constant(); }), "module: 'w' must be a parameter");
}

TEST(Module, ACopySharesParametersAndMode) {
  Net net;
  const Net copy = net;
  net.scale.assign(Tensor({}, {3.0}));
  EXPECT_EQ(copy.scale.item(), 3.0);
  EXPECT_TRUE(copy.parameters()[1].is(net.first.W));
  net.eval();
  EXPECT_FALSE(copy.dropout.training());
}

TEST(Module, OneThatWasMovedFromSaysSo) {
  nn::LSTM net(3, 4);
  nn::LSTM taken = std::move(net);
  EXPECT_EQ(taken(Tensor::zeros({2, 1, 3})).outputs.shape(), (Shape{2, 1, 4}));
  EXPECT_THROW((void)net.training(), Error);
  EXPECT_THROW(net(Tensor::zeros({2, 1, 3})), Error);
  nn::Sequential model({nn::layers::Dense(2)});
  const nn::Sequential other = std::move(model);
  EXPECT_THROW(model(Tensor::zeros({2, 3})), Error);
  net = taken;
  EXPECT_TRUE(net.training());
  nn::AnyModule any([](const Var& x) { return x; });
  const nn::AnyModule other_any = std::move(any);
  EXPECT_EQ(error_of([&] { any(Tensor::zeros({1})); }), "module: it was moved from");
  nn::Layer layer = nn::layers::Dense(2);
  const nn::Layer other_layer = std::move(layer);
  EXPECT_EQ(error_of([&] { layer.make({3}); }), "layer: it was moved from");
}

TEST(Module, AModuleOfNoSizeNamesItself) {
  const auto at_least_1 = [](const auto& make, const std::string& size) {
    for (const Index n : {Index{0}, Index{-1}, std::numeric_limits<Index>::min()}) {
      EXPECT_EQ(error_of([&] { make(n); }),
                size + " is " + std::to_string(n) + ": it must be at least 1");
    }
    for (const Index n : {Index{1} << 61, std::numeric_limits<Index>::max()}) {
      EXPECT_EQ(error_of([&] { make(n); }),
                size + " is " + std::to_string(n) + ": it must be at most 9007199254740991");
    }
  };
  at_least_1([](Index n) { nn::Linear(n, n); }, "Linear: in");
  at_least_1([](Index n) { nn::Linear(2, n); }, "Linear: out");
  at_least_1([](Index n) { nn::LSTMCell(n, 2); }, "LSTMCell: input");
  at_least_1([](Index n) { nn::LSTMCell(2, n); }, "LSTMCell: hidden");
  at_least_1([](Index n) { nn::LSTM(2, n, {.layers = 2, .bidirectional = true}); },
             "LSTMCell: hidden");
  at_least_1([](Index n) { nn::GRUCell(n, 2); }, "GRUCell: input");
  at_least_1([](Index n) { nn::GRUCell(2, n); }, "GRUCell: hidden");
  at_least_1([](Index n) { nn::RNNCell(n, 2); }, "RNNCell: input");
  at_least_1([](Index n) { nn::RNNCell(2, n); }, "RNNCell: hidden");
  at_least_1([](Index n) { nn::Embedding(n, 2); }, "Embedding: vocabulary");
  at_least_1([](Index n) { nn::Embedding(2, n); }, "Embedding: width");
  at_least_1([](Index n) { const nn::LayerNorm norm(n); }, "LayerNorm: width");
  at_least_1([](Index n) { const nn::layers::Dense layer(n); }, "dense: units");
  at_least_1([](Index n) { const nn::layers::LSTM layer(n); }, "lstm: units");
  at_least_1([](Index n) { const nn::layers::GRU layer(n); }, "gru: units");
  at_least_1([](Index n) { const nn::layers::RNN layer(n); }, "rnn: units");
  at_least_1([](Index n) { nn::layers::Embedding(n, 2); }, "embedding: vocabulary");
  at_least_1([](Index n) { nn::layers::Embedding(2, n); }, "embedding: width");
  at_least_1([](Index n) { nn::per_gate(nn::glorot(), n, 2, 2); }, "per_gate: blocks");
  at_least_1([](Index n) { nn::per_gate(nn::glorot(), 2, 2, n); }, "per_gate: out");
  EXPECT_EQ(error_of([] { nn::per_gate(nn::glorot(), Index{1} << 50, 2, Index{1} << 50); }),
            "per_gate: 1125899906842624 blocks of (2,1125899906842624) are larger than any memory");
  for (const Index layers : {Index{-1}, std::numeric_limits<Index>::min()}) {
    EXPECT_EQ(error_of([&] { nn::LSTM(2, 3, {.layers = layers}); }),
              "recurrent: layers is " + std::to_string(layers) + ": it must be at least 1");
  }
  for (const Index layers : {Index{1} << 62, std::numeric_limits<Index>::max()}) {
    EXPECT_EQ(
        error_of([&] { nn::LSTM(2, 3, {.layers = layers, .bidirectional = true}); }),
        "recurrent: layers is " + std::to_string(layers) + ": so many are larger than any memory");
  }
}

TEST(Init, AMatrixWithoutElementsIsRefused) {
  const std::pair<const char*, nn::Initializer> inits[] = {
      {"glorot", nn::glorot()}, {"he", nn::he()}, {"orthogonal", nn::orthogonal()}};
  for (const auto& each : inits) {
    for (const Shape& shape : {Shape{0, 3}, Shape{3, 0}, Shape{-1, 3}, Shape{3, -1}}) {
      EXPECT_EQ(error_of([&] { each.second(shape); }),
                std::string(each.first) + ": the parameter is " + to_string(shape) +
                    ": it must be a matrix (in, out), both extents at least 1");
    }
  }
}

TEST(Module, ACloneSharesNothing) {
  Net net;
  net.first.b.set_trainable(false);
  net.first.W.add_grad(Tensor::full({3, 4}, 1));
  Net copy = clone(net);
  EXPECT_EQ(names(copy), names(net));
  for (std::size_t i = 0; i < net.parameters().size(); ++i) {
    EXPECT_FALSE(copy.parameters()[i].is(net.parameters()[i]));
    EXPECT_EQ(copy.parameters()[i].tensor().to_vector(), net.parameters()[i].tensor().to_vector());
  }
  // What the clone computes with is what it lists.
  EXPECT_TRUE(copy.first.W.is(copy.parameters()[1]));
  EXPECT_FALSE(copy.first.b.trainable());
  EXPECT_FALSE(copy.first.W.has_grad());
  net.scale.assign(Tensor({}, {3.0}));
  EXPECT_EQ(copy.scale.item(), 2.0);
  net.eval();
  EXPECT_TRUE(copy.dropout.training());
  copy.eval();
  copy.train();
  EXPECT_FALSE(net.dropout.training());
}

TEST(Module, ACloneOfTiedWeightsIsTied) {
  const Tied tied;
  const Tied copy = clone(tied);
  EXPECT_EQ(copy.named_parameters().size(), 2U);
  EXPECT_TRUE(copy.a.W.is(copy.b.W));
  EXPECT_TRUE(copy.a.W.is(copy.alias));
  EXPECT_FALSE(copy.a.W.is(tied.a.W));
}

TEST(Module, TheGradientsOfTiedWeightsAddUp) {
  const Tied tied;
  const Var x = Tensor({1, 3}, {1, -2, 0.5});
  const auto gradient = [&](const nn::Linear& first, const nn::Linear& second) {
    Tape tape;
    tape.backward(mse(second(first(x)), Var(Tensor::zeros({1, 3}))));
    std::vector<double> result = first.W.grad().to_vector();
    for (const Var& p : {first.W, first.b, second.W, second.b}) p.clear_grad();
    return result;
  };
  const nn::Linear a = clone(tied.a);
  const nn::Linear b = clone(tied.a);
  const std::vector<double> of_both = gradient(tied.a, tied.b);
  Tape tape;
  tape.backward(mse(b(a(x)), Var(Tensor::zeros({1, 3}))));
  // Two products of three terms and a bias, forward and back, on inputs of at most 2.
  const double bound = rounding_bound(DType::float32, 2 * 4 * (3 + 1), 2 * 2);
  for (std::size_t i = 0; i < of_both.size(); ++i) {
    EXPECT_NEAR(of_both[i], a.W.grad().to_vector()[i] + b.W.grad().to_vector()[i], bound);
  }
}

TEST(Module, FreezingExcludesFromTraining) {
  Net net;
  net.first.freeze();
  const Var x = Tensor::full({2, 3}, 1);
  {
    Tape tape;
    tape.backward(mse(net(x), Var(Tensor::zeros({2, 2}))));
  }
  EXPECT_FALSE(net.first.W.has_grad());
  EXPECT_FALSE(net.first.b.has_grad());
  EXPECT_TRUE(net.second.W.has_grad());
  const Index count = net.parameter_count();
  net.freeze();
  EXPECT_EQ(net.parameter_count(), count);
  for (const Var& p : net.parameters()) EXPECT_FALSE(p.trainable());
  net.freeze(false);
  for (const Var& p : net.parameters()) EXPECT_TRUE(p.trainable());
}

TEST(Init, EveryLayerTakesTheInitializersItIsGiven) {
  const auto all = [](const Var& p, double value) {
    return p.tensor().to_vector() == std::vector<double>(static_cast<std::size_t>(p.size()), value);
  };
  EXPECT_TRUE(all(nn::Embedding(4, 3, {.init = nn::constant(2)}).W, 2));
  const nn::Linear linear(3, 4, {.weight_init = nn::constant(2), .bias_init = nn::constant(3)});
  EXPECT_TRUE(all(linear.W, 2));
  EXPECT_TRUE(all(linear.b, 3));
  const nn::LSTMCell lstm(3, 4, {.input_init = nn::constant(1), .recurrent_init = nn::constant(2)});
  EXPECT_TRUE(all(lstm.Wx, 1));
  EXPECT_TRUE(all(lstm.Wh, 2));
  const nn::RNNCell rnn(3, 4, {.input_init = nn::constant(1), .recurrent_init = nn::constant(2)});
  EXPECT_TRUE(all(rnn.Wx, 1));
  EXPECT_TRUE(all(rnn.Wh, 2));
  for (const bool reset_after : {true, false}) {
    const nn::GRUCell gru(3, 4,
                          {.reset_after = reset_after,
                           .input_init = nn::constant(1),
                           .recurrent_init = nn::constant(2)});
    EXPECT_TRUE(all(gru.Wx, 1));
    EXPECT_TRUE(all(gru.Wh, 2));
  }
}

TEST(Dropout, APartBelowOneMayBeDropped) {
  EXPECT_NE(error_of([] { nn::Dropout(1); }), "no error");
  EXPECT_NE(error_of([] { nn::Dropout(-0.1); }), "no error");
  EXPECT_NE(error_of([] { nn::Dropout(std::nan("")); }), "no error");
}

TEST(Module, ConvertsAllParameters) {
  Net net;
  EXPECT_EQ(net.dtype(), DType::float32);
  const std::vector<double> before = net.first.W.tensor().to_vector();
  net.to(DType::float64);
  EXPECT_EQ(net.dtype(), DType::float64);
  for (const Var& p : net.parameters()) EXPECT_EQ(p.dtype(), DType::float64);
  EXPECT_EQ(net.first.W.tensor().to_vector(), before);
  EXPECT_EQ(net(Tensor::zeros({1, 3}, DType::float64)).dtype(), DType::float64);
  EXPECT_EQ(nn::Dropout(0.5).dtype(), DType::float32);
}

// The output layer is the embedding's table, transposed: a member that is a view.
struct TiedByView : nn::Module {
  TiedByView() : embedding(child("embedding", nn::Embedding(4, 2))), out(transpose(embedding.W)) {}
  Var operator()(const Indices& i) const { return matmul(embedding(i), out); }
  nn::Embedding embedding;
  Var out;
};

TEST(Module, AMemberThatIsAViewFollowsItsParameter) {
  TiedByView model;
  const Indices indices{0, 3};
  const auto check = [&](const TiedByView& m) {
    const Var expected = matmul(m.embedding(indices), transpose(m.embedding.W));
    EXPECT_EQ(m(indices).tensor().to_vector(), expected.tensor().to_vector());
  };
  const auto report = nn::gradcheck(
      model, [&](const std::vector<Var>&) { return std::vector<Var>{model(indices)}; }, {});
  EXPECT_TRUE(report) << report;
  check(model);
  model.embedding.W.assign(Tensor::full({4, 2}, 3));
  check(model);
  const TiedByView copy = clone(model);
  copy.embedding.W.assign(Tensor::full({4, 2}, 7));
  check(copy);
  check(model);
  model.to(DType::float64);
  check(model);
  optim::SGD sgd(model.parameters(), {.lr = 0.01});
  {
    Tape tape;
    tape.backward(sum(model(indices)));
  }
  sgd.step();
  check(model);
  model.to(DType::float32);
  check(model);
}

TEST(Module, TheModeReachesTheChildren) {
  Net net;
  EXPECT_TRUE(net.training());
  net.eval();
  EXPECT_FALSE(net.training());
  EXPECT_FALSE(net.dropout.training());
  net.train();
  EXPECT_TRUE(net.dropout.training());
  net.dropout.eval();  // a child alone
  EXPECT_TRUE(net.training());
}

TEST(Module, DropoutActsInTrainingModeOnly) {
  Net net;
  const Var x = Tensor::full({8, 3}, 1);
  EXPECT_NE(net(x).tensor().to_vector(), net(x).tensor().to_vector());
  net.eval();
  EXPECT_EQ(net(x).tensor().to_vector(), net(x).tensor().to_vector());
}

}  // namespace
