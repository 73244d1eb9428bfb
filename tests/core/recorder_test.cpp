#include <limits>
#include <optional>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include <xgrad/core/watch/formula.hpp>
#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad {
namespace {

using Pass = NonFinite::Pass;
using Cause = NonFinite::Cause;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Var vector(std::initializer_list<double> values, DType dtype = DType::float64) {
  return Tensor({static_cast<Index>(values.size())}, values, dtype);
}

Var weights(std::initializer_list<double> values, const char* name = "w") {
  return parameter(vector(values).tensor(), name);
}

/// What a recorder finds in f, or nothing.
template <class F>
std::optional<NonFiniteError> found_in(F&& f) {
  try {
    f();
  } catch (const NonFiniteError& error) {
    return error;
  }
  return std::nullopt;
}

/// A pass over any tape that runs f's result backward.
enum class Way { fast, naive, create_graph };
constexpr Way all_ways[] = {Way::fast, Way::naive, Way::create_graph};

void differentiate(Way way, const Var& w, const std::function<Var()>& f,
                   FlightRecorderOptions options = {}) {
  const FlightRecorder recorder(options);
  Tape tape(way == Way::naive ? TapeMode::naive : TapeMode::fast);
  const Var y = f();
  if (way == Way::create_graph) {
    grad(y, Var(Tensor::full(y.shape(), 1, y.dtype())), {w}, {.create_graph = true});
  } else {
    tape.backward(y, Tensor::full(y.shape(), 1, y.dtype()));
  }
}

// -- forward --------------------------------------------------------------------------------------

TEST(FlightRecorder, NamesTheOpTheScopesAndTheRanges) {
  const Var w = weights({-3, 1, 800}, "w");
  FlightRecorder recorder;
  recorder.name(w, "net.layer2.w");
  Tape tape;
  const auto error = found_in([&] {
    const Scope layer = tape.scope("layer", 2);
    for (Index t = 0; t < 50; ++t) {
      const Scope step = tape.scope("step", t);
      const Var x = w * (t == 37 ? 1.0 : 0.5);
      const Var y = exp(x);
    }
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->pass, Pass::forward);
  EXPECT_EQ(error->cause, Cause::op);
  EXPECT_EQ(error->op, "exp");
  EXPECT_EQ(error->place.layer, 2);
  EXPECT_EQ(error->place.step, 37);
  EXPECT_EQ(error->node, 75u);
  EXPECT_STREQ(error->what(),
               "forward: exp turned finite inputs into inf at layer 2, step 37: a, the output of "
               "multiply, (3) in [-3, 800]; the result is (3) in [0.0497871, 2.71828] but for 1 "
               "inf, the first at (2)");
}

TEST(FlightRecorder, FindsTheOpInAFusedExpression) {
  const Var a = weights({0.1, 0.2}, "a");
  const Var b = weights({1, 800}, "b");
  const FlightRecorder recorder;
  const Tape tape;
  const auto error = found_in([&] { const Var y = tanh(a) * exp(b + 1.0) - log(a); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "exp");
  EXPECT_EQ(error->expression, "tanh(a) * exp(b + 1) - log(c)");
  ASSERT_EQ(error->inputs.size(), 1u);
  EXPECT_EQ(error->inputs[0].name, "b + 1");
  EXPECT_EQ(error->inputs[0].range.low, 2);
  EXPECT_EQ(error->inputs[0].range.high, 801);
  EXPECT_EQ(error->result.first, 1);
}

TEST(FlightRecorder, WhatWhereHidesDoesNotMatter) {
  const Var x = weights({0, 1, 2});
  const FlightRecorder recorder;
  const Tape tape;
  const Var y = where(x > 0.0, log(x), 0.0);
  const auto error = found_in([&] { const Var z = where(x > 0.0, log(x), 0.0) + exp(500.0 * x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "exp");  // though log(0) comes first
  const auto chosen = found_in([&] { const Var z = where(x > 0.0, 0.0, log(x)) * 2.0; });
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->op, "log");
}

TEST(FlightRecorder, ABroadcastCulprit) {
  const Var row = parameter(Tensor({1, 3}, {1, 2, 0}, DType::float64), "row");
  const Var column = parameter(Tensor({2, 1}, {1, 0}, DType::float64), "column");
  const FlightRecorder recorder;
  const Tape tape;
  const auto error = found_in([&] { const Var y = 2.0 * (column / row) + column; });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "divide");
  EXPECT_EQ(to_string(error->result),
            "(2,3) in [0, 1] but for 1 inf and 1 NaN, the first at (0,2)");
}

TEST(FlightRecorder, SaysSoIfAnInputHeldItAlready) {
  const Var w = weights({1, 2});
  const Var data = vector({nan, 1});
  const Var matrix = parameter(Tensor({2, 2}, {1, 2, inf, 4}, DType::float64), "matrix");
  const FlightRecorder recorder;
  const Tape tape;
  const auto fused = found_in([&] { const Var y = tanh(w) + data * 2.0; });
  ASSERT_TRUE(fused);
  EXPECT_EQ(fused->cause, Cause::given);
  EXPECT_EQ(fused->op, "multiply");
  EXPECT_STREQ(fused->what(),
               "forward: multiply was given NaN, fused in tanh(a) + b * 2: b, a constant, (2) in "
               "[1, 1] but for 1 NaN, the first at (0): it was not recorded");
  const auto product = found_in([&] { matmul(unsqueeze(w, 0), matrix); });
  ASSERT_TRUE(product);
  EXPECT_EQ(product->cause, Cause::given);
  EXPECT_EQ(product->op, "matmul");
  EXPECT_EQ(product->inputs[0].name, "input 1, parameter 'matrix'");
  const auto number = found_in([&] { const Var y = w * inf; });
  ASSERT_TRUE(number);
  EXPECT_EQ(number->cause, Cause::given);
  EXPECT_EQ(number->inputs[0].name, "inf");
}

TEST(FlightRecorder, EveryDtypeAndInfinityMinusInfinity) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var w = parameter(Tensor({40}, std::vector<float>(40, 1e30f)).to(dtype), "w");
    const double huge = dtype == DType::float32 ? 1e20 : 1e300;
    const FlightRecorder recorder({.stop_at = StopAt::nan});
    const Tape tape;
    const Var infinite = w * huge;  // no NaN
    const auto error = found_in([&] { const Var y = (infinite - infinite) + w; });
    ASSERT_TRUE(error) << name(dtype);
    EXPECT_EQ(error->op, "subtract");
    EXPECT_EQ(error->result.nans, 40);
  }
}

TEST(FlightRecorder, StopsAtWhatItIsAskedFor) {
  const Var w = weights({0, 1});
  for (const StopAt stop_at : {StopAt::never, StopAt::nan, StopAt::nan_or_inf}) {
    const FlightRecorder recorder({.stop_at = stop_at});
    const Tape tape;
    EXPECT_EQ(found_in([&] { const Var y = 1.0 / w; }).has_value(), stop_at == StopAt::nan_or_inf);
    EXPECT_EQ(found_in([&] { const Var y = w / w; }).has_value(), stop_at != StopAt::never);
  }
}

TEST(FlightRecorder, WithoutOneNothingStops) {
  const Var w = weights({0, 1});
  { const FlightRecorder recorder; }
  Tape tape;
  tape.backward(sum(1.0 / w));
  EXPECT_EQ(w.grad().to_vector()[0], -inf);
}

TEST(FlightRecorder, OptionsAreChecked) {
  EXPECT_THROW(FlightRecorder({.sample_every = -1}), Error);
  EXPECT_THROW(FlightRecorder({.samples = 0}), Error);
  EXPECT_THROW(FlightRecorder({.saturation_margin = 0}), Error);
  EXPECT_THROW(FlightRecorder({.saturation_margin = 0.5}), Error);
  EXPECT_THROW(FlightRecorder({.saturation_margin = nan}), Error);
  const Var w = weights({0, 1});
  const Tape tape;  // the recorders that failed watch nothing
  EXPECT_FALSE(found_in([&] { const Var y = 1.0 / w; }));
}

// -- backward -------------------------------------------------------------------------------------

TEST(FlightRecorder, FindsWhatIsInfiniteInTheBackwardPassOnly) {
  for (const Way way : all_ways) {
    const Var w = weights({4, 0, 9}, "w");
    const auto error = found_in([&] {
      differentiate(way, w, [&] {
        const Scope layer("layer", 1);
        Var y = w;
        for (Index t = 0; t < 3; ++t) {
          const Scope step("step", t);
          y = t == 1 ? Var(sqrt(y) * 3.0) : Var(y * 2.0);
        }
        return y;
      });
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->pass, Pass::backward);
    EXPECT_EQ(error->cause, Cause::op);
    EXPECT_EQ(error->op, "sqrt");
    EXPECT_EQ(error->place.step, 1);
    EXPECT_STREQ(error->what(),
                 "backward: sqrt turned a finite gradient into inf at layer 1, step 1, fused in "
                 "sqrt(a) * 3: the gradient, (3) in [6, 6]; a, the output of multiply, (3) in [0, "
                 "18]; the gradient of its input is (3) in [0.707107, 1.06066] but for 1 inf, the "
                 "first at (1)");
    EXPECT_FALSE(w.has_grad());
  }
}

TEST(FlightRecorder, TheGradientOfWhatWhereHides) {
  for (const Way way : all_ways) {
    const Var w = weights({0, 2});
    // Within one expression it leaves no trace.
    EXPECT_FALSE(
        found_in([&] { differentiate(way, w, [&] { return where(w > 0.0, log(w), 0.0); }); }));
    const auto error = found_in([&] {
      const auto f = [&] {
        const Var logarithm = log(w);
        return where(w > 0.0, logarithm, 0.0);
      };
      differentiate(way, w, f, {.stop_at = StopAt::nan});
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->op, "log");  // 0 / 0
    EXPECT_EQ(error->result.nans, 1);
  }
}

struct Poisoned {
  static constexpr const char* name = "poisoned";
  Tensor value(const Tensor& x, const Tensor&) const { return x; }
  void pullback(Pullback& p) const {
    p.add(0, p.gradient());
    p.add(1, p.gradient() * nan);
  }
};

TEST(FlightRecorder, AnOpOfAnyKind) {
  for (const Way way : all_ways) {
    const Var w = weights({1, 2});
    const auto error = found_in([&] {
      differentiate(way, w, [&] {
        const Var u = w + 1.0, v = w * 2.0;
        return 2.0 * apply(Poisoned{}, u, v);
      });
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->op, "poisoned");
    EXPECT_EQ(error->pass, Pass::backward);
    ASSERT_EQ(error->inputs.size(), 3u);
    EXPECT_EQ(error->inputs[0].range.high, 2);
    EXPECT_EQ(error->inputs[2].name, "input 1, the output of multiply");
  }
}

TEST(FlightRecorder, PartsOfAValue) {  // whose untouched parts are no gradient yet
  for (const Way way : all_ways) {
    const Var w = parameter(Tensor({3, 2}, {1, 2, 3, 0, 5, 6}, DType::float64), "w");
    const auto error = found_in([&] {
      differentiate(way, w, [&] {
        const Var y = 1.0 * w;
        return sum(sqrt(y[0])) + sum(y[2]) + sum(sqrt(slice(y, 1, 0, 1)));
      });
    });
    EXPECT_FALSE(error);
    const auto other = found_in([&] {
      differentiate(way, w, [&] {
        const Var y = 1.0 * w;
        return sum(sqrt(y[0])) + sum(sqrt(y[1]));
      });
    });
    ASSERT_TRUE(other);
    EXPECT_EQ(other->op, "sqrt");
    EXPECT_EQ(other->inputs[1].name, "a, a part of the output of multiply");
  }
}

// What an op overwrites in its pullback is read before.
TEST(FlightRecorder, AnOpThatOwnsItsGradient) {
  const Var x = parameter(Tensor({2, 3}, {1, 2, 4, 8, 5, 3}, DType::float64), "x");
  const Var weight = parameter(Tensor::full({3}, 1e300, DType::float64), "weight");
  const Var bias = parameter(Tensor::zeros({3}, DType::float64), "bias");
  for (const Way way : all_ways) {
    const auto error = found_in([&] {
      differentiate(way, x,
                    [&] {
                      const Var y = 1.0 * x;
                      return layer_norm(y, weight, bias) * 1e300;
                    },
                    {.stop_at = StopAt::nan_or_inf});
    });
    EXPECT_FALSE(error && error->pass == Pass::backward && error->op != "layer_norm" &&
                 error->op != "multiply")
        << error->what();
  }
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const FlightRecorder recorder;
    Tape tape(mode);
    const Var y = layer_norm(Var(1.0 * x), weight, bias);
    const Tensor seed = Tensor({2, 3}, {1e300, -1e300, 1e300, 1e300, 0, 1e300}, DType::float64);
    const auto error = found_in([&] { tape.backward(y, seed); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->op, "layer_norm");
    EXPECT_EQ(error->inputs[0].range.high, 1e300);  // its gradient, as it was
    EXPECT_EQ(error->inputs[0].range.first, -1);
  }
}

// Ops that only move numbers are checked where they read parameters, which nobody has.
TEST(FlightRecorder, AMovedParameterThatIsBroken) {
  const Var table = parameter(Tensor({2, 2}, {1, nan, 3, 4}, DType::float64), "table");
  const FlightRecorder recorder;
  const Tape tape;
  const auto error = found_in([&] { const Var y = flip(table, 0); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "flip");
  EXPECT_EQ(error->cause, Cause::given);
  EXPECT_EQ(error->inputs[0].name, "input 0, parameter 'table'");
  const auto part = found_in([&] { const Var y = table[0] + 1.0; });
  ASSERT_TRUE(part);
  EXPECT_EQ(part->inputs[0].name, "a, a part of parameter 'table'");
  table.set_trainable(false);
  const Var w = weights({1, 2});
  const auto frozen = found_in([&] { const Var y = table * w; });
  ASSERT_TRUE(frozen);
  EXPECT_EQ(frozen->inputs[0].name, "a, parameter 'table'");
}

TEST(FlightRecorder, AnOpOfSeveralModules) {
  const Var a = weights({1, 2}), b = weights({inf, 2}), c = weights({1, 2});
  FlightRecorder recorder;
  recorder.name(a, "net.a.w");
  recorder.name(b, "net.b.w");
  recorder.name(b, "later.w");  // the first name stays
  recorder.name(c, "other.w");
  const Tape tape;
  const auto two = found_in([&] { const Var y = a + b; });
  ASSERT_TRUE(two);
  EXPECT_EQ(two->place.path, "net");
  EXPECT_EQ(two->inputs[0].name, "b, parameter 'net.b.w'");
  const auto three = found_in([&] { const Var y = a + b + c; });
  ASSERT_TRUE(three);
  EXPECT_EQ(three->place.path, "");
}

TEST(FlightRecorder, InputsOfWhichSomeAreFinite) {
  const Var w = weights({0, 2});
  const Var data = vector({inf, 1});
  const FlightRecorder recorder({.stop_at = StopAt::nan});
  const Tape tape;
  const auto error = found_in([&] { const Var y = data * w; });
  ASSERT_TRUE(error);
  EXPECT_NE(std::string(error->what()).find("multiply turned what it was given into NaN"),
            std::string::npos)
      << error->what();
}

TEST(FlightRecorder, GradientsWhoseSumOverflows) {
  for (const Way way : all_ways) {
    const Var w = weights({1});
    const auto error = found_in([&] {
      differentiate(way, w, [&] {
        const Var y = 1.0 * w;
        const Var u = tanh(y) * 0.0 + y * 1e308;
        const Var v = y * 1e308;
        return concat({u, v});
      });
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->cause, Cause::sum);
    EXPECT_EQ(error->pass, Pass::backward);
  }
}

TEST(FlightRecorder, TheSeed) {
  const Var w = weights({1, 2});
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const FlightRecorder recorder;
    Tape tape(mode);
    const Var y = 2.0 * w;
    const auto error = found_in([&] { tape.backward(y, vector({1, nan}).tensor()); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->cause, Cause::given);
    EXPECT_STREQ(error->what(),
                 "backward: backward was given NaN: the seed, (2) in [1, 1] but for 1 NaN, the "
                 "first at (1)");
    Tape second(mode);
    const Scope layer("layer", 3);
    const Var z = 2.0 * w;
    const auto placed = found_in([&] { second.backward(z, vector({1, nan}).tensor()); });
    ASSERT_TRUE(placed);
    EXPECT_EQ(placed->place.scopes, "layer 3");
  }
}

// The products of all steps with one matrix are computed together, after their nodes are gone.
TEST(FlightRecorder, ADeferredProduct) {
  const Var W = parameter(Tensor::full({1, 1}, 1e-200, DType::float64), "W");
  const FlightRecorder recorder;
  Tape tape;
  Var loss = Tensor::full({}, 0, DType::float64);
  for (Index t = 0; t < 5; ++t) {
    const Scope step("step", t);
    const Var x = Tensor::full({1, 1}, t == 2 ? 1e200 : 1, DType::float64);
    loss = loss + sum(matmul(x, W) * (t == 2 ? 1e150 : 1));
  }
  const auto error = found_in([&] { tape.backward(loss); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op, "matmul");
  EXPECT_EQ(error->place.step, 2);
  EXPECT_EQ(error->result.infinities, 1);
  EXPECT_FALSE(W.has_grad());
}

TEST(FlightRecorder, AStoppedPassKeepsTheGradients) {
  const Var good = weights({1, 2}, "good");
  const Var bad = weights({0, 2}, "bad");
  const FlightRecorder recorder;
  {
    Tape tape;
    tape.backward(sum(3.0 * good));
  }
  Tape tape;
  const Var loss = sum(sqrt(bad)) + sum(good);
  EXPECT_TRUE(found_in([&] { tape.backward(loss, {.retain = true}); }));
  EXPECT_EQ(good.grad().to_vector(), (std::vector<double>{3, 3}));
  EXPECT_FALSE(bad.has_grad());
}

TEST(FlightRecorder, TheTapeIsGoodAfterAStop) {
  const Var w = weights({0, 2});
  const FlightRecorder recorder;
  Tape tape;
  const Var y = w * 3.0;
  EXPECT_TRUE(found_in([&] {
    const Scope step("step", 1);
    const Var z = 1.0 / y;
  }));
  const auto second = found_in([&] { const Var z = log(y); });
  ASSERT_TRUE(second);
  EXPECT_EQ(second->place.step, -1);  // that scope has ended
  tape.backward(sum(y * y));
  EXPECT_EQ(w.grad().to_vector(), (std::vector<double>{0, 36}));
}

// -- scopes and tapes -----------------------------------------------------------------------------

TEST(Scope, NestsAndBelongsToItsTape) {
  const Var w = weights({1});
  const auto scopes = [&] {
    const auto error = found_in([&] { const Var y = w / 0.0; });
    return error ? error->place.scopes : "nothing found";
  };
  const FlightRecorder recorder;
  const Tape outer;
  const Scope layer("layer", 4);
  EXPECT_EQ(scopes(), "layer 4");
  {
    const Scope decoder("decoder");
    EXPECT_EQ(scopes(), "layer 4, decoder");
    const auto error = found_in([&] { const Var y = w / 0.0; });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->place.layer, 4);
    EXPECT_EQ(error->place.step, -1);
    const Scope inner_layer("layer", 5);
    const auto inner = found_in([&] { const Var y = w / 0.0; });
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->place.layer, 5);
  }
  {
    const Tape inner;
    {
      const Scope step("step", 1);
      EXPECT_EQ(scopes(), "step 1");
    }
    const Scope of_the_outer_one = outer.scope("step", 2);
    EXPECT_EQ(scopes(), "");
  }
  EXPECT_EQ(scopes(), "layer 4");
  const NoTape no_tape;
  const Scope unseen("step", 1);
  EXPECT_EQ(scopes(), "nothing found");
}

TEST(Scope, MayOutliveItsTapeAndTheRecorder) {
  const Var w = weights({1});
  auto recorder = std::make_unique<FlightRecorder>();
  auto tape = std::make_unique<Tape>();
  const auto scope = std::make_unique<Scope>("step", 1);
  recorder.reset();
  EXPECT_TRUE(found_in([&] { const Var y = w / 0.0; }));  // the tape began under it
  tape.reset();
  scope->state(w);
  const Tape next;
  EXPECT_FALSE(found_in([&] { const Var y = w / 0.0; }));
}

TEST(Scope, WithoutATapeOrARecorderIsNothing) {
  const Scope first("layer", 1);
  const Tape tape;
  const Scope second = tape.scope("step", 1);
  second.state(weights({1}));
}

TEST(FlightRecorder, TheInnermostWatchesItsThread) {
  const Var w = weights({1});
  const FlightRecorder outer;
  {
    const FlightRecorder inner({.stop_at = StopAt::never});
    const Tape tape;
    EXPECT_FALSE(found_in([&] { const Var y = w / 0.0; }));
  }
  std::thread([&] {
    const Tape tape;
    EXPECT_FALSE(found_in([&] { const Var y = w / 0.0; }));
  }).join();
  const Tape tape;
  EXPECT_TRUE(found_in([&] { const Var y = w / 0.0; }));
}

// -- statistics -----------------------------------------------------------------------------------

TEST(FlightRecorder, GradientNormsOfALinearRecurrence) {  // h[t] = w h[t-1]: dL/dh[t] = w^(T-t)
  constexpr Index T = 40;
  const Var w = parameter(Tensor::full({}, 0.5, DType::float64), "w");
  for (const Way way : all_ways) {
    FlightRecorder recorder;
    Tape tape(way == Way::naive ? TapeMode::naive : TapeMode::fast);
    Var h = Tensor::full({2, 1}, 1, DType::float64);
    for (Index t = 1; t <= T; ++t) {
      const Scope step = tape.scope("step", t);
      h = w * h;
      step.state(h);
    }
    const Var loss = sum(h);
    if (way == Way::create_graph) {
      grad(loss, {w}, {.create_graph = true});
    } else {
      tape.backward(loss);
    }
    const auto rows = recorder.gradient_norms();
    ASSERT_EQ(rows.size(), static_cast<std::size_t>(T));
    for (Index t = 1; t <= T; ++t) {
      const GradientNorm& row = rows[static_cast<std::size_t>(t - 1)];
      EXPECT_EQ(row.place.step, t);
      EXPECT_EQ(row.place.scopes, "step " + std::to_string(t));
      EXPECT_NEAR(row.norm / (std::sqrt(2.0) * std::pow(0.5, T - t)), 1,
                  testing::rounding_bound(DType::float64, 2 * static_cast<double>(T + 4)));
    }
  }
}

TEST(FlightRecorder, GradientNormsOfPartsAndOfWhatHasNone) {
  const Var w = weights({1, 2, 3, 4});
  FlightRecorder recorder;
  Tape tape;
  const Scope step("step", 0);
  const Var y = 2.0 * w;
  const Var unused = 3.0 * w;
  const auto [a, b] = split<2>(y);
  for (const Var& state : {a, b, unused, y, w, Var(vector({1}))}) step.state(state);
  tape.backward(sum(a * vector({3, 4})), {.retain = true});
  std::vector<double> norms;
  for (const GradientNorm& row : recorder.gradient_norms()) norms.push_back(row.norm);
  EXPECT_EQ(norms, (std::vector<double>{5, 0, 0, 5}));  // a parameter, a constant: not recorded
  tape.backward(sum(b));
  EXPECT_EQ(recorder.gradient_norms()[0].norm, 0);  // of the latest pass
  EXPECT_EQ(recorder.gradient_norms()[1].norm, std::sqrt(2.0));
  EXPECT_EQ(recorder.gradient_norms()[1].state, 1);
}

TEST(FlightRecorder, GradientNormsAreThoseOfTheLatestPass) {
  const Var w = weights({1, 2});
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    FlightRecorder recorder;
    Tape tape(mode);
    const Scope step("step", 0);
    const Var a = 2.0 * w;
    const Var b = 3.0 * w;
    step.state(a);
    step.state(b);
    const auto norms = [&] {
      return std::pair{recorder.gradient_norms()[0].norm, recorder.gradient_norms()[1].norm};
    };
    tape.backward(sum(a * vector({3, 4})), {.retain = true});
    EXPECT_EQ(norms(), (std::pair{5.0, 0.0}));
    tape.backward(sum(b * vector({6, 8})), {.retain = true});
    EXPECT_EQ(norms(), (std::pair{0.0, 10.0}));
  }
}

TEST(FlightRecorder, CountsSaturatedActivations) {
  // Logistic of -3, 0, 3: 0.047, 0.5, 0.953; tanh of 0.5 and of 1.2: 0.46, 0.83.
  const Var x = weights({-3, 0, 3, 3});
  FlightRecorder recorder;
  const Tape tape;
  const Scope layer("layer", 3);
  const Var y = sigmoid(x) * tanh(0.4 * x) + x;
  const Var z = 2.0 * x;  // no activation
  auto rows = recorder.saturations();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].activation, "sigmoid(a)");
  EXPECT_EQ(rows[0].expression, "sigmoid(a) * tanh(0.4 * b) + c");
  EXPECT_EQ(rows[0].place.layer, 3);
  EXPECT_EQ(rows[0].samples, 4);
  EXPECT_EQ(rows[0].low, 0.25);
  EXPECT_EQ(rows[0].high, 0.5);
  EXPECT_EQ(rows[1].activation, "tanh(0.4 * b)");
  EXPECT_EQ(rows[1].low, 0.25);
  EXPECT_EQ(rows[1].high, 0.5);
}

TEST(FlightRecorder, SamplesAllColumnsAndBroadcasts) {
  // 50 columns, of which 10 are saturated above and 20 below; rows alike.
  std::vector<double> columns(50, 0.0);
  std::fill_n(columns.begin(), 10, 9.0);
  std::fill_n(columns.begin() + 10, 20, -9.0);
  const Var b = parameter(Tensor({50}, columns), "b");
  const Var x = Tensor::zeros({32, 50}, DType::float64);
  const Var turned = transpose(Var(Tensor::zeros({50, 32}, DType::float64)));
  FlightRecorder recorder({.samples = 400});
  const Tape tape;
  const Var y = sigmoid(x + turned + b);
  const auto rows = recorder.saturations();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].samples, 400);
  EXPECT_NEAR(rows[0].high, 0.2, 0.03);
  EXPECT_NEAR(rows[0].low, 0.4, 0.03);
  const Var empty = tanh(slice(b, 0, 0, 0));
  EXPECT_EQ(recorder.saturations().back().samples, 0);
  EXPECT_EQ(recorder.saturations().back().low, 0);
}

TEST(FlightRecorder, SamplesEverySoManyTapes) {
  const Var w = weights({1});
  FlightRecorder recorder({.sample_every = 3});
  for (int i = 0; i < 7; ++i) {
    Tape tape;
    const Scope step("step", i);
    const Var y = tanh(w);
    step.state(y);
    tape.backward(y);
    ASSERT_EQ(recorder.saturations().size(), 1u);
    EXPECT_EQ(recorder.saturations()[0].place.step, i / 3 * 3);
    ASSERT_EQ(recorder.gradient_norms().size(), 1u);
    EXPECT_EQ(recorder.gradient_norms()[0].place.step, i / 3 * 3);
  }
  const FlightRecorder never({.sample_every = 0});
  const Tape tape;
  const Var y = tanh(w);
  EXPECT_TRUE(never.saturations().empty());
}

TEST(FlightRecorder, PrintsItsStatistics) {
  const Var w = weights({3, 0});
  FlightRecorder recorder;
  Tape tape;
  const Scope layer("layer", 1);
  Var h = w;
  for (Index t = 0; t < 2; ++t) {
    const Scope step("step", t);
    h = sigmoid(h) * 2.0;
    step.state(h);
  }
  tape.backward(sum(h) * 0.5);
  std::ostringstream text;
  text << recorder;
  EXPECT_EQ(text.str(),
            "gradient norms of state 0, layer 1 by step: 0.227 0.707\n"
            "saturation of sigmoid(a) in sigmoid(a) * 2, layer 1: 0 % low, 25 % high\n");
}

// A line is over all samples of all steps, each of which counts once.
TEST(FlightRecorder, PrintsTheShareOfAllSamples) {
  const Var high = weights({9, 9, 9, 9}), middle = weights({0});
  FlightRecorder recorder;
  Tape tape;
  for (Index t = 0; t < 2; ++t) {
    const Scope step("step", t);
    const Var y = tanh(t == 0 ? high : middle);
  }
  std::ostringstream text;
  text << recorder;
  EXPECT_EQ(text.str(), "saturation of tanh(a): 0 % low, 80 % high\n");
}

// A line is over the innermost steps; those around them stay in its title, even of the same number.
TEST(FlightRecorder, PrintsALineForEachOuterStep) {
  const Var w = weights({3, 4});
  FlightRecorder recorder;
  Tape tape;
  Var h = w;
  for (Index i = 0; i < 2; ++i) {
    const Scope outer("step", i);
    const Scope refine("refine");
    for (Index j = 0; j < 2; ++j) {
      const Scope inner("step", j);
      h = h * 2.0;
      inner.state(h);
    }
  }
  tape.backward(sum(h * vector({3, 4})));
  std::ostringstream text;
  text << recorder;
  EXPECT_EQ(text.str(),
            "gradient norms of state 0, step 0, refine by step: 40 20\n"
            "gradient norms of state 0, step 1, refine by step: 10 5\n");
}

// -- what it is made of ---------------------------------------------------------------------------

TEST(FlightRecorder, PrintsALineForEachLayerWhereLayersAreWithinSteps) {
  const Var w = weights({3, 0});
  FlightRecorder recorder;
  Tape tape;
  Var h[2] = {w, w};
  for (Index t = 0; t < 2; ++t) {
    const Scope step("step", t);
    for (Index l = 0; l < 2; ++l) {
      const Scope layer("decoder step", l);
      h[l] = (l == 0 ? h[0] : h[1] + h[0]) * 2.0;
      layer.state(h[l]);
    }
  }
  tape.backward(sum(h[1]));
  std::ostringstream text;
  text << recorder;
  EXPECT_EQ(text.str(),
            "gradient norms of state 0, decoder step 0 by step: 11.3 2.83\n"
            "gradient norms of state 0, decoder step 1 by step: 2.83 1.41\n");
}

TEST(ValueRange, OfViewsAndSpecialValues) {
  const Tensor x({2, 3}, {1, nan, 3, -inf, 5, 6}, DType::float32);
  EXPECT_EQ(to_string(range_of(x)), "(2,3) in [1, 6] but for 1 inf and 1 NaN, the first at (0,1)");
  const Tensor turned = transpose(Var(x)).tensor();
  EXPECT_EQ(to_string(range_of(turned)),
            "(3,2) in [1, 6] but for 1 inf and 1 NaN, the first at (0,1)");
  EXPECT_EQ(to_string(range_of(Tensor::full({}, nan))), "() of 1 NaN");
  EXPECT_EQ(to_string(range_of(Tensor::zeros({0, 3}))), "(0,3)");
  const Var column = slice(Var(x), 1, 2, 3);
  EXPECT_EQ(detail::finiteness(column.tensor()), detail::Finiteness::finite);
  EXPECT_EQ(detail::finiteness(slice(Var(x), 1, 0, 1).tensor()), detail::Finiteness::infinite);
  EXPECT_EQ(detail::finiteness(x), detail::Finiteness::nan);
  EXPECT_EQ(detail::finiteness(Tensor::zeros({0})), detail::Finiteness::finite);
}

TEST(ValueRange, FinitenessAtEveryPosition) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const Index size : {1, 15, 16, 33, 130}) {
      for (Index at = 0; at < size; ++at) {
        for (const double value : {inf, -inf, nan, -nan}) {
          std::vector<double> values(static_cast<std::size_t>(size), -3.0);
          values[static_cast<std::size_t>(at)] = value;
          const Tensor x = Tensor({size}, values).to(dtype);
          ASSERT_EQ(detail::finiteness(x),
                    std::isnan(value) ? detail::Finiteness::nan : detail::Finiteness::infinite);
        }
      }
    }
  }
}

TEST(ValueRange, NormsOfAnySize) {
  for (const double scale : {1e-300, 1e-160, 1.0, 1e160, 1e300}) {
    EXPECT_NEAR(detail::norm(vector({3 * scale, 0, -4 * scale}).tensor()) / scale, 5,
                testing::rounding_bound(DType::float64, 3 + 4, 5));
  }
  EXPECT_NEAR(detail::norm(vector({-3e200, -4e200}).tensor()) / 1e200, 5,
              testing::rounding_bound(DType::float64, 2 + 4, 5));
  EXPECT_NEAR(detail::norm(vector({3e-324 * 3, 3e-324 * 4}).tensor()) / 3e-324, 5, 1);
  EXPECT_EQ(detail::norm(vector({0, 0}).tensor()), 0);
  EXPECT_EQ(detail::norm(Tensor::zeros({0})), 0);
  EXPECT_EQ(detail::norm(vector({1, -inf}).tensor()), inf);
  EXPECT_TRUE(std::isnan(detail::norm(vector({1, nan, inf}).tensor())));
}

TEST(Formula, BracketsWhereNeeded) {
  const Var a = weights({1, 2});
  const auto text_of = [&](auto expression) {
    using E = decltype(expression);
    Var leaves[E::leaves];
    double constants[E::constants + 1];
    expression.collect(leaves, constants);
    return detail::formula(detail::Kernels<E>::type, constants);
  };
  EXPECT_EQ(text_of(a - (a - a) - a), "a - (b - c) - d");
  EXPECT_EQ(text_of((a + a) * -(a * a) / 2.5), "(a + b) * -(c * d) / 2.5");
  EXPECT_EQ(text_of(where(a > 0.0, tanh(a + 1.0), -a)), "where(a > 0, tanh(b + 1), -c)");
  EXPECT_EQ(text_of((a > a) + a / (a * a)), "(a > b) + c / (d * e)");
  EXPECT_EQ(text_of(a - -1.5 * a), "a - -1.5 * b");
}

// -- DOT ------------------------------------------------------------------------------------------

/// The statements of a DOT text by what they begin with: checks that quotes and braces match and
/// that both ends of each edge are declared.
struct DotGraph {
  explicit DotGraph(const std::string& text) {
    std::istringstream in(text);
    std::set<std::string> names;
    int depth = 0;
    for (std::string line; std::getline(in, line);) {
      line.erase(0, line.find_first_not_of(' '));
      bool quoted = false;
      for (std::size_t i = 0; i < line.size(); ++i) {
        if (quoted && line[i] == '\\') {
          ++i;
        } else if (line[i] == '"') {
          quoted = !quoted;
        } else if (!quoted) {
          depth += (line[i] == '{') - (line[i] == '}');
        }
      }
      EXPECT_FALSE(quoted) << line;
      EXPECT_GE(depth, line == "}" ? 0 : 1) << line;
      const bool block = line.back() == '{' || line.back() == '}';
      EXPECT_TRUE(block || line.back() == ';') << line;
      const auto name = line.substr(0, line.find(' '));
      if (line.find(" -> ") != std::string::npos) {
        edges.push_back(line);
        const auto to = line.substr(name.size() + 4);
        ends.push_back({name, to.substr(0, to.find(' '))});
      } else if (!block && line.find("[label") != std::string::npos) {
        EXPECT_TRUE(names.insert(name).second) << line;
        nodes.push_back(line);
      } else if (block) {
        blocks.push_back(line);
      } else {
        others.push_back(line);
      }
    }
    EXPECT_EQ(depth, 0);
    for (const auto& [from, to] : ends) EXPECT_TRUE(names.count(from) && names.count(to));
  }

  std::vector<std::string> nodes, edges, blocks, others;
  std::vector<std::pair<std::string, std::string>> ends;
};

std::string dot(const Tape& tape) {
  std::ostringstream out;
  write_dot(out, tape);
  return out.str();
}

TEST(WriteDot, NamesShapesAndRanges) {
  const Var w = parameter(Tensor({2, 2}, {1, 2, 3, 4}), "a \"name\"\\\n{}");
  const Var frozen = parameter(Tensor::full({2}, 7), "frozen");
  frozen.set_trainable(false);
  Tape tape;
  const Var y = tanh(w[0]) * frozen + 1.0;
  const Var loss = sum(y);
  const std::string text = dot(tape);
  const DotGraph graph(text);
  ASSERT_EQ(graph.nodes.size(), 4u);
  EXPECT_EQ(graph.nodes[0],
            "p0 [label=\"a \\\"name\\\"\\\\\\n{}\\n(2,2) in [1, 4]\" shape=ellipse];");
  EXPECT_EQ(graph.nodes[1], "n0 [label=\"tanh(a) * b + 1\\n(2) in [6.33116, 7.74819]\"];");
  EXPECT_EQ(graph.nodes[2], "n1 [label=\"sum\\n()\"];");
  EXPECT_EQ(graph.nodes[3],
            "c0 [label=\"frozen (constant)\\n(2) in [7, 7]\" shape=ellipse style=dashed];");
  EXPECT_EQ(graph.edges,
            (std::vector<std::string>{"p0 -> n0 [label=\"a (2)\"];", "c0 -> n0 [label=\"b\"];",
                                      "n0 -> n1 [label=\"0\"];"}));
  tape.backward(loss);
  EXPECT_EQ(DotGraph(dot(tape)).nodes.size(), 3u);  // values are gone, the structure is not
}

TEST(WriteDot, AValueOfWhichOnlyAPartIsRead) {
  const Var w = parameter(Tensor({2, 2}, {1, 2, 3, 4}), "w");
  const Tape tape;
  const Var y = 2.0 * w;
  const Var z = y[0] + 1.0;
  const DotGraph graph(dot(tape));
  EXPECT_EQ(graph.nodes[1], "n0 [label=\"2 * a\\n(2,2) in [2, 8]\"];");
}

TEST(WriteDot, ScopesAreClusters) {
  const Var w = weights({1, 2});
  FlightRecorder recorder;
  recorder.name(w, "net.w");
  Tape tape;
  {
    const Scope layer("layer", 1);
    const Scope unused("empty");
    for (Index t = 0; t < 2; ++t) {
      const Scope step("step", t);
      const Var y = w * 2.0;
    }
  }
  EXPECT_TRUE(found_in([&] { const Var z = w / 0.0; }));
  const DotGraph graph(dot(tape));
  EXPECT_EQ(graph.nodes.size(), 4u);
  EXPECT_EQ(graph.nodes[0], "p0 [label=\"net.w\\n(2) in [1, 2]\" shape=ellipse];");
  EXPECT_EQ(graph.others,
            (std::vector<std::string>{"node [shape=box];", "label=\"layer 1\";", "label=\"empty\";",
                                      "label=\"step 0\";", "label=\"step 1\";"}));
}

TEST(WriteDot, AnEmptyTape) {
  const Tape tape;
  EXPECT_EQ(dot(tape), "digraph tape {\n  node [shape=box];\n}\n");
}

}  // namespace
}  // namespace xgrad
