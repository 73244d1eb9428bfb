#include <limits>
#include <optional>
#include <sstream>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// An Elman cell that in one step multiplies its state by e^1000, or adds a square root of zero,
/// whose derivative is infinite.
struct PlantedCell : nn::Module {
  enum class Fault { none, forward, backward };

  PlantedCell(Index input, Index hidden)
      : Wx(param("Wx", nn::glorot()({input, hidden}))),
        Wh(param("Wh", nn::glorot()({hidden, hidden}))),
        b(param("b", Tensor::zeros({hidden}))) {}

  struct State {
    Var h;
  };
  State zero_state(Index batch) const {
    calls = 0;
    return {Tensor::zeros({batch, Wh.shape()[0]}, dtype())};
  }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& z, const State& s) const {
    const bool now = calls++ == at;
    const Var h = z + matmul(s.h, Wh);
    const Var zero = Tensor::zeros(h.shape(), h.dtype());
    if (now && fault == Fault::forward) return {tanh(h) * exp(zero + 1000.0)};
    if (now && fault == Fault::backward) return {tanh(h) + sqrt(zero * h)};
    return {tanh(h)};
  }

  Var Wx, Wh, b;
  Fault fault = Fault::none;
  int at = -1;
  mutable int calls = 0;
};

struct Model : nn::Module {
  Model(Index layers, bool bidirectional)
      : rnn(child("rnn", nn::Recurrent<PlantedCell>(
                             3, 4, {.layers = layers, .bidirectional = bidirectional}))),
        head(child("head", nn::Linear(bidirectional ? 8 : 4, 1))) {}
  Var operator()(const Var& x, std::span<const Index> lengths = {}) const {
    return mean(head(rnn(x, {}, lengths).outputs));
  }
  nn::Recurrent<PlantedCell> rnn;
  nn::Linear head;
};

/// A model with a fault in that cell when it has made `at` steps.
Model planted(PlantedCell::Fault fault, std::size_t cell, int at, Index layers,
              bool bidirectional = false) {
  Model model(layers, bidirectional);
  auto& cells = const_cast<std::vector<PlantedCell>&>(model.rnn.cells());
  cells[cell].fault = fault;
  cells[cell].at = at;
  return model;
}

std::optional<NonFiniteError> found_in(const std::function<void()>& f) {
  try {
    f();
  } catch (const NonFiniteError& error) {
    return error;
  }
  return std::nullopt;
}

void train(const Model& model, const Var& x, TapeMode mode = TapeMode::fast,
           std::span<const Index> lengths = {}) {
  Tape tape(mode);
  tape.backward(model(x, lengths));
}

TEST(FlightRecorder, NamesAnInfAtTimeStep37OfLayer2) {
  const Model model = planted(PlantedCell::Fault::forward, 2, 37, 4);
  const Var x = Generator(1).normal({50, 2, 3}, 0, 1);
  FlightRecorder recorder;
  recorder.name(model, "net");
  const auto error = found_in([&] { train(model, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->pass, NonFinite::Pass::forward);
  EXPECT_EQ(error->cause, NonFinite::Cause::op);
  EXPECT_EQ(error->op, "exp");
  EXPECT_EQ(error->place.path, "net.rnn.layer2");
  EXPECT_EQ(error->place.layer, 2);
  EXPECT_EQ(error->place.step, 37);
  EXPECT_FALSE(error->place.reverse);
  EXPECT_STREQ(error->what(),
               "forward: exp turned finite inputs into inf in 'net.rnn.layer2' at layer 2, step "
               "37, fused in tanh(a) * exp(b + 1000): b + 1000, (2,4) in [1000, 1000]; the result "
               "is (2,4) of 8 inf, the first at (0,0)");
}

TEST(FlightRecorder, NamesWhatIsNaNInTheBackwardPassOnly) {
  const Var x = Generator(1).normal({50, 2, 3}, 0, 1);
  const Model model = planted(PlantedCell::Fault::backward, 2, 37, 4);
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    FlightRecorder recorder;
    recorder.name(model);
    const auto error = found_in([&] { train(model, x, mode); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->pass, NonFinite::Pass::backward);
    EXPECT_EQ(error->op, "sqrt");
    EXPECT_EQ(error->place.path, "rnn.layer2");
    EXPECT_EQ(error->place.layer, 2);
    EXPECT_EQ(error->place.step, 37);
    EXPECT_EQ(error->expression, "tanh(a) + sqrt(b * c)");
    EXPECT_EQ(error->inputs[1].name, "b * c");
  }
  for (const Var& p : model.parameters()) EXPECT_FALSE(p.has_grad());
}

TEST(FlightRecorder, TheReverseDirectionCountsTheStepsOfX) {
  const Model model = planted(PlantedCell::Fault::forward, 3, 12, 2, true);
  const Var x = Generator(1).normal({50, 2, 3}, 0, 1);
  const FlightRecorder recorder;  // which knows no names
  const auto error = found_in([&] { train(model, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->place.path, "");
  EXPECT_EQ(error->place.scopes, "layer 1, reverse, step 37");
  EXPECT_EQ(error->place.layer, 1);
  EXPECT_EQ(error->place.step, 37);
  EXPECT_TRUE(error->place.reverse);
}

TEST(FlightRecorder, TheReverseDirectionAloneIsNamedToo) {
  nn::RNN net(3, 4, {.reverse = true});
  net.cells()[0].Wh.assign(Tensor::full({4, 4}, 3e38));
  const FlightRecorder recorder;
  const auto error = found_in([&] {
    const Tape tape;
    net(Generator(1).normal({6, 2, 3}, 0, 1));
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->place.scopes, "layer 0, reverse, step 4");
  EXPECT_TRUE(error->place.reverse);
}

TEST(FlightRecorder, TheProjectionIsInNoStep) {
  std::vector<double> values(50 * 2 * 3, 0.5);
  values[100] = inf;
  const Model model(2, true);
  const Var x = Tensor({50, 2, 3}, values).to(DType::float32);
  FlightRecorder recorder;
  recorder.name(model);
  const auto error = found_in([&] { train(model, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "affine");
  EXPECT_EQ(error->cause, NonFinite::Cause::given);
  EXPECT_EQ(error->place.scopes, "layer 0");
  EXPECT_EQ(error->place.path, "rnn.layer0");
  EXPECT_EQ(error->place.step, -1);
  EXPECT_EQ(error->inputs[0].range.infinities, 1);
}

/// Whose initial state is learned: e^start.
struct LearnedStartCell : PlantedCell {
  LearnedStartCell(Index input, Index hidden)
      : PlantedCell(input, hidden), start(param("start", Tensor::zeros({hidden}))) {}
  State zero_state(Index batch) const { return {broadcast_to(exp(start), {batch, Wh.shape()[0]})}; }
  State step(const Var& z, const State& s) const { return PlantedCell::step(z, s); }

  Var start;
};

TEST(FlightRecorder, AnInitialStateIsInItsLayer) {
  const nn::Recurrent<LearnedStartCell> rnn(3, 4, {.layers = 2});
  rnn.cells()[1].start.assign(Tensor::full({4}, 1000));
  FlightRecorder recorder;
  recorder.name(rnn, "rnn");
  const auto error = found_in([&] {
    Tape tape;
    rnn(Tensor::zeros({5, 2, 3}));
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "exp");
  EXPECT_EQ(error->place.scopes, "layer 1");
  EXPECT_EQ(error->place.path, "rnn.layer1");
}

TEST(FlightRecorder, AParameterThatIsBroken) {
  const Model model(3, false);
  const auto& b = model.rnn.cells()[1].b;
  b.assign(Tensor({4}, {0, 1, inf, 2}));
  FlightRecorder recorder;
  recorder.name(model);
  const auto error = found_in([&] { train(model, Tensor::zeros({5, 2, 3})); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->place.path, "rnn.layer1");
  EXPECT_EQ(error->inputs[0].name, "input 2, parameter 'rnn.layer1.b'");
}

TEST(FlightRecorder, PathsWithoutLayers) {
  const Model model(1, false);
  model.head.W.assign(Tensor::full({4, 1}, 3e38));
  FlightRecorder recorder;
  recorder.name(model, "net");
  model.head.b.assign(Tensor::full({1}, 3e38));
  const Var x = Tensor::full({5, 2, 4}, 100);
  const auto error = found_in([&] {
    const Tape tape;
    model.head(x);
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->place.path, "net.head");
  EXPECT_EQ(error->place.scopes, "");
}

TEST(FlightRecorder, RaggedSequences) {
  // What lies behind the end of a sequence does not matter, not even to a recorder.
  std::vector<double> values(6 * 2 * 3, 0.5);
  for (std::size_t i = 0; i < 3; ++i) values[5 * 6 + i] = inf;  // the first row, in the last step
  const Var x = Tensor({6, 2, 3}, values).to(DType::float32);
  const std::vector<Index> lengths{4, 6};
  const Model model(2, true);
  FlightRecorder recorder;
  EXPECT_FALSE(found_in([&] { train(model, x, TapeMode::fast, lengths); }));
  EXPECT_EQ(recorder.gradient_norms().size(), 6u * 2 * 2);
}

// -- statistics -----------------------------------------------------------------------------------

TEST(FlightRecorder, GradientNormsAreThoseOfTheStates) {
  constexpr Index T = 5;
  const nn::LSTM lstm(3, 4);
  const Var x = Generator(2).normal({T, 2, 3}, 0, 1);
  std::vector<double> expected;
  {
    const Tape tape;
    const nn::LSTMCell& cell = lstm.cells()[0];
    const Var xs = cell.project(x);
    auto s = cell.zero_state(2);
    std::vector<Var> states, outputs;
    for (Index t = 0; t < T; ++t) {
      s = cell.step(xs[t], s);
      outputs.push_back(s.h);
      states.push_back(s.h);
      states.push_back(s.c);
    }
    const Var ys = stack(outputs);
    for (const Var& g : grad(sum(ys * ys), states)) expected.push_back(detail::norm(g.tensor()));
  }
  const double roundings = 2 * testing::recurrent_roundings(T, 3 + 4);
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    FlightRecorder recorder;
    recorder.name(lstm);
    Tape tape(mode);
    const Var ys = lstm(x).outputs;
    tape.backward(sum(ys * ys));
    const auto rows = recorder.gradient_norms();
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(rows[i].norm, expected[i], testing::rounding_bound(DType::float32, roundings))
          << i;
      EXPECT_EQ(rows[i].place.layer, 0);
      EXPECT_EQ(rows[i].place.step, static_cast<Index>(i / 2));
      EXPECT_EQ(rows[i].state, static_cast<Index>(i % 2));
      EXPECT_EQ(rows[i].place.path, "layer0");
    }
  }
}

TEST(FlightRecorder, GradientNormsInBothDirections) {
  const Model model(2, true);
  FlightRecorder recorder;
  train(model, Generator(1).normal({3, 2, 3}, 0, 1));
  std::string order;
  for (const GradientNorm& row : recorder.gradient_norms()) {
    order += row.place.scopes + "; ";
    EXPECT_GT(row.norm, 0);
  }
  EXPECT_EQ(order,
            "layer 0, step 0; layer 0, step 1; layer 0, step 2; "
            "layer 0, reverse, step 2; layer 0, reverse, step 1; layer 0, reverse, step 0; "
            "layer 1, step 0; layer 1, step 1; layer 1, step 2; "
            "layer 1, reverse, step 2; layer 1, reverse, step 1; layer 1, reverse, step 0; ");
}

TEST(FlightRecorder, SaturationOfAnLstmsGates) {
  const nn::LSTM lstm(3, 4, {.layers = 2});
  for (const nn::LSTMCell& cell : lstm.cells()) {
    std::vector<double> b(16, 0.0);
    std::fill_n(b.begin(), 4, -50.0);      // i
    std::fill_n(b.begin() + 4, 2, 50.0);   // f, half of them
    std::fill_n(b.begin() + 12, 4, 50.0);  // o
    cell.b.assign(Tensor({16}, b).to(DType::float32));
  }
  FlightRecorder recorder;
  recorder.name(lstm, "lstm");
  const Tape tape;
  lstm(Tensor::zeros({3, 2, 3}));
  const auto rows = recorder.saturations();
  ASSERT_EQ(rows.size(), 2u * 3 * 5);
  const struct {
    const char* activation;
    double low, high;
  } expected[] = {{"sigmoid(a)", 0, 0.5},  // f
                  {"sigmoid(c)", 1, 0},    // i
                  {"tanh(d)", 0, 0},       // g
                  {"sigmoid(a)", 0, 1},    // o
                  {"tanh(b)", 0, 0}};      // c
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [activation, low, high] = expected[i % 5];
    EXPECT_EQ(rows[i].activation, activation);
    EXPECT_EQ(rows[i].low, low);
    EXPECT_EQ(rows[i].high, high);
    EXPECT_EQ(rows[i].samples, 8);
    EXPECT_EQ(rows[i].place.path, i < 15 ? "lstm.layer0" : "lstm.layer1");
    EXPECT_EQ(rows[i].place.step, static_cast<Index>(i / 5 % 3));
  }
  std::ostringstream text;
  text << recorder;
  EXPECT_NE(text.str().find("saturation of sigmoid(c) in sigmoid(a) * b + sigmoid(c) * tanh(d), "
                            "lstm.layer1 (layer 1): 100 % low, 0 % high\n"),
            std::string::npos)
      << text.str();
}

// -- the bits ---------------------------------------------------------------------------------

TEST(FlightRecorder, ChangesNoBit) {
  const auto trained = [](bool recorded) {
    seed(5);
    nn::Recurrent<nn::GRUCell> gru(3, 17, {.layers = 2, .bidirectional = true, .dropout = 0.2});
    optim::SGD sgd(gru.parameters(), {.lr = 0.1});
    std::optional<FlightRecorder> recorder;
    if (recorded) recorder.emplace(FlightRecorderOptions{.sample_every = 2}).name(gru);
    const Var x = Generator(6).normal({7, 5, 3}, 0, 1);
    const std::vector<Index> lengths{7, 3, 5, 1, 7};
    for (int i = 0; i < 5; ++i) {
      Tape tape;
      const Var ys = gru(x, {}, lengths).outputs;
      tape.backward(mean(ys * ys));
      sgd.step();
    }
    std::vector<std::vector<double>> values;
    for (const Var& p : gru.parameters()) values.push_back(p.tensor().to_vector());
    return values;
  };
  EXPECT_EQ(trained(true), trained(false));
}

// -- models that train themselves -----------------------------------------------------------------

TEST(FlightRecorder, WatchesFitAndNamesSequentialsLayers) {
  nn::Sequential model({nn::layers::LSTM(4), nn::layers::Dense(1)});
  std::vector<double> values(8 * 6 * 2, 0.25);
  const Tensor x = Tensor({8, 6, 2}, values).to(DType::float32);
  values.resize(8);
  values[5] = inf;
  const Tensor y = Tensor({8, 1}, values).to(DType::float32);
  model.build({6, 2});
  FlightRecorder recorder;
  recorder.name(model);
  const auto error = found_in([&] { nn::fit(model, x, y, {.epochs = 1}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->cause, NonFinite::Cause::given);
  EXPECT_EQ(error->place.scopes, "");  // the loss
  const auto rows = recorder.gradient_norms();
  ASSERT_EQ(rows.size(), 12u);
  EXPECT_EQ(rows[0].place.scopes, "lstm_0, layer 0, step 0");
  EXPECT_EQ(rows[0].place.path, "lstm_0.layer0");
}

TEST(FlightRecorder, AnErrorWithinALayerKeepsItsTypeAndTheModelItsLastGoodParameters) {
  nn::Sequential model({nn::layers::Dense(1), [](const Var& x) { return Var(x * x); }});
  const Tensor x = Tensor::full({4, 2}, 1), y = Tensor::full({4, 1}, 0);
  const auto values = [&] { return model.parameters()[0].tensor().to_vector(); };
  seed(1);
  model.build({2});
  const std::vector<double> before = values();
  FlightRecorder recorder;
  recorder.name(model);
  const auto error = found_in(
      [&] { nn::fit(model, x, y, {.epochs = 9, .optimizer = optim::SGDOptions{.lr = 1e30}}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->place.scopes, "function_1");
  EXPECT_EQ(values(), before);
}

TEST(WriteDot, OfARecurrentNet) {
  const Model model(2, true);
  FlightRecorder recorder;
  recorder.name(model);
  const Tape tape;
  model(Tensor::zeros({2, 1, 3}));
  std::ostringstream out;
  write_dot(out, tape);
  const std::string text = out.str();
  EXPECT_NE(text.find("label=\"layer 1\""), std::string::npos);
  EXPECT_NE(text.find("label=\"reverse\""), std::string::npos);
  EXPECT_NE(text.find("label=\"step 1\""), std::string::npos);
  EXPECT_NE(text.find("rnn.layer1_reverse.Wh\\n(4,4) in ["), std::string::npos);
}

}  // namespace
}  // namespace xgrad
