#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

Var vector(std::initializer_list<double> values, DType dtype = DType::float64) {
  return Tensor({static_cast<Index>(values.size())}, values, dtype);
}

Var weights(std::initializer_list<double> values, const char* name = "w") {
  return parameter(vector(values).tensor(), name);
}

std::vector<double> list(const Tensor& x) { return x.to_vector(); }

struct Reverse {  // the gradient reversal of Ganin and Lempitsky 2015
  static constexpr const char* name = "reverse";
  Tensor value(const Tensor& x) const { return x; }
  void pullback(Pullback& p) const { p.add(0, -p.gradient()); }
};

struct Widen {  // and its gradient is not narrowed again
  static constexpr const char* name = "widen";
  Tensor value(const Tensor& x) const { return x.to(DType::float64); }
  void pullback(Pullback& p) const { p.add(0, 2.0 * p.gradient()); }
};

struct WidenAddend : Widen {
  static std::uint32_t addends() { return 1; }
  void pullback(Pullback& p) const { p.pass_on(0); }
};

struct Failing {
  static constexpr const char* name = "failing";
  Tensor value(const Tensor& x) const { return x; }
  void pullback(Pullback&) const { throw Error("failing"); }
};

struct Wrong {
  static constexpr const char* name = "wrong";
  Tensor value(const Tensor& x) const { return x; }
  void pullback(Pullback& p) const {
    const Var square = Tensor::zeros({2, 2}, DType::float64);
    p.add_product(0, square, square);
  }
};

/// Its pullback is the test's.
struct Given {
  static constexpr const char* name = "given";
  std::function<void(Pullback&)> f;
  std::uint32_t named = 0;
  std::uint32_t addends() const { return named; }
  Tensor value(const Tensor& x) const { return x.copy(); }
  void pullback(Pullback& p) const { f(p); }
};

// -- gradients ------------------------------------------------------------------------------------

TEST(Tape, BackwardAddsIntoParameters) {
  const Var w = weights({1, 2, 3});
  Tape tape;
  tape.backward(sum(w * w));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{2, 4, 6}));
}

TEST(Tape, GradientsOfSeveralPassesAccumulate) {
  const Var w = weights({1, 2});
  for (int i = 0; i < 3; ++i) {
    Tape tape;
    tape.backward(sum(2.0 * w));
  }
  EXPECT_EQ(list(w.grad()), (std::vector<double>{6, 6}));
  w.clear_grad();
  Tape tape;
  tape.backward(sum(5.0 * w));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{5, 5}));
}

TEST(Tape, AddendsThatAreParametersHaveGradientsOfTheirOwn) {
  const Var p = weights({1, 2});
  const Var q = weights({3, 4});
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    tape.backward(sum(3.0 * Var(p + q)));
  }
  EXPECT_EQ(list(p.grad()), (std::vector<double>{6, 6}));
  EXPECT_EQ(list(q.grad()), (std::vector<double>{6, 6}));
}

TEST(Tape, AGradientThatSomebodyHoldsStaysAsItIs) {
  const Var w = weights({1, 2});
  const auto pass = [&] {
    Tape tape;
    tape.backward(sum(2.0 * w));
  };
  pass();
  const Tensor held = w.grad();
  pass();
  EXPECT_EQ(list(held), (std::vector<double>{2, 2}));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{4, 4}));
}

TEST(Tape, AGradientThatWasClearedStaysWhatItIsForWhoHoldsIt) {
  const Var w = weights({1, 2});
  for (const double factor : {2.0, 3.0}) {
    const Tensor held = w.has_grad() ? w.grad() : Tensor();
    w.clear_grad();
    Tape tape;
    tape.backward(sum(factor * w));
    if (held.size() > 0) {
      EXPECT_EQ(list(held), (std::vector<double>{2, 2}));
    }
    EXPECT_EQ(list(w.grad()), (std::vector<double>{factor, factor}));
  }
}

TEST(Tape, AGradientThatIsGivenIsCopied) {
  const Var w = parameter(Tensor::zeros({2, 3}, DType::float64), "w");
  const Tensor given = transpose(Var(Tensor({3, 2}, {1, 4, 2, 5, 3, 6}, DType::float64))).tensor();
  w.add_grad(given);
  *given.mutable_data<double>() = 7;
  EXPECT_EQ(list(w.grad()), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(w.grad().is_contiguous());
}

// A pullback may give a tensor that it goes on to hold: it is not added to in place.
TEST(Tape, AGradientThatItsOpKeepsIsNotWrittenTo) {
  const Var w = weights({1, 2});
  const Tensor kept = vector({3, 4}).tensor();
  Tape tape;
  const Var x = 2.0 * w;
  const Var y = tanh(x * 0.0);  // recorded before the op, and so passed after it
  const Var z = apply(Given{[&](Pullback& p) { p.add(0, Var(kept)); }}, x);
  tape.backward(sum(y) + sum(z), {.retain = true});
  EXPECT_EQ(list(kept), (std::vector<double>{3, 4}));
  tape.backward(sum(y) + sum(z));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{12, 16}));
}

// A range of columns that several rows of the result read.
TEST(Tape, AGateThatIsBroadcastGetsTheSumOfWhatReadsIt) {
  for (const Shape& shape : {Shape{1, 8}, Shape{3, 8}}) {
    const Var w = parameter(Tensor::full(shape, 1, DType::float64), "w");
    const Index rows = shape[0];
    const Tensor left = Generator(1).normal({5, 3, 4}, 0, 1, DType::float64);
    const Tensor right = Generator(2).normal({5, 3, 4}, 0, 1, DType::float64);
    const auto gradient = [&](TapeMode mode) {
      Tape tape(mode);
      const Var x = 2.0 * w;
      const auto [a, b] = split<2>(x);
      tape.backward(sum(a * left + tanh(b) * right));
      const std::vector<double> values = list(w.grad());
      w.clear_grad();
      return values;
    };
    const std::vector<double> fast = gradient(TapeMode::fast), naive = gradient(TapeMode::naive);
    ASSERT_EQ(fast.size(), static_cast<std::size_t>(8 * rows));
    for (std::size_t i = 0; i < fast.size(); ++i) {
      EXPECT_NEAR(fast[i], naive[i], testing::rounding_bound(DType::float64, 4 * 15, 2 * 15 * 4));
    }
  }
}

TEST(Tape, PartsOfBothInnerAxesHaveZerosElsewhere) {
  const Var w = parameter(Tensor::full({2, 3, 4}, 2, DType::float64), "w");
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    const Var x = 1.0 * w;
    tape.backward(sum(square(slice(slice(x, 1, 0, 2), 2, 0, 2))));
    const std::vector<double> row0{4, 4, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0};
    std::vector<double> expected = row0;
    expected.insert(expected.end(), row0.begin(), row0.end());
    EXPECT_EQ(list(w.grad()), expected);
    w.clear_grad();
  }
}

TEST(Tape, SeedIsTheGradientOfTheResult) {
  const Var w = weights({1, 2, 3});
  Tape tape;
  tape.backward(w * w, vector({1, 0, -1}).tensor());
  EXPECT_EQ(list(w.grad()), (std::vector<double>{2, 0, -6}));
}

TEST(Tape, AParameterIsItsOwnResult) {
  const Var w = parameter(Tensor::full({}, 3, DType::float64), "w");
  Tape tape;
  tape.backward(w);
  EXPECT_EQ(w.grad().item(), 1);
}

TEST(Tape, UntouchedParametersHaveNoGradient) {
  const Var w = weights({1});
  const Var unused = weights({1}, "unused");
  Tape tape;
  tape.backward(sum(w));
  EXPECT_TRUE(w.has_grad());
  EXPECT_FALSE(unused.has_grad());
  EXPECT_EQ(error_of([&] { unused.grad(); }), "grad: parameter 'unused' has no gradient");
}

TEST(Tape, PartlyUsedParameterHasZerosElsewhere) {
  const Var w = weights({1, 2, 3, 4});
  Tape tape;
  tape.backward(w[2] * w[2]);
  EXPECT_EQ(list(w.grad()), (std::vector<double>{0, 0, 6, 0}));
}

TEST(Tape, FrozenParametersAreConstants) {
  const Var w = weights({2});
  const Var frozen = weights({3}, "frozen");
  frozen.set_trainable(false);
  Tape tape;
  tape.backward(sum(w * frozen));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{3}));
  EXPECT_FALSE(frozen.has_grad());
}

TEST(Tape, DetachCutsOff) {
  const Var w = weights({2});
  Tape tape;
  const Var y = w * w;
  tape.backward(sum(detach(y) * w));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{4}));
}

TEST(Grad, LeavesTheParametersAlone) {
  const Var w = weights({1, 2});
  Tape tape;
  const Var h = w * w;
  const std::vector<Var> g = grad(sum(h * h), {w, h});
  EXPECT_EQ(list(g[0].tensor()), (std::vector<double>{4, 32}));
  EXPECT_EQ(list(g[1].tensor()), (std::vector<double>{2, 8}));
  EXPECT_FALSE(w.has_grad());
}

TEST(Grad, UnrelatedInputGivesZeros) {
  const Var w = weights({1, 2});
  const Var other = weights({1, 2, 3}, "other");
  Tape tape;
  EXPECT_EQ(list(grad(sum(w), {other})[0].tensor()), (std::vector<double>{0, 0, 0}));
}

TEST(Grad, DerivativesOfThirdOrder) {
  for (const double x : {-1.5, 0.0, 0.7}) {
    const Var w = weights({x});
    Tape tape;
    const Var y = sum(tanh(w) * w);
    const Var first = grad(y, {w}, {.create_graph = true})[0];
    const Var second = grad(sum(first), {w}, {.create_graph = true})[0];
    const Var third = grad(sum(second), {w})[0];
    const double t = std::tanh(x), s = 1 - t * t;  // s is the derivative of tanh
    const double roundings = 2 * (testing::elementary + 6);
    const auto bound = [&](double terms) {  // each of at most 1 or |x|
      return testing::rounding_bound(DType::float64, roundings, terms * std::max(1.0, std::abs(x)));
    };
    EXPECT_NEAR(first.item(), s * x + t, bound(2));
    EXPECT_NEAR(second.item(), -2 * t * s * x + 2 * s, bound(4));
    EXPECT_NEAR(third.item(), -2 * s * s * x + 4 * t * t * s * x - 6 * t * s, bound(12));
  }
}

TEST(Grad, HessianVectorProductOfAnLstm) {
  nn::LSTM lstm(2, 3);
  lstm.to(DType::float64);
  Generator random(3);
  const Var x = random.normal({4, 2, 2}, 0, 1, DType::float64);
  const Var Wh = lstm.cells()[0].Wh;
  const Tensor v = random.normal(Wh.shape(), 0, 1, DType::float64);
  const auto gradient = [&](bool create_graph) {
    const auto ys = lstm(x).outputs;
    return grad(sum(ys * ys * ys), {Wh}, {.create_graph = create_graph})[0];
  };
  std::vector<double> product;
  {
    Tape tape;
    product = list(grad(sum(gradient(true) * Var(v)), {Wh})[0].tensor());
  }
  const Tensor start = Tensor(Wh.shape(), list(Wh.tensor()));
  const auto moved = [&](double h) {
    Wh.assign(Var(Var(start) + h * Var(v)).tensor());
    Tape tape;
    return list(gradient(false).tensor());
  };
  const double h = 1e-5;
  const auto above = moved(h), below = moved(-h), far_above = moved(2 * h),
             far_below = moved(-2 * h);
  for (std::size_t i = 0; i < product.size(); ++i) {
    const double quotient = (above[i] - below[i]) / (2 * h);
    // The error of quotients grows with the square of the step: at 2 h it is larger by 3 times
    // that at h. Each gradient is a sum over four steps and two rows of three units.
    const double truncation = std::abs((far_above[i] - far_below[i]) / (4 * h) - quotient);
    const double rounding = testing::rounding_bound(
        DType::float64, testing::recurrent_roundings(4, 2 + 3) + 24, 3 * 24 / h);
    EXPECT_NEAR(product[i], quotient, truncation + rounding);
  }
}

TEST(Grad, OfAParameterThatTheTapeHasNotSeen) {
  const Var p = weights({1, 2});
  const Var q = weights({3}, "q");
  for (const bool create_graph : {false, true}) {
    Tape tape;
    const auto g = grad(p, vector({5, 7}), {p, q}, {.create_graph = create_graph});
    EXPECT_EQ(list(g[0].tensor()), (std::vector<double>{5, 7}));
    EXPECT_EQ(list(g[1].tensor()), (std::vector<double>{0}));
  }
}

TEST(Grad, AnOpMayReturnItsInput) {
  const Var w = parameter(Tensor::zeros({2, 3}, DType::float64), "w");
  const Var c = Tensor({3, 2}, {1, 2, 3, 4, 5, 6}, DType::float64);
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    tape.backward(sum(apply(Reverse{}, transpose(w)) * c));
    EXPECT_EQ(list(w.grad()), (std::vector<double>{-1, -3, -5, -2, -4, -6}));
    w.clear_grad();
  }
}

TEST(Grad, NaiveGradientsAreRowMajor) {
  const Var a = parameter(Tensor::zeros({2, 2}, DType::float64), "a");
  const Var b = parameter(Tensor::zeros({2, 1}, DType::float64), "b");
  const Var c = Tensor({2, 3}, {1, 2, 3, 4, 5, 6}, DType::float64);
  Tape tape(TapeMode::naive);
  tape.backward(sum(concat({a, b}, 1) * c));
  EXPECT_TRUE(a.grad().is_contiguous());
  a.add_grad(Tensor::zeros({2, 2}, DType::float64));
  EXPECT_EQ(list(a.grad()), (std::vector<double>{1, 2, 4, 5}));
}

TEST(AddGradients, AddsToWhatIsThere) {
  const Var w = weights({1, 2});
  w.add_grad(vector({1, 2}).tensor());
  const std::vector<Var> gradients[] = {{vector({10, 20})}, {vector({100, 200})}};
  add_gradients({&w, 1}, gradients);
  EXPECT_EQ(list(w.grad()), (std::vector<double>{111, 222}));
}

TEST(AddGradients, ChangesNothingIfOneDoesNotFit) {
  const Var w = weights({1, 2});
  const Var parameters[] = {w};
  const std::vector<std::vector<Var>> gradients{{vector({1, 1})}, {vector({1, 1, 1})}};
  EXPECT_THROW(add_gradients(parameters, gradients), Error);
  EXPECT_FALSE(w.has_grad());
}

TEST(AddGradients, SumsThreadsInAFixedOrder) {
  const Var w = parameter(Tensor({2}, {1, 2}, DType::float32), "w");
  std::vector<std::vector<Var>> gradients(4);
  const auto work = [&](std::size_t i) {
    Tape tape;
    gradients[i] = grad(sum(w * w * std::pow(10.0, static_cast<double>(i))), {w});
  };
  std::vector<float> results[2];
  for (auto& result : results) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
    const Var parameters[] = {w};
    add_gradients(parameters, gradients);
    result.assign(w.grad().data<float>(), w.grad().data<float>() + 2);
    w.clear_grad();
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_FLOAT_EQ(results[0][0], 2222);
}

// -- scopes ---------------------------------------------------------------------------------------

TEST(Scopes, WithoutATapeNothingIsRecorded) {
  const Var w = weights({1});
  EXPECT_FALSE(is_recording());
  const Var y = sum(w * w);
  EXPECT_FALSE(y.requires_grad());
  Tape tape;
  EXPECT_TRUE(is_recording());
  EXPECT_EQ(
      error_of([&] { tape.backward(y); }),
      "backward: y was not recorded: it is a constant, or no tape was active when it was made");
}

TEST(Scopes, NoTapeSuspends) {
  const Var w = weights({1});
  Tape tape;
  {
    const NoTape guard;
    EXPECT_FALSE(is_recording());
    EXPECT_FALSE(Var(w * w).requires_grad());
  }
  EXPECT_TRUE(Var(w * w).requires_grad());
  EXPECT_EQ(tape.size(), 1u);
}

TEST(Scopes, AGuardThatEndsInsideAYoungerTapeLeavesItAlone) {
  const Var w = weights({3});
  auto guard = std::make_unique<NoTape>();
  Tape tape;
  guard.reset();
  EXPECT_TRUE(is_recording());
  {
    const NoTape another;
    EXPECT_FALSE(is_recording());
  }
  tape.backward(sum(w * w));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{6}));
}

TEST(Detach, AViewOfIt) {
  const Var w = weights({3, 2});
  const Tape tape;
  EXPECT_FALSE(Var(detach(w)[0] * 2.0).requires_grad());
  EXPECT_TRUE(Var(w[0] * 2.0).requires_grad());
}

TEST(Scopes, InnerTapeShadowsTheOuterOne) {
  const Var w = weights({3});
  Tape outer;
  const Var y = w * w;
  {
    Tape inner;
    inner.backward(sum(5.0 * w));
    EXPECT_EQ(list(w.grad()), (std::vector<double>{5}));
    w.clear_grad();
    const std::string text = error_of([&] { Var z = y * w; });
    EXPECT_EQ(text, "tape: a Var of tape " + std::to_string(outer.id()) + " was used under tape " +
                        std::to_string(inner.id()) +
                        ": detach it, or end the inner tape's scope first");
  }
  outer.backward(sum(y));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{6}));
}

TEST(Scopes, TapesMayEndInAnyOrder) {
  const Var w = weights({3});
  auto a = std::make_unique<Tape>();
  auto b = std::make_unique<Tape>();
  a.reset();
  EXPECT_TRUE(Var(w * w).requires_grad());
  b.reset();
  EXPECT_FALSE(is_recording());
  std::unique_ptr<Tape> held;
  for (int i = 0; i < 3; ++i) {
    held = std::make_unique<Tape>();  // begins before the last one ends
    held->backward(sum(w * w));
  }
  EXPECT_EQ(list(w.grad()), (std::vector<double>{18}));
}

TEST(Scopes, TapesThatEndInAnyOrderLiftNoGuard) {
  const Tape outer;
  {
    const NoTape guard;
    auto tape = std::make_unique<Tape>();
    tape = std::make_unique<Tape>();  // the first ends inside the second
    EXPECT_TRUE(is_recording());
    tape.reset();
    EXPECT_FALSE(is_recording());
  }
  EXPECT_TRUE(is_recording());
  auto tape = std::make_unique<Tape>();
  {
    const NoTape guard;
    tape.reset();
    EXPECT_FALSE(is_recording());
  }
  EXPECT_TRUE(is_recording());
}

TEST(Scopes, TapesOutliveTheGuardsTheyBeganUnder) {
  const Tape outer;
  std::unique_ptr<Tape> tape;
  {
    const NoTape guard;
    tape = std::make_unique<Tape>();
  }
  tape = std::make_unique<Tape>();  // the first ends inside the second
  tape.reset();
  EXPECT_TRUE(is_recording());
  const NoTape guard;
  tape = std::make_unique<Tape>();
  {
    const NoTape another;
    tape.reset();
  }
  EXPECT_FALSE(is_recording());
}

TEST(Scopes, ATapeInsideNoTapeRecords) {
  const Var w = weights({3});
  const NoTape guard;
  {
    Tape tape;
    tape.backward(sum(w * w));
  }
  EXPECT_EQ(list(w.grad()), (std::vector<double>{6}));
  EXPECT_FALSE(is_recording());
}

TEST(Scopes, VarOfAFinishedTapeKeepsItsValue) {
  const Var w = weights({3});
  Var y;
  std::uint64_t id = 0;
  {
    Tape tape;
    id = tape.id();
    y = w * w;
  }
  EXPECT_EQ(list(y.tensor()), (std::vector<double>{9}));
  Tape tape;
  const std::string gone = "y was recorded on tape " + std::to_string(id) +
                           ", which is gone: a gradient needs the tape's scope";
  EXPECT_EQ(
      error_of([&] { tape.backward(sum(y)); }),
      "backward: y was not recorded: it is a constant, or no tape was active when it was made");
  EXPECT_EQ(error_of([&] { tape.backward(y); }), "backward: " + gone);
  EXPECT_EQ(error_of([&] { grad(y, {w}); }), "grad: " + gone);
  tape.backward(sum(y * w));  // it takes part as a constant
  EXPECT_EQ(list(w.grad()), (std::vector<double>{9}));
}

TEST(Scopes, EachThreadHasItsOwnTape) {
  Tape tape;
  bool recording = true;
  std::thread([&] { recording = is_recording(); }).join();
  EXPECT_FALSE(recording);
  const Var w = weights({1});
  const Var y = w * w;
  std::string text;
  std::thread([&] {
    Tape other;
    text = error_of([&] { grad(y, {w}); });
  }).join();
  EXPECT_EQ(text, "grad: y was recorded on tape " + std::to_string(tape.id()) +
                      ", which belongs to another thread");
}

// -- misuse ---------------------------------------------------------------------------------------

TEST(Misuse, SecondPassNeedsRetain) {
  const Var w = weights({1});
  Tape tape;
  const Var y = sum(w * w);
  tape.backward(y);
  EXPECT_EQ(error_of([&] { tape.backward(y); }),
            "backward: tape " + std::to_string(tape.id()) +
                " was consumed by an earlier pass: give that pass {.retain = true}");
  EXPECT_EQ(list(w.grad()), (std::vector<double>{2}));
}

TEST(Misuse, ResultMustBeAScalarOrHaveASeed) {
  const Var w = weights({1, 2});
  Tape tape;
  const Var y = w * w;
  EXPECT_EQ(error_of([&] { tape.backward(y); }),
            "backward: y is (2): it must be a scalar, or its gradient must be given as seed");
  EXPECT_EQ(error_of([&] {
              tape.backward(y, vector({1, 2, 3}).tensor());
            }),
            "backward: y is (2) of float64, its seed is (3) of float64: they must be the same");
  EXPECT_EQ(error_of([&] { grad(y, {w}); }),
            "grad: y is (2): it must be a scalar, or its gradient must be given as seed");
  tape.backward(sum(y));  // nothing was lost
}

TEST(Misuse, ParameterChangedWhileTheTapeNeedsIt) {
  const Var w = weights({1, 2}, "Wh");
  Tape tape;
  const Var y = sum(w * w);
  w.assign(vector({3, 4}).tensor());
  EXPECT_EQ(error_of([&] { tape.backward(y); }),
            "backward: parameter 'Wh' was changed (version 0 to 1) while the tape still needs it");
  EXPECT_FALSE(w.has_grad());
}

TEST(Misuse, MixedDtypes) {
  const Var a = vector({1}, DType::float32);
  const Var b = vector({1}, DType::float64);
  EXPECT_EQ(error_of([&] { Var y = a + b; }),
            "add: operands are float32 and float64: they must have one dtype");
}

TEST(Misuse, ShapesThatDoNotBroadcast) {
  const Var a = Tensor::zeros({2, 3});
  const Var b = Tensor::zeros({4});
  EXPECT_EQ(error_of([&] { Var y = tanh(a) * (a + b); }),
            "add: a is (2,3), b is (4): the extents of each axis, aligned at the right, must be "
            "equal or 1");
}

TEST(Misuse, ConstantsAreNotParameters) {
  const Var x = vector({1});
  EXPECT_EQ(error_of([&] { x.assign(x.tensor()); }), "assign: this Var is not a parameter");
  EXPECT_EQ(error_of([&] { x.grad(); }), "grad: this Var is not a parameter");
  EXPECT_EQ(error_of([&] {
              weights({1, 2})[0].clear_grad();
            }),
            "clear_grad: this Var is not a parameter");
  Tape tape;
  const Var w = weights({1});
  EXPECT_EQ(error_of([&] { grad(sum(w), {x}); }),
            "grad: an x is a constant: it must be a parameter or recorded on the tape of y");
}

TEST(Misuse, GradientByAVarOfAFinishedTape) {
  const Var w = weights({1, 2});
  auto first = std::make_unique<Tape>();
  const Var x = 2.0 * w;
  const std::string id = std::to_string(first->id());
  first.reset();
  Tape tape;
  const Var y = sum(x * w);
  EXPECT_EQ(error_of([&] { grad(y, {x}); }), "grad: an x: y was recorded on tape " + id +
                                                 ", which is gone: a gradient needs the tape's "
                                                 "scope");
}

TEST(Views, TheFirstSliceCountsFromTheEndToo) {
  const Var x = Tensor({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(list(x[-2].tensor()), (std::vector<double>{1, 2}));
  EXPECT_EQ(list(x[-1].tensor()), (std::vector<double>{3, 4}));
  EXPECT_NE(error_of([&] { x[-3]; }), "no error");
  EXPECT_NE(error_of([&] { x[2]; }), "no error");
  EXPECT_EQ(Var(Tensor({1}, {5}))[-1].item(), 5);
}

TEST(Views, AParameterIsAssignedAViewOfItself) {
  const Var w = parameter(Tensor({2, 2}, {1, 2, 3, 4}), "w");
  w.assign(transpose(w).tensor());
  EXPECT_EQ(list(w.tensor()), (std::vector<double>{1, 3, 2, 4}));
}

TEST(Misuse, AssignMustFit) {
  const Var w = weights({1, 2}, "b");
  EXPECT_EQ(error_of([&] {
              w.assign(vector({1, 2, 3}).tensor());
            }),
            "assign: parameter 'b' is (2), the argument is (3)");
  EXPECT_EQ(error_of([&] {
              w.assign(vector({1, 2}, DType::float32).tensor());
            }),
            "assign: parameter 'b' is float64, the argument is float32");
  EXPECT_EQ(list(w.tensor()), (std::vector<double>{1, 2}));
}

TEST(Misuse, EmptyVar) {
  EXPECT_EQ(error_of([&] { Var().shape(); }), "var: it has no value: assign to it first");
  const Var x = vector({1});
  EXPECT_EQ(error_of([&] { Var y = x + Var(); }), "add: an operand has no value");
}

TEST(Misuse, FrozenOrDetachedParameterChanged) {
  const Var w = weights({1, 2}, "w");
  const Var frozen = weights({3, 4}, "frozen");
  frozen.set_trainable(false);
  Tape tape;
  const Var y = sum(w * frozen);
  frozen.assign(vector({5, 6}).tensor());
  EXPECT_EQ(
      error_of([&] { tape.backward(y); }),
      "backward: parameter 'frozen' was changed (version 0 to 1) while the tape still needs it");
  const Var other = weights({1, 1}, "other");
  other.set_trainable(false);
  Tape third;
  const Var u = sum(w * frozen * other);  // the second of two
  other.assign(vector({5, 6}).tensor());
  EXPECT_NE(error_of([&] { third.backward(u); }).find("parameter 'other' was changed"),
            std::string::npos);
  Tape second;
  const Var z = sum(w * detach(w));
  w.assign(vector({5, 6}).tensor());
  EXPECT_EQ(error_of([&] { second.backward(z); }),
            "backward: parameter 'w' was changed (version 0 to 1) while the tape still needs it");
}

TEST(Misuse, AParameterConvertedWhileTheTapeNeedsIt) {
  const Var w = parameter(Tensor::zeros({2, 3}), "w");
  Tape tape;
  const Var y = sum(w);
  w.convert(DType::float64);
  EXPECT_EQ(error_of([&] { Var z = w * w; }),
            "tape: parameter 'w' was converted to float64 after tape " + std::to_string(tape.id()) +
                " had recorded it");
  EXPECT_EQ(error_of([&] { tape.backward(y); }),
            "backward: parameter 'w' was changed (version 0 to 1) while the tape still needs it");
}

TEST(Misuse, AFailedPassLosesNoGradient) {
  const Var w = weights({1, 2});
  {
    Tape tape;
    tape.backward(sum(3.0 * w));
  }
  Tape tape;
  const Var y = sum(5.0 * w) + sum(apply(Failing{}, w));
  EXPECT_EQ(error_of([&] { tape.backward(y); }), "failing");
  EXPECT_EQ(list(w.grad()), (std::vector<double>{3, 3}));
}

TEST(Misuse, ProductsOfAPullbackMustFit) {
  const Var w = parameter(Tensor::zeros({2, 3}, DType::float64), "w");
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    const Var y = sum(apply(Wrong{}, w));
    EXPECT_EQ(
        error_of([&] { tape.backward(y); }),
        "add_product: the input is (2,3), a is (2,2), b is (2,2): a.b must be a matrix of the "
        "input's shape");
  }
}

TEST(Misuse, ProductsOfAPullbackMustHaveTheInputsDtype) {
  const Var w = parameter(Tensor::zeros({2, 3}), "w");
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    const Var y = sum(apply(Given{[](Pullback& p) {
                              const Var a = Tensor::zeros({2, 2}, DType::float64);
                              const Var b = Tensor::zeros({2, 3}, DType::float64);
                              p.add_product(0, a, b);
                            }},
                            w));
    EXPECT_EQ(error_of([&] { tape.backward(y); }),
              "add_product: operands are float32 and float64: they must have one dtype");
  }
}

TEST(Misuse, AGradientOfAnotherDtype) {
  const Var w = parameter(Tensor::full({2}, 1), "w");
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    Tape tape(mode);
    const Var y = sum(apply(Widen(), w));
    EXPECT_EQ(error_of([&] { tape.backward(y); }),
              "backward: the pullback of 'widen' gives a gradient of float64 to an input of "
              "float32: they must have one dtype");
    Tape second(mode);
    const Var z = sum(apply(WidenAddend(), Var(w * 2.0)));
    EXPECT_NE(error_of([&] { second.backward(z); }).find("gives a gradient of float64"),
              std::string::npos);
    EXPECT_FALSE(w.has_grad());
  }
}

/// The error of a backward pass through an op of one input of shape (3) with that pullback.
std::string pullback_error(TapeMode mode, std::function<void(Pullback&)> f,
                           std::uint32_t addends = 0) {
  const Var w = weights({1, 2, 3});
  Tape tape(mode);
  const Var y = sum(apply(Given{std::move(f), addends}, Var(w * 2.0)));
  return error_of([&] { tape.backward(y); });
}

TEST(Misuse, APullbackAsksForAnInputThatIsNotThere) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const std::function<void(Pullback&)> uses[] = {
        [](Pullback& p) { (void)p.input(1); },
        [](Pullback& p) { (void)p.wants(1); },
        [](Pullback& p) { p.add(1, p.gradient()); },
        [](Pullback& p) { p.add_part(1, p.gradient()); },
        [](Pullback& p) { p.pass_on(1); },
        [](Pullback& p) { p.add_product(1, p.gradient(), p.gradient()); }};
    for (const auto& use : uses) {
      EXPECT_EQ(pullback_error(mode, use),
                "backward: the pullback of 'given' asks for input 1: there are 1, counted from 0");
    }
    EXPECT_EQ(pullback_error(mode, [](Pullback& p) { (void)p.input(std::size_t(-1)); }),
              "backward: the pullback of 'given' asks for input 18446744073709551615: there are 1, "
              "counted from 0");
  }
}

TEST(Misuse, APullbackGivesNoGradientOrOneThatDoesNotFit) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const std::function<void(Pullback&)> uses[] = {
        [](Pullback& p) { p.add(0, Var()); }, [](Pullback& p) { p.add_part(0, Var()); },
        [](Pullback& p) { p.add_product(0, Var(), p.gradient()); }};
    for (const auto& use : uses) {
      EXPECT_EQ(pullback_error(mode, use),
                "backward: the pullback of 'given' gives input 0 a gradient without a value: leave "
                "it out, or give zeros");
    }
    EXPECT_EQ(pullback_error(mode,
                             [](Pullback& p) {
                               p.add(0, vector({1, 2}));
                             }),
              "backward: the pullback of 'given' gives a gradient of (2) to an input of (3): they "
              "must broadcast");
  }
}

TEST(Misuse, APullbackThatDoesNotDoWhatItsAddendsSay) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    EXPECT_EQ(pullback_error(
                  mode, [](Pullback&) {}, 1),
              "backward: the pullback of 'given' does not pass on its gradient to input 0, which "
              "the op's addends() name");
    EXPECT_EQ(pullback_error(
                  mode, [](Pullback& p) { p.add(0, 2.0 * p.gradient()); }, 1),
              "backward: the pullback of 'given' adds to input 0, which the op's addends() name: "
              "it must be passed on");
    const auto twice = [](Pullback& p) {
      p.pass_on(0);
      p.pass_on(0);
    };
    EXPECT_EQ(pullback_error(mode, twice, 1),
              "backward: the pullback of 'given' passes on its gradient to input 0 twice");
    // Without a name it is an ordinary sum.
    const Var w = weights({1, 2, 3});
    Tape tape(mode);
    tape.backward(sum(apply(Given{twice}, Var(w * 1.0))));
    EXPECT_EQ(list(w.grad()), (std::vector<double>{2, 2, 2}));
  }
}

// Else the sum of the gradients of z would be taken in the op's own constant.
TEST(Misuse, APartThatIsNoPartOfTheGradientIsNotWrittenTo) {
  const Var constant = vector({5, 5, 5});
  const Var w = weights({1, 2, 3});
  Tape tape;
  const Var z = w * 1.0;
  const Var total = sum(z);
  const auto give = [&](Pullback& p) { p.add_part(0, constant); };
  tape.backward(total + sum(apply(Given{give}, z)));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{6, 6, 6}));
  EXPECT_EQ(list(constant.tensor()), (std::vector<double>{5, 5, 5}));
}

TEST(Misuse, AParameterConvertedThereAndBack) {
  const Var w = parameter(Tensor::zeros({4, 3}), "w");
  Tape tape;
  const Var y = w[1] * 2.0;
  const Var view = w[0];
  w.convert(DType::float64);
  w.convert(DType::float32);
  EXPECT_EQ(error_of([&] { Var z = w[0] * 2.0; }).find("tape: parameter 'w' was converted to "),
            0u);
  EXPECT_NE(error_of([&] { Var z = view * 2.0; }), "no error");
}

TEST(Misuse, NaiveModeNeedsRetainToo) {
  const Var w = weights({1});
  Tape tape(TapeMode::naive);
  const Var y = sum(w * w);
  tape.backward(y);
  EXPECT_THROW(tape.backward(y), Error);
}

// -- views of parameters --------------------------------------------------------------------------

struct Views {
  Var w = parameter(Tensor({2, 3}, {1, 2, 3, 4, 5, 6}), "w");
  Var row = w[1];
  Var columns = slice(transpose(w), 0, 1, 3);  // (2,2): 2 5, 3 6
  Var entry = w[1][2];
  Var constant = detach(w);
  Var row_of_constant = constant[0];
};

void expect_to_show(const Views& v, DType dtype, std::vector<double> w) {
  const std::vector<double> all = w;
  for (const Var* each : {&v.w, &v.row, &v.columns, &v.entry, &v.constant, &v.row_of_constant}) {
    EXPECT_EQ(each->dtype(), dtype);
  }
  EXPECT_EQ(list(v.w.tensor()), all);
  EXPECT_EQ(list(v.row.tensor()), (std::vector<double>{w[3], w[4], w[5]}));
  EXPECT_EQ(list(v.columns.tensor()), (std::vector<double>{w[1], w[4], w[2], w[5]}));
  EXPECT_EQ(v.entry.item(), w[5]);
  EXPECT_EQ(list(v.constant.tensor()), all);
  EXPECT_EQ(list(v.row_of_constant.tensor()), (std::vector<double>{w[0], w[1], w[2]}));
}

TEST(Views, FollowAParameterThroughConversions) {
  const Views v;
  std::vector<double> now{1, 2, 3, 4, 5, 6};
  for (const DType dtype :
       {DType::float64, DType::complex128, DType::float32, DType::float64, DType::float32}) {
    v.w.convert(dtype);
    if (dtype != DType::complex128) expect_to_show(v, dtype, now);  // which is skipped once
    for (double& x : now) x += 1;
    v.w.assign(Tensor({2, 3}, now).to(dtype));
    expect_to_show(v, dtype, now);
  }
}

TEST(Views, AGradientIsConvertedWithItsParameter) {
  const Var w = parameter(Tensor({2}, std::vector<float>{1, 2}));
  w.add_grad(Tensor({2}, std::vector<float>{0.5, 3}));
  w.convert(DType::float64);
  EXPECT_EQ(w.grad().dtype(), DType::float64);
  EXPECT_EQ(list(w.grad()), (std::vector<double>{0.5, 3}));
  Tape tape;
  tape.backward(sum(w));
  EXPECT_EQ(list(w.grad()), (std::vector<double>{1.5, 4}));
}

TEST(Views, AreWhatTheyWereToATape) {
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    const Views v;
    v.w.convert(DType::float64);
    Tape tape(mode);
    const Var y = sum(v.row * v.row) + 10.0 * v.entry + sum(v.constant) +
                  sum(matmul(v.columns, transpose(v.columns)));
    EXPECT_EQ(y.item(), 77 + 60 + 21 + 29 + 36 + 36 + 45);
    tape.backward(y);
    // Of sum(C.C^T) each entry of C gets twice the sum of its column.
    EXPECT_EQ(list(v.w.grad()), (std::vector<double>{0, 10, 10, 8, 10 + 22, 12 + 10 + 22}));
  }
}

TEST(Views, OfACloneFollowTheClone) {
  const Views v;
  v.w.convert(DType::float64);
  const Views copy = clone(v);
  v.w.assign(Tensor({2, 3}, {0, 0, 0, 0, 0, 0}, DType::float64));
  expect_to_show(copy, DType::float64, {1, 2, 3, 4, 5, 6});
  copy.w.assign(Tensor({2, 3}, {6, 5, 4, 3, 2, 1}, DType::float64));
  copy.w.convert(DType::float32);
  expect_to_show(copy, DType::float32, {6, 5, 4, 3, 2, 1});
  expect_to_show(v, DType::float64, {0, 0, 0, 0, 0, 0});
}

TEST(Views, AreFollowedByThreadsAtOnce) {
  const Views v;
  for (int round = 0; round < 20; ++round) {
    v.w.convert(round % 2 == 0 ? DType::float64 : DType::float32);
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { right += list(v.columns.tensor())[3] == 6; });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 4);
  }
}

// -- memory ---------------------------------------------------------------------------------------

TEST(Memory, AMillionNodesNeedNoStack) {
  const auto work = [](void*) -> void* {
    const Var w = parameter(Tensor::full({}, 1, DType::float64), "w");
    const Var step = parameter(Tensor::full({}, 1e-6, DType::float64), "step");
    Tape tape;
    Var y = w;
    for (int i = 0; i < 1000000; ++i) y = y + step;
    tape.backward(y);
    EXPECT_EQ(w.grad().item(), 1);
    EXPECT_EQ(step.grad().item(), 1e6);
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 8 << 20);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, work, nullptr), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(Memory, TrainingLoopIsFlat) {
#ifdef XGRAD_POOL_MALLOC
  GTEST_SKIP() << "the pool is malloc in this build";
#endif
  nn::LSTM lstm(3, 5);
  nn::Linear out(5, 1);
  std::vector<Var> parameters = lstm.parameters();
  for (const Var& p : out.parameters()) parameters.push_back(p);
  optim::Adam adam(parameters, {.lr = 1e-3});
  const Var x = Tensor::full({4, 2, 3}, 0.5);
  const Var y = Tensor::full({2, 1}, 0.25);
  const auto step = [&] {
    Tape tape;
    tape.backward(mse(out(lstm(x).last[0].h), y));
    adam.step();
  };
  for (int i = 0; i < 100; ++i) step();
  const PoolStatistics before = pool_statistics();
  for (int i = 0; i < 10000; ++i) step();
  const PoolStatistics after = pool_statistics();
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_LE(after.cached_bytes, before.cached_bytes);
}

TEST(Memory, GradientsFromOtherThreadsDoNotPileUp) {
#ifdef XGRAD_POOL_MALLOC
  GTEST_SKIP() << "the pool is malloc in this build";
#endif
  const Var w = parameter(Tensor::full({64, 64}, 1, DType::float64), "w");
  const Var parameters[] = {w};
  const auto step = [&] {
    std::vector<std::vector<Var>> gradients(1);
    std::thread([&] {
      Tape tape;
      gradients[0] = grad(sum(w * w), {w});
    }).join();
    add_gradients(parameters, gradients);
    w.clear_grad();
  };
  for (int i = 0; i < 10; ++i) step();
  const std::size_t before = pool_statistics().cached_bytes;
  for (int i = 0; i < 50; ++i) step();
  EXPECT_LE(pool_statistics().cached_bytes, before + 64 * 64 * 8);
}

TEST(Memory, BackwardReturnsWhatItHasPassed) {
#ifdef XGRAD_POOL_MALLOC
  GTEST_SKIP() << "the pool is malloc in this build";
#endif
  const Var w = parameter(Tensor::full({1000}, 1, DType::float64), "w");
  Tape tape;
  Var y = w;
  for (int i = 0; i < 100; ++i) y = sin(y);
  const Var loss = sum(y);
  y = Var();
  const std::size_t before = pool_statistics().cached_bytes;
  tape.backward(loss);
  EXPECT_GT(pool_statistics().cached_bytes, before + 90 * 8000);
}

// -- clone ----------------------------------------------------------------------------------------

TEST(Clone, HasItsOwnParametersAndKeepsTies) {
  const Var a = weights({1, 2}, "a");
  const std::vector<Var> tied{a, a, a[1]};
  const std::vector<Var> copy = clone(tied);
  EXPECT_FALSE(copy[0].is(a));
  EXPECT_TRUE(copy[0].is(copy[1]));
  copy[0].assign(vector({5, 6}).tensor());
  EXPECT_EQ(list(a.tensor()), (std::vector<double>{1, 2}));
  EXPECT_EQ(copy[2].item(), 6);  // the view is a view of the copy
  EXPECT_EQ(copy[0].name(), "a");
}

TEST(Clone, WhatIsDetachedStaysSo) {
  const Var a = weights({1, 2}, "a");
  const std::vector<Var> copy = clone(std::vector<Var>{detach(a), a});
  EXPECT_FALSE(copy[0].requires_grad());
  EXPECT_TRUE(copy[1].requires_grad());
  copy[1].assign(vector({5, 6}).tensor());
  EXPECT_EQ(list(copy[0].tensor()), (std::vector<double>{5, 6}));
}

}  // namespace
}  // namespace xgrad
