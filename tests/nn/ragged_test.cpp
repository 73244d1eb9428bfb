// Sequences of different lengths: each row is what it is alone, whatever lies behind its end.

#include <limits>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

void expect_near(const std::vector<double>& a, const std::vector<double>& b,
                 const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double largest = 1;
  for (const double x : b) largest = std::max(largest, std::abs(x));
  // Both ways, two layers, of which the second reads both directions, and what the parameters sum
  // over 25 steps and rows.
  const double roundings = 2 * 2 * 25 * testing::recurrent_roundings(5, 8 + 4);
  const double bound = testing::rounding_bound(DType::float64, roundings, largest);
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], bound) << what << " " << i;
}

/// Equations that are singular at 0 and undefined below.
struct SingularCell : nn::Module {
  SingularCell(Index input, Index hidden)
      : Wx(param("Wx", nn::glorot()({input, hidden}))),
        Wh(param("Wh", nn::orthogonal()({hidden, hidden}))) {}
  struct State {
    Var h;
  };
  State zero_state(Index batch) const { return {Tensor::full({batch, Wh.shape()[0]}, 1, dtype())}; }
  State step(const Var& x, const State& s) const {
    const Var norm = sqrt(sum(s.h * s.h, {1}, {.keep = true}));
    return {2.0 + tanh(matmul(Var(log(x)), Wx) + matmul(Var(s.h / norm), Wh)) + sqrt(s.h)};
  }
  Var Wx, Wh;
};

/// The same of what is projected for all steps at once, with an output and a learned initial state.
struct ProjectingCell : SingularCell {
  ProjectingCell(Index input, Index hidden)
      : SingularCell(input, hidden), start(param("start", Tensor::full({1, hidden}, 0.5))) {}
  State zero_state(Index batch) const { return {broadcast_to(start, {batch, start.shape()[1]})}; }
  Var project(const Var& x) const { return matmul(Var(log(x)), Wx); }
  State step(const Var& z, const State& s) const {
    return {2.0 + tanh(z + matmul(Var(1.0 / s.h), Wh))};
  }
  Var output(const State& s) const { return log(s.h) + 1.0; }
  Var start;
};

/// x (steps, batch, features) in the cells' domain, `padding` behind the ends.
Tensor padded(const Shape& shape, const std::vector<Index>& lengths, double padding) {
  const Tensor x = Generator(3).uniform(shape, 0.5, 2, DType::float64);
  double* to = x.mutable_data<double>();
  for (Index t = 0; t < shape[0]; ++t) {
    for (const Index length : lengths) {
      for (Index k = 0; k < shape[2]; ++k, ++to) {
        if (t >= length) *to = padding;
      }
    }
  }
  return x;
}

/// What a run gives: the gradients by x, the initial states and the parameters at the end.
struct Run {
  std::vector<double> outputs, last;
  std::vector<std::vector<double>> gradients;
};

template <class Net>
Run run(const Net& net, const Tensor& x, const typename Net::States& initial,
        const std::vector<Index>& lengths, const Tensor& covector, TapeMode mode) {
  const Var input = parameter(x);
  typename Net::States states;
  std::vector<Var> sources{input};
  for (auto state : initial) {
    for (Var* member : nn::members(state)) sources.push_back(*member = parameter(member->tensor()));
    states.push_back(state);
  }
  for (const Var& p : net.parameters()) sources.push_back(p);
  const FlightRecorder stops_at_nan_and_inf;
  const Tape tape(mode);
  const auto [outputs, last] = net(input, states, lengths);
  Run result;
  result.outputs = outputs.tensor().to_vector();
  Var loss = sum(outputs * Var(covector));
  double weight = 1;
  for (auto state : last) {
    for (const Var* member : nn::members(state)) {
      const auto values = member->tensor().to_vector();
      result.last.insert(result.last.end(), values.begin(), values.end());
      loss = loss + sum(*member) * (weight += 0.5);
    }
  }
  for (const Var& g : grad(loss, sources)) result.gradients.push_back(g.tensor().to_vector());
  return result;
}

template <class Cell>
void check_rows_are_solo_runs(const nn::RecurrentOptions& options, bool given, double padding,
                              TapeMode mode, const std::vector<Index>& lengths) {
  using Net = nn::Recurrent<Cell>;
  const Index steps = 5, batch = static_cast<Index>(lengths.size()), features = 3, units = 4;
  seed(1);
  Net net(features, units, options);
  net.to(DType::float64);
  Generator random(4);
  typename Net::States initial;
  if (given) initial = net.zero_state(batch);
  for (auto& state : initial) {
    for (Var* member : nn::members(state)) {
      *member = random.uniform(member->shape(), 0.5, 1, DType::float64);
    }
  }
  const Index width = options.bidirectional ? 2 * units : units;
  const Tensor covector = random.uniform({steps, batch, width}, -1, 1, DType::float64);
  const Tensor x = padded({steps, batch, features}, lengths, padding);
  const Run all = run(net, x, initial, lengths, covector, mode);
  const auto part_of = [&](const std::vector<double>& values, const Shape& shape, Index row) {
    return slice(Var(Tensor(shape, values)), 1, row, row + 1).tensor().to_vector();
  };
  const std::size_t states = given ? initial.size() * nn::members(initial[0]).size() : 0;
  std::vector<std::vector<double>> totals(all.gradients.size());
  const Index members = static_cast<Index>(all.last.size()) / (batch * units);
  for (Index row = 0; row < batch; ++row) {
    const Index length = lengths[static_cast<std::size_t>(row)];
    const std::string what = "row " + std::to_string(row) + ", ";
    const auto own = part_of(all.outputs, {steps, batch, width}, row);
    const auto own_last = part_of(all.last, {members, batch, units}, row);
    const auto dx = part_of(all.gradients[0], {steps, batch, features}, row);
    for (Index k = length * width; k < steps * width; ++k) {
      EXPECT_EQ(own[static_cast<std::size_t>(k)], 0) << what;
    }
    for (Index k = length * features; k < steps * features; ++k) {
      EXPECT_EQ(dx[static_cast<std::size_t>(k)], 0) << what;
    }
    typename Net::States own_initial;
    for (auto state : length == 0 && !given ? net.zero_state(batch) : initial) {
      for (Var* member : nn::members(state)) *member = slice(*member, 0, row, row + 1).tensor();
      own_initial.push_back(state);
    }
    if (length == 0) {
      std::vector<double> start;
      for (auto state : own_initial) {
        for (const Var* member : nn::members(state)) {
          const auto values = member->tensor().to_vector();
          start.insert(start.end(), values.begin(), values.end());
        }
      }
      EXPECT_EQ(own_last, start) << what;
      continue;
    }
    const Run solo =
        run(net, slice(slice(Var(x), 1, row, row + 1), 0, 0, length).tensor(), own_initial, {},
            slice(slice(Var(covector), 1, row, row + 1), 0, 0, length).tensor(), mode);
    expect_near({own.begin(), own.begin() + length * width}, solo.outputs, what + "outputs");
    expect_near(own_last, solo.last, what + "last");
    expect_near({dx.begin(), dx.begin() + length * features}, solo.gradients[0], what + "dx");
    for (std::size_t i = 1; i < totals.size(); ++i) {
      if (i <= states) {
        expect_near(part_of(all.gradients[i], {1, batch, units}, row), solo.gradients[i],
                    what + "state");
        continue;
      }
      totals[i].resize(solo.gradients[i].size());
      for (std::size_t k = 0; k < totals[i].size(); ++k) totals[i][k] += solo.gradients[i][k];
    }
  }
  // A learned initial state has gradients of rows of length 0, too.
  const bool learned = std::is_same_v<Cell, ProjectingCell> && !given;
  if (learned && std::count(lengths.begin(), lengths.end(), 0) > 0) return;
  for (std::size_t i = 1 + states; i < totals.size(); ++i) {
    expect_near(all.gradients[i], totals[i], "parameter " + std::to_string(i - 1 - states));
  }
}

template <class Cell>
void check_cell(const std::vector<double>& paddings) {
  const nn::RecurrentOptions forms[] = {
      {}, {.layers = 2}, {.layers = 2, .bidirectional = true}, {.layers = 2, .reverse = true}};
  for (const nn::RecurrentOptions& options : forms) {
    for (const double padding : paddings) {
      for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
        SCOPED_TRACE(options.layers);
        SCOPED_TRACE(options.bidirectional ? "bidirectional" : options.reverse ? "reverse" : "");
        check_rows_are_solo_runs<Cell>(options, padding != 0, padding, mode, {5, 1, 3});
        check_rows_are_solo_runs<Cell>(options, padding == 0, padding, mode, {2, 0, 4, 0, 2});
      }
    }
  }
}

TEST(Ragged, EachRowIsItsSoloRun) {
  check_cell<nn::LSTMCell>({nan});
  check_cell<nn::GRUCell>({0});
  check_cell<nn::RNNCell>({inf});
}

TEST(Ragged, EachRowOfACellThatIsSingularAtZeroIsItsSoloRun) {
  check_cell<SingularCell>({nan, 0, -inf});
  check_cell<ProjectingCell>({nan, 0, -1});
}

TEST(Ragged, AViewOfXIsTakenAsItsCopy) {
  const nn::LSTM lstm(2, 3);
  const Var x = Generator(2).normal({2, 4, 2}, 0, 1);  // batch first
  const Var turned = transpose(x, {1, 0, 2});
  const std::vector<Index> lengths{4, 2};
  EXPECT_EQ(lstm(turned, {}, lengths).outputs.tensor().to_vector(),
            lstm(Var(turned.tensor().copy()), {}, lengths).outputs.tensor().to_vector());
}

TEST(Ragged, SecondDerivatives) {
  nn::LSTM lstm(2, 3, {.bidirectional = true});
  const Var x = Generator(2).normal({4, 2, 2}, 0, 1, DType::float64);
  const auto report = gradgradcheck(lstm, x, {}, {4, 2}, {.fast = true});
  EXPECT_EQ(report.verdict, Verdict::correct) << report;
  EXPECT_EQ(report["x"].verdict, Verdict::correct) << report;
}

TEST(Ragged, GradientsBehindTheEndsAreNotRead) {
  const nn::LSTM lstm(2, 3, {.layers = 2, .bidirectional = true});
  const Var x = parameter(Tensor::full({4, 2, 2}, 0.5));
  const auto gradients = [&](double behind) {
    Tensor seed = Tensor::full({4, 2, 6}, 0.25);
    for (Index k = 0; k < 3 * 6; ++k) {  // row 1 of steps 1 to 3
      seed.mutable_data<float>()[(1 + k / 6) * 12 + 6 + k % 6] = static_cast<float>(behind);
    }
    Tape tape;
    const Var outputs = lstm(x, {}, std::vector<Index>{4, 1}).outputs;
    std::vector<double> all;
    std::vector<Var> sources = lstm.parameters();
    sources.push_back(x);
    for (const Var& g : grad(outputs, Var(seed), sources)) {
      const auto values = g.tensor().to_vector();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  EXPECT_EQ(gradients(nan), gradients(0));
}

TEST(Ragged, RowsOfLengthZeroAreTheirInitialState) {
  // As if they were not in the batch.
  seed(1);
  nn::GRU gru(2, 3, {.bidirectional = true});
  gru.to(DType::float64);
  const Tensor with = padded({4, 3, 2}, {4, 0, 2}, nan);
  const Var without = concat({slice(Var(with), 1, 0, 1), slice(Var(with), 1, 2, 3)}, 1);
  const auto take = [&](const Var& x, const std::vector<Index>& lengths) {
    Tape tape;
    return grad(sum(gru(x, {}, lengths).outputs), gru.parameters());
  };
  const auto a = take(with, {4, 0, 2});
  const auto b = take(without, {4, 2});
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tensor().to_vector(), b[i].tensor().to_vector()) << i;
  }
}

TEST(Ragged, ALearnedInitialStateIsAllThatLengthZeroReaches) {
  nn::Recurrent<ProjectingCell> net(2, 3, {.layers = 2});
  const std::vector<Var> parameters = net.parameters();
  const Tape tape;
  const auto [outputs, last] = net(Tensor::full({4, 5, 2}, nan), {}, std::vector<Index>(5, 0));
  EXPECT_EQ(outputs.shape(), (Shape{4, 5, 3}));
  EXPECT_EQ(outputs.tensor().to_vector(), std::vector<double>(60, 0));
  const auto gradients = grad(sum(outputs) + sum(net.final_output(last)), parameters);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const bool start = parameters[i].name() == "start" && i >= 3;
    // The output is log(h) + 1 of h = 0.5, in 5 rows.
    EXPECT_EQ(gradients[i].tensor().to_vector(),
              std::vector<double>(static_cast<std::size_t>(gradients[i].size()), start ? 10 : 0))
        << i;
  }
}

TEST(Ragged, TheReverseDirectionAloneIsThatOfBoth) {
  nn::LSTM both(3, 4, {.bidirectional = true});
  both.to(DType::float64);
  const nn::LSTM reverse({both.cells()[1]}, {.reverse = true});
  EXPECT_EQ(reverse.named_parameters()[0].name, "layer0_reverse.Wx");
  for (const std::vector<Index>& lengths : {std::vector<Index>{}, {2, 5, 0}, {3, 3, 3}}) {
    const Var x = padded({5, 3, 3}, lengths, nan);
    const auto two = both(x, {}, lengths);
    const auto one = reverse(x, {}, lengths);
    EXPECT_EQ(one.outputs.tensor().to_vector(), slice(two.outputs, 2, 4, 8).tensor().to_vector());
    EXPECT_EQ(reverse.final_output(one.last).tensor().to_vector(),
              slice(both.final_output(two.last), 1, 4, 8).tensor().to_vector());
  }
  const Var x = padded({5, 3, 3}, {}, 0);
  EXPECT_EQ(reverse(x).last[0].h.tensor().to_vector(), reverse(x).outputs[0].tensor().to_vector());
}

TEST(Ragged, AStateOfOneRowForAllBecomesOneForEach) {
  struct Counter : nn::Module {
    struct State {
      Var h, steps;
    };
    State zero_state(Index batch) const {
      return {Tensor::zeros({batch, 2}), Tensor::zeros({1, 1})};
    }
    State step(const Var& x, const State& s) const { return {s.h + x, s.steps + 1}; }
  };
  const nn::Recurrent<Counter> net({Counter()});
  const Var x = Tensor::full({3, 3, 2}, 1);
  EXPECT_EQ(net(x).last[0].steps.shape(), (Shape{1, 1}));
  const std::vector<Index> lengths{3, 0, 2};
  const auto first = net(x, {}, lengths);
  EXPECT_EQ(first.last[0].steps.tensor().to_vector(), (std::vector<double>{3, 0, 2}));
  const auto second = net(x, first.last, lengths);
  EXPECT_EQ(second.last[0].steps.tensor().to_vector(), (std::vector<double>{6, 0, 4}));
  EXPECT_EQ(net(x, net.zero_state(3)).last[0].steps.item(), 3);
}

TEST(Ragged, ACellThatGivesOtherRowsThanItWasGivenIsAnError) {
  struct Fixed : nn::Module {
    struct State {
      Var h;
    };
    State zero_state(Index batch) const { return {Tensor::zeros({batch, 2})}; }
    State step(const Var&, const State&) const { return {Tensor::zeros({3, 2})}; }
  };
  const nn::Recurrent<Fixed> net({Fixed()});
  EXPECT_EQ(error_of([&] {
              net(Tensor::zeros({3, 3, 2}), {}, std::vector<Index>{3, 1, 2});
            }),
            "recurrent: 2 of 3 sequences reach step 1, for which the cell gave (3,2): its first "
            "axis must be theirs");
}

TEST(Ragged, OnlyRowsWithinTheirSequenceCountAsSaturated) {
  struct Tanh : nn::Module {
    struct State {
      Var h;
    };
    State zero_state(Index batch) const { return {Tensor::zeros({batch, 1})}; }
    State step(const Var& x, const State&) const { return {tanh(x * scale)}; }
    Var scale = param("scale", Tensor({1}, {1}));
  };
  const nn::Recurrent<Tanh> net({Tanh()});
  const Var x = Tensor({3, 2, 1}, {9, 9, 9, 0, 9, 0});
  FlightRecorder recorder({.sample_every = 1});
  {
    const Tape tape;
    net(x, {}, std::vector<Index>{3, 1});
  }
  Index samples = 0;
  for (const Saturation& row : recorder.saturations()) {
    EXPECT_EQ(row.high, 1);
    samples += row.samples;
  }
  EXPECT_EQ(samples, 4);
}

TEST(Ragged, DropoutBetweenLayersLeavesOneRowsBitsAlone) {
  const nn::LSTM lstm(2, 3, {.layers = 2, .dropout = 0.5});
  const auto outputs = [&](double padding) {
    seed(7);
    return lstm(padded({4, 2, 2}, {4, 2}, padding).to(DType::float32), {}, std::vector<Index>{4, 2})
        .outputs.tensor()
        .to_vector();
  };
  EXPECT_EQ(outputs(nan), outputs(1));
}

}  // namespace
}  // namespace xgrad
