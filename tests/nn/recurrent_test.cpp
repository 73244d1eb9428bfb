#include <array>
#include <span>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

Tensor draw(const Shape& shape) {
  static Generator random(5);
  return random.normal(shape, 0, 1, DType::float64);
}

void expect_equal(const Var& a, const Var& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(a.tensor().to_vector(), b.tensor().to_vector());
}

/// Eight state members, no `project`, an output of its own.
struct WideCell : nn::Module {
  WideCell(Index input, Index hidden) : W(param("W", nn::glorot()({input, hidden}))) {}
  struct State {
    Var a, b, c, d, e, f, g, h;
  };
  State zero_state(Index batch) const {
    const Var z = Tensor::zeros({batch, W.shape()[1]}, dtype());
    return {z, z, z, z, z, z, z, z};
  }
  State step(const Var& x, const State& s) const {
    return {tanh(matmul(x, W) + s.h), s.a, s.b, s.c, s.d, s.e, s.f, s.g};
  }
  Var output(const State& s) const { return s.h * 2.0; }
  Var W;
};
static_assert(nn::RecurrentCell<WideCell>);
static_assert(nn::RecurrentCell<nn::LSTMCell>);
static_assert(!nn::RecurrentCell<nn::Linear>);

struct CountingCell {
  struct State {
    Var h;
    int steps;
  };
};
static_assert(nn::detail::HasOtherMembers<CountingCell>);
static_assert(!nn::detail::HasOtherMembers<WideCell>);

TEST(Recurrent, UnrollsACellOfTheUser) {
  nn::Recurrent<WideCell> net(2, 3);
  net.to(DType::float64);
  const Var x = draw({10, 2, 2});
  const auto [outputs, last] = net(x);
  const Var first = tanh(matmul(x[0], net.cells()[0].W));
  expect_equal(outputs[7], first * 2.0);  // it takes seven steps to reach h
  expect_equal(outputs[6], Var(Tensor::zeros({2, 3}, DType::float64)));
  expect_equal(net.final_output(last), outputs[9]);
  const auto report = nn::gradcheck(
      net, [&](const std::vector<Var>& in) { return std::vector<Var>{net(in[0]).outputs}; },
      {{"x", x}});
  EXPECT_TRUE(report) << report;
}

TEST(Recurrent, GoesOnWhereItEnded) {
  nn::LSTM lstm(3, 4, {.layers = 2});
  lstm.to(DType::float64);
  const Var x = draw({7, 2, 3});
  const auto whole = lstm(x);
  const auto first = lstm(slice(x, 0, 0, 3));
  const auto second = lstm(slice(x, 0, 3, 7), first.last);
  expect_equal(second.outputs, slice(whole.outputs, 0, 3, 7));
  expect_equal(second.last[1].c, whole.last[1].c);
}

TEST(Recurrent, DetachEndsTheGradient) {
  nn::LSTM lstm(3, 4);
  const Var x = parameter(Tensor::full({2, 1, 3}, 0.5), "x");
  Tape tape;
  const auto first = lstm(x);
  const auto second = lstm(Var(Tensor::full({2, 1, 3}, 0.25)), detach(first.last));
  tape.backward(sum(second.outputs));
  EXPECT_FALSE(x.has_grad());
  // Of every layer, and of every member of a state.
  nn::Recurrent<WideCell> wide(3, 4, {.layers = 2});
  Tape other;
  for (auto state : detach(wide(x).last)) {
    for (const Var* member : nn::members(state)) EXPECT_FALSE(member->requires_grad());
  }
}

/// Three members, of which the cell gives back the last.
struct TripleCell : nn::Module {
  TripleCell(Index input, Index hidden) : W(param("W", nn::glorot()({input, hidden}))) {}
  struct State {
    Var a, b, c;
  };
  State zero_state(Index batch) const {
    const Var z = Tensor::zeros({batch, W.shape()[1]}, dtype());
    return {z, z, z};
  }
  State step(const Var& x, const State& s) const { return {matmul(x, W), s.a, s.b + 0.5 * s.c}; }
  Var output(const State& s) const { return s.c; }
  Var W;
};

TEST(Recurrent, AStateOfThreeMembers) {
  nn::Recurrent<TripleCell> net(2, 3);
  net.to(DType::float64);
  const Var x = draw({5, 2, 2});
  // With lengths each row is what it is alone.
  const auto both = net(x, {}, {5, 3});
  const auto alone = net(slice(slice(x, 1, 1, 2), 0, 0, 3));
  expect_equal(slice(both.last[0].c, 0, 1, 2), alone.last[0].c);
  expect_equal(slice(both.last[0].b, 0, 1, 2), alone.last[0].b);
  const Tape tape;
  EXPECT_FALSE(detach(net(x).last)[0].c.requires_grad());
  EXPECT_EQ(gradcheck(net, x, {{draw({2, 3}), draw({2, 3}), draw({2, 3})}})["state0[2]"].verdict,
            Verdict::correct);
}

/// Throws in one of its steps.
struct TiringCell : TripleCell {
  using TripleCell::TripleCell;
  State step(const Var& x, const State& s) const {
    if (++*steps == 3) throw Error("too tired");
    return TripleCell::step(x, s);
  }
  std::shared_ptr<int> steps = std::make_shared<int>(0);
};

TEST(Recurrent, AnErrorInALaterStepNamesTheCell) {
  const nn::Recurrent<TiringCell> net(2, 3);
  EXPECT_EQ(error_of([&] { net(Tensor::zeros({5, 2, 2})); }), "recurrent: layer0: too tired");
}

TEST(Recurrent, LengthsAndCellsMustBeAsMany) {
  const nn::LSTM net(3, 4);
  EXPECT_EQ(error_of([&] {
              net(Tensor::zeros({2, 2, 3}), {}, {1, 2, 2});
            }),
            "recurrent: x is (2,2,3): 3 lengths for a batch of 2");
  const nn::LSTMCell cell(4, 4);
  EXPECT_EQ(error_of([&] {
              nn::LSTM({cell, cell, cell}, {.layers = 2});
            }),
            "recurrent: 3 cells for 2 layers: there must be 2");
  EXPECT_NE(error_of([&] { nn::LSTM({cell}, {.layers = 2}); }), "no error");
}

TEST(Recurrent, TakesLengthsAndAStateAsTheyAreTyped) {
  const nn::LSTM net(3, 4);
  const Var x = draw({5, 3, 3}).to(DType::float32);
  const Var h = draw({3, 4}).to(DType::float32);
  const Var c = draw({3, 4}).to(DType::float32);
  const std::vector<Index> lengths{5, 1, 3};
  const Var expected = net(x, nn::LSTM::State{h, c}, lengths).outputs;
  expect_equal(net(x, {h, c}, {5, 1, 3}).outputs, expected);
  expect_equal(net(x, {{h, c}}, std::vector<int>{5, 1, 3}).outputs, expected);
  expect_equal(net(x, {h * 1, c * 1}, std::array<short, 3>{5, 1, 3}).outputs, expected);
  expect_equal(net(x, {h, c}, std::span<const Index>(lengths)).outputs, expected);
  expect_equal(net(x, {h, c}, {}).outputs, net(x, {h, c}).outputs);
  expect_equal(net(x, {}, {5, 5, 5}).outputs, net(x).outputs);
  const nn::RNN two_layers(3, 4, {.layers = 2});
  expect_equal(two_layers(x, {{h}, {c}}).outputs, two_layers(x, nn::RNN::States{{h}, {c}}).outputs);
  nn::LSTM checked(3, 4);
  EXPECT_TRUE(gradcheck(checked, x, {{h, c}}, {5, 1, 3}, {.fast = true}));
}

TEST(Recurrent, DropoutActsBetweenLayersWhileTraining) {
  nn::LSTM one(3, 4, {.layers = 1, .dropout = 0.5});
  nn::LSTM two(3, 4, {.layers = 2, .dropout = 0.5});
  const Var x = draw({4, 2, 3}).to(DType::float32);
  expect_equal(one(x).outputs, one(x).outputs);
  EXPECT_NE(two(x).outputs.tensor().to_vector(), two(x).outputs.tensor().to_vector());
  const auto step = [&] {
    nn::LSTM::States states = two.zero_state(2);
    return two.step(x[0], states);
  };
  EXPECT_NE(step().tensor().to_vector(), step().tensor().to_vector());
  two.eval();
  expect_equal(two(x).outputs, two(x).outputs);
  expect_equal(step(), step());
}

TEST(Recurrent, NamesItsParameters) {
  const nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true});
  std::vector<std::string> names;
  for (const auto& p : lstm.named_parameters()) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "layer0.Wx", "layer0.Wh", "layer0.b", "layer0_reverse.Wx",
                       "layer0_reverse.Wh", "layer0_reverse.b", "layer1.Wx", "layer1.Wh",
                       "layer1.b", "layer1_reverse.Wx", "layer1_reverse.Wh", "layer1_reverse.b"}));
  EXPECT_EQ(lstm.cells()[2].Wx.shape(), (Shape{8, 16}));
}

TEST(Recurrent, CloneHasItsOwnCells) {
  const nn::LSTM lstm(3, 4);
  const nn::LSTM shared = lstm;
  const nn::LSTM copy = clone(lstm);
  const Var x = draw({2, 1, 3}).to(DType::float32);
  const std::vector<double> before = lstm(x).outputs.tensor().to_vector();
  EXPECT_EQ(copy(x).outputs.tensor().to_vector(), before);
  lstm.cells()[0].b.assign(Tensor::full({16}, 0.5));
  EXPECT_NE(shared(x).outputs.tensor().to_vector(), before);
  EXPECT_EQ(copy(x).outputs.tensor().to_vector(), before);
  EXPECT_TRUE(copy.parameters()[0].is(copy.cells()[0].Wx));
}

TEST(Recurrent, Errors) {
  nn::LSTM lstm(3, 4, {.layers = 2});
  const auto zeros = [](const Shape& shape) { return Var(Tensor::zeros(shape)); };
  EXPECT_EQ(error_of([&] {
              lstm(zeros({2, 3}));
            }),
            "recurrent: x is (2,3): it must be (steps, batch, features)");
  EXPECT_EQ(error_of([&] {
              lstm(zeros({0, 2, 3}));
            }),
            "recurrent: x is (0,2,3): it must have at least one step");
  EXPECT_EQ(error_of([&] {
              lstm(zeros({2, 2, 3}), nn::LSTM::State{zeros({2, 4}), zeros({2, 4})});
            }),
            "recurrent: 1 states for 2 cells");
  EXPECT_EQ(
      error_of([&] {
        lstm(zeros({7, 5, 3}), lstm.zero_state(2));
      }),
      "recurrent: x is (7,5,3) of float32, member 0 of the state of layer0 is (2,4) of float32: "
      "it must be (5,4) of float32");
  const std::vector<Index> one{1}, long_one{1, 3}, negative{-1, 1};
  EXPECT_EQ(error_of([&] {
              lstm(zeros({2, 2, 3}), {}, one);
            }),
            "recurrent: x is (2,2,3): 1 lengths for a batch of 2");
  EXPECT_EQ(error_of([&] {
              lstm(zeros({2, 2, 3}), {}, long_one);
            }),
            "recurrent: x is (2,2,3): the length 3 must be from 0 to 2");
  EXPECT_EQ(error_of([&] {
              lstm(zeros({2, 2, 3}), {}, negative);
            }),
            "recurrent: x is (2,2,3): the length -1 must be from 0 to 2");
  EXPECT_EQ(error_of([&] { nn::LSTM(3, 4, {.layers = 0}); }),
            "recurrent: layers is 0: it must be at least 1");
  EXPECT_EQ(error_of([&] { nn::LSTM(3, 4, {.bidirectional = true, .reverse = true}); }),
            "recurrent: bidirectional and reverse: both directions have the reverse one");
  EXPECT_EQ(
      error_of([&] {
        lstm(zeros({2, 2, 5}));
      }),
      "recurrent: layer0: affine: x is (2,2,5), W is (3,16), b is (16): they must be (...,I), "
      "(I,O) and (O) or (...,O)");
}

TEST(Recurrent, AWrongStateIsNamedMemberByMember) {
  nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true});
  const Var x = Tensor::zeros({7, 5, 3});
  const std::string begin = "recurrent: x is (7,5,3) of float32, member 1 of the state of ";
  const std::string rule = ": it must be (5,4) of float32";
  const auto error_with = [&](const Var& wrong) {
    auto states = lstm.zero_state(5);
    states[3].c = wrong;
    return error_of([&] { lstm(x, states); });
  };
  EXPECT_EQ(error_with(Tensor::zeros({1, 4})),  // which would broadcast
            begin + "layer1_reverse is (1,4) of float32" + rule);
  EXPECT_EQ(error_with(Tensor::zeros({5, 1})),  // and so would this
            begin + "layer1_reverse is (5,1) of float32" + rule);
  EXPECT_EQ(error_with(Tensor::zeros({5, 3})),
            begin + "layer1_reverse is (5,3) of float32" + rule +
                " (multiply: a is (5,4), b is (5,3): the extents of each axis, aligned at the "
                "right, must be equal or 1)");
  EXPECT_EQ(error_with(Tensor::zeros({})), begin + "layer1_reverse is () of float32" + rule);
  EXPECT_EQ(error_with(Tensor::zeros({5, 4}, DType::float64)),
            begin + "layer1_reverse is (5,4) of float64" + rule);
  EXPECT_EQ(error_with(Var()), begin + "layer1_reverse is undefined" + rule);
  nn::LSTM one(3, 4);
  auto states = one.zero_state(1);
  EXPECT_EQ(
      error_of([&] { one.step(x[0], states); }),
      "recurrent: x is (5,3) of float32, member 0 of the state of layer0 is (1,4) of float32" +
          rule);
}

// Its extents are the caller's, which zero_state cannot know.
TEST(Recurrent, AMemberThatTheCellPassesOnMayHaveAnyExtents) {
  struct Reader : nn::Module {
    struct State {
      Var h, memory;
    };
    State zero_state(Index batch) const {
      return {Tensor::zeros({batch, 2}), Tensor::zeros({batch, 1, 2})};
    }
    State step(const Var& x, const State& s) const { return {x + sum(s.memory, {1}), s.memory}; }
  };
  const nn::Recurrent<Reader> net({Reader()});
  const Reader::State given{Tensor::zeros({3, 2}), Tensor::full({3, 5, 2}, 1)};
  const std::vector<Index> lengths{2, 1, 0};
  const auto [outputs, last] = net(Tensor::zeros({2, 3, 2}), given, lengths);
  EXPECT_EQ(outputs.tensor().to_vector(),
            (std::vector<double>{5, 5, 5, 5, 0, 0, 5, 5, 0, 0, 0, 0}));
  EXPECT_EQ(last[0].memory.shape(), (Shape{3, 5, 2}));
}

TEST(Recurrent, AWeightOfAnotherDtypeIsNamed) {
  const Var x = Tensor::zeros({2, 5, 3});
  const Tape tape;
  nn::LSTMCell lstm(3, 4);
  lstm.Wh = Var(parameter(Tensor::zeros({4, 16}, DType::float64)) * 2.0);
  const std::string rule = ", x is float32: they must have one dtype";
  EXPECT_EQ(error_of([&] { nn::LSTM({lstm})(x); }),
            "recurrent: layer0: lstm_cell: Wh is float64" + rule);
  nn::GRUCell gru(3, 4);
  gru.bh = Var(parameter(Tensor::zeros({12}, DType::float64)) * 2.0);
  EXPECT_EQ(error_of([&] { nn::GRU({gru}, {.reverse = true})(x); }),
            "recurrent: layer0_reverse: gru_cell: bh is float64" + rule);
  nn::RNNCell rnn(3, 4);
  rnn.Wx = Var(parameter(Tensor::zeros({3, 4}, DType::float64)) * 2.0);
  EXPECT_EQ(error_of([&] { nn::Recurrent<nn::RNNCell>({rnn})(x); }),
            "recurrent: layer0: rnn_cell: Wx is float64" + rule);
  // All of another dtype are a cell of that dtype, whatever the declared parameters are.
  nn::LSTMCell all(3, 4);
  for (Var* w : {&all.Wx, &all.Wh, &all.b}) {
    *w = Var(parameter(Tensor::zeros(w->shape(), DType::float64)) * 2.0);
  }
  EXPECT_EQ(nn::LSTM({all})(x.tensor().to(DType::float64)).outputs.dtype(), DType::float64);
}

TEST(Recurrent, AStateWithoutABatchAxisHasNoLengths) {
  struct Clock : nn::Module {
    struct State {
      Var h, time;
    };
    Var project(const Var& x) const { return x; }
    State zero_state(Index batch) const { return {Tensor::zeros({batch, 2}), Tensor::zeros({})}; }
    State step(const Var& x, const State& s) const { return {s.h + x * s.time, s.time + 1}; }
  };
  const nn::Recurrent<Clock> clock({Clock()});
  const Var x = Tensor::full({3, 2, 2}, 1);
  EXPECT_EQ(clock(x).last[0].h.tensor().to_vector(), std::vector<double>(4, 3));
  EXPECT_EQ(error_of([&] {
              clock(x, {}, std::vector<Index>{3, 1});
            }),
            "recurrent: a member of the state is a single number: with lengths each sequence must "
            "have its own, in a first axis");
}

// -- initial values -------------------------------------------------------------------------------

TEST(Init, GatesAreOrthogonalBlocks) {
  seed(1);
  const nn::LSTMCell cell(3, 6);
  // Orthogonal to the rounding of each entry, and the product's sums of six terms.
  const double bound = testing::rounding_bound(DType::float32, 2 + 6);
  for (Index gate = 0; gate < 4; ++gate) {
    const Var block = slice(cell.Wh, 1, gate * 6, gate * 6 + 6);
    const std::vector<double> product = matmul(transpose(block), block).tensor().to_vector();
    for (std::size_t i = 0; i < 36; ++i) EXPECT_NEAR(product[i], i % 7 == 0 ? 1 : 0, bound);
  }
}

TEST(Init, ForgetBiasStartsAtOne) {
  const std::vector<double> b = nn::LSTMCell(2, 2).b.tensor().to_vector();
  EXPECT_EQ(b, (std::vector<double>{0, 0, 1, 1, 0, 0, 0, 0}));
  const nn::LSTM plain(2, 2, {}, nn::LSTMCellOptions{.forget_bias = 0});
  EXPECT_EQ(plain.cells()[0].b.tensor().to_vector(), std::vector<double>(8, 0));
}

/// How the numbers of a large tensor are distributed.
struct Moments {
  double mean = 0;
  double deviation = 0;
  double largest = 0;
};
Moments moments(const Tensor& x) {
  Moments m;
  const std::vector<double> values = x.to_vector();
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n;
  for (const double v : values) {
    m.deviation += (v - m.mean) * (v - m.mean) / n;
    m.largest = std::max(m.largest, std::abs(v));
  }
  m.deviation = std::sqrt(m.deviation);
  return m;
}

TEST(Init, MeansAndDeviationsAreTheNamedOnes) {
  const double at_least = 0.98;  // of the limit, which one of so many uniform numbers comes closer
  struct Case {
    const char* name;
    nn::Initializer init;
    double deviation;
    double limit;  ///< 0: none
  };
  const Index in = 60, out = 140;
  const double glorot = std::sqrt(6.0 / (in + out));
  const Case cases[] = {
      {"uniform", nn::uniform(0.3), 0.3 / std::sqrt(3.0), 0.3},
      {"normal", nn::normal(0.05), 0.05, 0},
      {"glorot", nn::glorot(), glorot / std::sqrt(3.0), glorot},
      {"he", nn::he(), std::sqrt(2.0 / in), 0},
      // Orthonormal rows of `out` numbers.
      {"orthogonal", nn::orthogonal(), 1 / std::sqrt(static_cast<double>(out)), 0},
  };
  seed(2);
  for (const Case& each : cases) {
    const Moments m = moments(each.init({in, out}));
    const double n = in * out;
    // Six standard deviations of the two estimates, which for normal numbers are the largest.
    EXPECT_NEAR(m.mean, 0, 6 * each.deviation / std::sqrt(n)) << each.name;
    EXPECT_NEAR(m.deviation, each.deviation, 6 * each.deviation / std::sqrt(2 * n)) << each.name;
    if (each.limit > 0) {
      EXPECT_LE(m.largest, each.limit) << each.name;
      EXPECT_GT(m.largest, at_least * each.limit) << each.name;
    } else {
      EXPECT_GT(m.largest, 3 * each.deviation) << each.name;
    }
  }
  EXPECT_EQ(error_of([] { nn::glorot()({3}); }),
            "glorot: the parameter is (3): it must be a matrix (in, out)");
}

TEST(Init, EachGateIsDrawnOnItsOwn) {
  seed(2);
  const Var gates = nn::per_gate(nn::glorot(), 2, 5, 7);
  EXPECT_EQ(gates.shape(), (Shape{5, 14}));
  EXPECT_NE(slice(gates, 1, 0, 7).tensor().to_vector(),
            slice(gates, 1, 7, 14).tensor().to_vector());
  // Of one gate's extents: sqrt(6 / (5 + 7)), where all of (5, 14) would stay below 0.57.
  EXPECT_GT(moments(gates.tensor()).largest, std::sqrt(6.0 / 19));
}

TEST(Init, AnInitializersShapeIsChecked) {
  const nn::Initializer all_gates = [](const Shape&) { return Tensor::zeros({3, 20}); };
  const std::string rule = "init: the initializer gave (3,20) for a parameter of ";
  EXPECT_EQ(error_of([&] { nn::LSTMCell(3, 5, {.input_init = all_gates}); }), rule + "(3,5)");
  EXPECT_EQ(error_of([&] { nn::Linear(3, 5, {.bias_init = all_gates}); }), rule + "(5)");
}

TEST(Init, TheSameSeedGivesTheSameModel) {
  seed(9);
  const nn::GRU a(3, 4);
  seed(9);
  const nn::GRU b(3, 4);
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    expect_equal(a.parameters()[i], b.parameters()[i]);
  }
}

}  // namespace
}  // namespace xgrad
