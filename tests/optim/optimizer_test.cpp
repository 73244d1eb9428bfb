#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/optim/elements.hpp>
#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

using optim::Adam;
using optim::AdamW;
using optim::Optimizer;
using optim::RMSprop;
using optim::SGD;

using Make = std::unique_ptr<Optimizer> (*)(const std::vector<Var>&);

struct Kind {
  std::string name;
  Make make;
};

/// One of each sort, so that every moment is in use.
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"sgd",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<SGD>(p, optim::SGDOptions{.lr = 0.1});
       }},
      {"sgd_dampened",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<SGD>(
             p,
             optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.1});
       }},
      {"sgd_nesterov",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<SGD>(
             p, optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true});
       }},
      {"adam",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<Adam>(p, optim::AdamOptions{.lr = 0.1, .weight_decay = 0.1});
       }},
      {"adamw",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<AdamW>(p, optim::AdamWOptions{.lr = 0.1});
       }},
      {"rmsprop",
       [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<RMSprop>(p);
       }},
      {"rmsprop_centered", [](const std::vector<Var>& p) -> std::unique_ptr<Optimizer> {
         return std::make_unique<RMSprop>(
             p, optim::RMSpropOptions{.momentum = 0.9, .centered = true, .weight_decay = 0.1});
       }}};
  return all;
}

Tensor numbers(std::initializer_list<double> values, DType dtype = DType::float64) {
  return Tensor({static_cast<Index>(values.size())}, values, dtype);
}

/// Some gradient that depends on the step and the value.
void give_gradient(const Var& p, int step) {
  std::vector<double> gradient = p.tensor().to_vector();
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = gradient[i] + std::sin(static_cast<double>(i) + 1.7 * step);
  }
  p.add_grad(Tensor(p.shape(), gradient).to(p.dtype()));
}

class EveryOptimizer : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, EveryOptimizer, ::testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

TEST_P(EveryOptimizer, TreatsEveryElementAlikeWithAnyNumberOfThreads) {
  // Several parts for the threads, the last one short, and a length that is no multiple of any
  // vector width. Elements repeat with a period of 7, so the first 7 stand for all of them.
  const Index n = 2 * detail::elements_per_part + 1003;
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const int thread_count : {1, 3}) {
      set_threads(thread_count);
      std::vector<double> value, gradient;
      for (Index i = 0; i < n; ++i) {
        value.push_back(std::cos(static_cast<double>(i % 7)));
        gradient.push_back(std::sin(static_cast<double>(i % 7) + 0.5));
      }
      const Var large = parameter(Tensor({n}, value).to(dtype));
      const std::vector<double> period(value.begin(), value.begin() + 7);
      const std::vector<double> gradient_period(gradient.begin(), gradient.begin() + 7);
      const Var small = parameter(Tensor({7}, period).to(dtype));
      const auto optimizer = GetParam().make({large, small});
      for (int t = 0; t < 3; ++t) {
        large.add_grad(Tensor({n}, gradient).to(dtype));
        small.add_grad(Tensor({7}, gradient_period).to(dtype));
        optimizer->step();
      }
      const std::vector<double> actual = large.tensor().to_vector();
      const std::vector<double> expected = small.tensor().to_vector();
      std::size_t different = 0;
      for (std::size_t i = 0; i < actual.size(); ++i) different += actual[i] != expected[i % 7];
      EXPECT_EQ(different, 0u) << name(dtype) << ", " << thread_count << " threads";
      EXPECT_NE(expected[0], value[0]);
    }
  }
  set_threads(1);
}

TEST_P(EveryOptimizer, ContinuesFromItsStateBitForBit) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const std::vector<Var> ps{parameter(numbers({0.3, -0.7, 1.1}, dtype)),
                              parameter(numbers({2.0}, dtype)),
                              parameter(numbers({0.5, 0.6}, dtype))};
    ps[1].set_trainable(false);  // never updated before the state is saved
    const auto first = GetParam().make(ps);
    const auto train = [](Optimizer& optimizer, int from, int to) {
      for (int t = from; t < to; ++t) {
        give_gradient(optimizer.parameters()[0], t);
        give_gradient(optimizer.parameters()[1], t);
        if (t % 2 == 0) give_gradient(optimizer.parameters()[2], t);
        optimizer.step();
      }
    };
    train(*first, 0, 7);
    const auto saved = first->state();
    const auto saved_numbers = [&] {
      std::vector<std::vector<double>> all;
      for (const auto& [key, tensor] : saved) all.push_back(tensor.to_vector());
      return all;
    };
    const auto saved_before = saved_numbers();
    const std::vector<Var> copies = clone(ps);
    ps[1].set_trainable(true);
    copies[1].set_trainable(true);
    train(*first, 7, 14);

    const auto second = GetParam().make(copies);
    second->load_state(saved);
    EXPECT_EQ(second->steps(), 7u);
    train(*second, 7, 14);
    EXPECT_EQ(second->steps(), 14u);
    EXPECT_EQ(saved_numbers(), saved_before);  // neither optimiser works on it
    for (std::size_t i = 0; i < ps.size(); ++i) {
      EXPECT_EQ(ps[i].tensor().to_vector(), copies[i].tensor().to_vector()) << i;
    }
    const auto end = first->state();
    const auto other_end = second->state();
    ASSERT_EQ(end.size(), other_end.size());
    for (const auto& [key, tensor] : end) {
      EXPECT_EQ(tensor.to_vector(), other_end.at(key).to_vector()) << key;
    }
  }
}

TEST_P(EveryOptimizer, CarriesOnInAnotherDType) {
  const Var p = parameter(numbers({0.3, -0.7, 1.1}, DType::float32));
  const Var q = parameter(p.tensor().to(DType::float64));
  const auto converted = GetParam().make({p});
  const auto constant = GetParam().make({q});
  for (int t = 0; t < 6; ++t) {
    if (t == 3) p.convert(DType::float64);
    give_gradient(p, t);
    give_gradient(q, t);
    converted->step();
    constant->step();
  }
  // Three steps in float32, each some dozen sums, products and roots.
  const double bound = testing::rounding_bound(DType::float32, 3 * 16);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(p.tensor().to_vector()[i], q.tensor().to_vector()[i], bound);
  }
}

TEST_P(EveryOptimizer, StartsAParameterWhenItsFirstGradientComes) {
  const Var early = parameter(numbers({1.0}));
  const Var late = parameter(numbers({0.3, -0.7}));
  const Var alone = parameter(late.tensor());
  const auto both = GetParam().make({early, late});
  for (int t = 0; t < 5; ++t) {
    give_gradient(early, t);
    both->step();
  }
  const auto fresh = GetParam().make({alone});
  for (int t = 5; t < 8; ++t) {
    give_gradient(late, t);
    give_gradient(alone, t);
    both->step();
    fresh->step();
  }
  EXPECT_EQ(late.tensor().to_vector(), alone.tensor().to_vector());
}

TEST_P(EveryOptimizer, LetsNaNThroughAndAcceptsEmptyParameters) {
  const Var p = parameter(numbers({1.0, 2.0}));
  const Var empty = parameter(Tensor::zeros({0, 3}, DType::float64));
  const auto optimizer = GetParam().make({p, empty});
  p.add_grad(numbers({std::nan(""), 1.0}));
  empty.add_grad(Tensor::zeros({0, 3}, DType::float64));
  optimizer->step();
  EXPECT_TRUE(std::isnan(p.tensor().to_vector()[0]));
  EXPECT_TRUE(std::isfinite(p.tensor().to_vector()[1]));
  EXPECT_EQ(empty.version(), 1u);
}

TEST(Dampening, ScalesAllGradientsButTheFirst) {
  const Var p = parameter(numbers({1.0}));
  SGD sgd({p}, {.lr = 0.5, .momentum = 0.5, .dampening = 0.75});
  p.add_grad(numbers({1.0}));
  sgd.step();
  EXPECT_EQ(p.item(), 0.5);  // b = 1
  p.add_grad(numbers({2.0}));
  sgd.step();
  EXPECT_EQ(p.item(), 0.0);  // b = 0.5 * 1 + 0.25 * 2 = 1
}

TEST(Step, ConsumesGradientsSoThatMicroBatchesAddUp) {
  const Var p = parameter(numbers({3.0}));
  SGD sgd({p}, {.lr = 0.125});
  const auto backward = [&](double factor) {
    Tape tape;
    const Var loss = factor * p[0] * p[0];
    tape.backward(loss);
  };
  backward(1.0);
  EXPECT_EQ(p.grad().item(), 6.0);
  backward(2.0);
  EXPECT_EQ(p.grad().item(), 18.0);
  const void* memory = p.grad().bytes();
  sgd.step();
  EXPECT_EQ(p.item(), 0.75);
  EXPECT_FALSE(p.has_grad());
  EXPECT_EQ(error_of([&] { p.grad(); }), "grad: parameter '' has no gradient");
  backward(1.0);
  EXPECT_EQ(p.grad().item(), 1.5);
  EXPECT_EQ(p.grad().bytes(), memory);  // used again
  sgd.step();
  sgd.step();  // no gradient: no change
  EXPECT_EQ(p.item(), 0.5625);
  EXPECT_EQ(p.version(), 2u);
  EXPECT_EQ(sgd.steps(), 3u);
}

TEST(Step, UpdatesTiedParametersOnce) {
  const Var p = parameter(numbers({1.0}), "tied");
  const Var q = parameter(numbers({1.0}));
  const Var same = p;
  SGD sgd({p, q, same, p}, {.lr = 0.25});
  ASSERT_EQ(sgd.parameters().size(), 2u);
  EXPECT_TRUE(sgd.parameters()[0].is(p));
  EXPECT_TRUE(sgd.parameters()[1].is(q));
  p.add_grad(numbers({1.0}));
  sgd.step();
  EXPECT_EQ(p.item(), 0.75);
  EXPECT_EQ(p.version(), 1u);
}

TEST(Step, AdamWDecaysByOneInAHundredUnlessTold) {
  const Var p = parameter(numbers({1.0}));
  AdamW adamw({p}, {.lr = 0.5});
  p.add_grad(numbers({0.0}));
  adamw.step();
  EXPECT_EQ(p.item(), 1 - 0.5 * 0.01);
}

TEST(Step, LeavesFrozenParametersAlone) {
  const Var p = parameter(numbers({1.0}));
  const Var frozen = parameter(numbers({1.0}));
  AdamW adamw({p, frozen}, {.lr = 0.1, .weight_decay = 0.5});
  p.add_grad(numbers({1.0}));
  frozen.add_grad(numbers({1.0}));
  frozen.set_trainable(false);
  adamw.step();
  EXPECT_NE(p.item(), 1.0);
  EXPECT_EQ(frozen.item(), 1.0);
  EXPECT_EQ(frozen.version(), 0u);
  // What it had is gone, too: later gradients do not add to it.
  EXPECT_FALSE(frozen.has_grad());
}

TEST(Step, ChangesTheValueInPlace) {
  const Var p = parameter(numbers({1.0, 2.0}));
  const Var view = p[1];
  SGD sgd({p}, {.lr = 0.5});
  p.add_grad(numbers({1.0, 1.0}));
  sgd.step();
  EXPECT_EQ(view.item(), 1.5);
}

TEST(Step, MakesATapeThatNeedsTheOldValueRefuse) {
  const Var p = parameter(numbers({1.0}), "weight");
  SGD sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var loss = p[0] * p[0];
  p.add_grad(numbers({1.0}));
  sgd.step();
  EXPECT_EQ(p.version(), 1u);
  EXPECT_EQ(error_of([&] { tape.backward(loss); }),
            "backward: parameter 'weight' was changed (version 0 to 1) while the tape still needs "
            "it");
}

TEST(Step, IsSeenByProductsWithPackedWeights) {
  const Var W = parameter(Tensor::full({16, 16}, 1.0));
  const Var x = Tensor::full({4, 16}, 1.0);
  SGD sgd({W}, {.lr = 0.5});
  EXPECT_EQ(matmul(x, W).tensor().to_vector()[0], 16.0);
  W.add_grad(Tensor::full({16, 16}, 1.0));
  sgd.step();
  EXPECT_EQ(matmul(x, W).tensor().to_vector()[0], 8.0);
}

/// An optimiser as a user writes it: p <- p - lr sign(g), with a count of positive gradients.
class SignDescent : public Optimizer {
 public:
  SignDescent(const std::vector<Var>& parameters, double lr)
      : Optimizer("SignDescent", parameters, lr, {"positive"}) {}

 private:
  void update(const optim::Update& update) override {
    for (Index i = 0; i < update.value.size(); ++i) {
      const double g = update.gradient.data<double>()[i];
      update.value.mutable_data<double>()[i] -= learning_rate() * (g > 0 ? 1 : -1);
      update.moments[0].mutable_data<double>()[i] += g > 0;
    }
  }
};

TEST(Optimizer, CanBeWrittenOutsideTheLibrary) {
  const Var p = parameter(numbers({1.0, 2.0}));
  SignDescent descent({p}, 0.5);
  for (int t = 0; t < 2; ++t) {
    p.add_grad(numbers({3.0, -3.0}));
    descent.step();
  }
  EXPECT_EQ(p.tensor().to_vector(), (std::vector<double>{0.0, 3.0}));
  EXPECT_EQ(descent.state().at("0.positive").to_vector(), (std::vector<double>{2.0, 0.0}));
}

TEST(State, HoldsStepsAndMoments) {
  const Var p = parameter(numbers({1.0, 2.0}, DType::float32));
  const Var idle = parameter(numbers({1.0}));
  Adam adam({p, idle}, {.betas = {0.5, 0.75}});
  EXPECT_EQ(adam.state().size(), 1u);
  p.add_grad(numbers({2.0, -4.0}, DType::float32));
  adam.step();
  adam.step();
  const auto state = adam.state();
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state.at("steps").item(), 2.0);
  EXPECT_EQ(state.at("steps").dtype(), DType::float64);
  EXPECT_EQ(state.at("0.steps").item(), 1.0);
  EXPECT_EQ(state.at("0.m").dtype(), DType::float32);
  EXPECT_EQ(state.at("0.m").to_vector(), (std::vector<double>{1.0, -2.0}));
  EXPECT_EQ(state.at("0.v").to_vector(), (std::vector<double>{1.0, 4.0}));
}

TEST(Step, TakesTheRateOfTheMoment) {
  const auto step_sizes = [](auto make) {
    const Var p = parameter(numbers({0.0}));
    auto optimizer = make(std::vector<Var>{p});
    std::vector<double> sizes;
    for (const double rate : {0.5, 0.0, 0.25}) {
      const double before = p.item();
      optimizer.set_learning_rate(rate);
      p.add_grad(numbers({1.0}));
      optimizer.step();
      sizes.push_back(std::abs(p.item() - before));
    }
    return sizes;
  };
  for (const std::vector<double>& sizes :
       {step_sizes([](const auto& p) { return SGD(p, {.lr = 9}); }),
        step_sizes([](const auto& p) { return Adam(p, {.lr = 9}); }),
        step_sizes([](const auto& p) { return AdamW(p, {.lr = 9, .weight_decay = 0}); }),
        step_sizes([](const auto& p) { return RMSprop(p, {.lr = 9}); })}) {
    EXPECT_GT(sizes[0], 0.1);
    EXPECT_LT(sizes[0], 6);  // 9 would be at least that
    EXPECT_EQ(sizes[1], 0);
    EXPECT_GT(sizes[2], 0.05);
  }
}

TEST(Step, EpsIsThatOfTheOptions) {
  // m / (sqrt(v) + eps) is 1 / 4 after the first step with a gradient of 1, corrected.
  const auto moved = [](auto make) {
    const Var p = parameter(numbers({0.0}));
    auto optimizer = make(std::vector<Var>{p});
    p.add_grad(numbers({1.0}));
    optimizer.step();
    return p.item();
  };
  const double bound = testing::rounding_bound(DType::float64, 16);
  EXPECT_NEAR(moved([](const auto& p) { return Adam(p, {.lr = 1, .eps = 3}); }), -0.25, bound);
  EXPECT_NEAR(moved([](const auto& p) { return AdamW(p, {.lr = 1, .eps = 3}); }), -0.25, bound);
  EXPECT_NEAR(moved([](const auto& p) { return RMSprop(p, {.lr = 1, .alpha = 0.75, .eps = 3.5}); }),
              -0.25, bound);
}

TEST(State, ReplacesAllThatWasThere) {
  const Var p = parameter(numbers({1.0})), q = parameter(numbers({1.0}));
  Adam one({p, q});
  p.add_grad(numbers({1.0}));
  one.step();
  const auto state = one.state();  // of p alone
  p.add_grad(numbers({5.0}));
  q.add_grad(numbers({5.0}));
  one.step();
  one.load_state(state);
  EXPECT_EQ(one.steps(), 1u);
  const auto again = one.state();
  ASSERT_EQ(again.size(), state.size());
  for (const auto& [name, tensor] : state) {
    EXPECT_EQ(again.at(name).to_vector(), tensor.to_vector()) << name;
  }
}

TEST(Step, ASkippedOneClearsTheGradientsOfFrozenParametersToo) {
  const Var p = parameter(numbers({1.0}));
  p.add_grad(numbers({1.0}));
  p.set_trainable(false);
  const SGD sgd({p});
  sgd.clear_grad();
  EXPECT_FALSE(p.has_grad());
}

TEST(State, IsRefusedWhereItDoesNotFit) {
  const Var p = parameter(numbers({1.0, 2.0}), "w");
  const auto trained = [&] {
    Adam adam({p});
    p.add_grad(numbers({1.0, 1.0}));
    adam.step();
    return adam.state();
  };
  const auto good = trained();
  const auto refusal = [&](const std::function<void(std::map<std::string, Tensor>&)>& damage) {
    auto state = good;
    damage(state);
    Adam adam({p});
    const std::string text = error_of([&] { adam.load_state(state); });
    EXPECT_EQ(adam.state().size(), 1u);  // unchanged
    EXPECT_EQ(adam.steps(), 0u);
    return text;
  };
  EXPECT_EQ(refusal([](auto& s) { s.erase("steps"); }), "Adam: load_state: there is no \"steps\"");
  EXPECT_EQ(refusal([](auto& s) { s.erase("0.v"); }), "Adam: load_state: there is no \"0.v\"");
  EXPECT_EQ(refusal([](auto& s) { s["0.m"] = Tensor::zeros({3}, DType::float64); }),
            "Adam: load_state: \"0.m\" is float64(3), parameter 'w' is float64(2): the shapes must "
            "agree");
  EXPECT_EQ(refusal([](auto& s) { s["0.m"] = Tensor::zeros({2}, DType::float32); }),
            "Adam: load_state: \"0.m\" is float32(2), parameter 'w' is float64(2): the dtypes must "
            "agree");
  EXPECT_EQ(refusal([](auto& s) { s["1.m"] = s["0.m"]; }),
            "Adam: load_state: \"1.m\" is unknown: the optimiser has 1 parameters, each with "
            "\"steps\", \"m\", \"v\"");
  EXPECT_EQ(refusal([](auto& s) { s["steps"] = Tensor::full({}, -1, DType::float64); }),
            "Adam: load_state: \"steps\" must hold one whole number that is not negative");
  EXPECT_EQ(refusal([](auto& s) { s["0.steps"] = Tensor::full({}, 0.5, DType::float64); }),
            "Adam: load_state: \"0.steps\" must hold one whole number that is not negative");
  EXPECT_EQ(refusal([](auto& s) { s["steps"] = Tensor::zeros({2}, DType::float64); }),
            "Adam: load_state: \"steps\" must hold one whole number that is not negative");
  // A state of Adam in RMSprop, which has no m.
  RMSprop rmsprop({p});
  EXPECT_EQ(error_of([&] { rmsprop.load_state(good); }),
            "RMSprop: load_state: \"0.m\" is unknown: the optimiser has 1 parameters, each with "
            "\"steps\", \"v\"");
}

TEST(Options, AreChecked) {
  const Var p = parameter(numbers({1.0}));
  const auto sgd = [&](const optim::SGDOptions& o) { return error_of([&] { SGD({p}, o); }); };
  const auto adam = [&](const optim::AdamOptions& o) { return error_of([&] { Adam({p}, o); }); };
  const auto adamw = [&](const optim::AdamWOptions& o) { return error_of([&] { AdamW({p}, o); }); };
  const auto rmsprop = [&](const optim::RMSpropOptions& o) {
    return error_of([&] { RMSprop({p}, o); });
  };
  EXPECT_EQ(sgd({}), "no error");
  EXPECT_EQ(sgd({.lr = -0.1}), "SGD: lr is -0.1: it must be finite and at least 0");
  EXPECT_EQ(sgd({.lr = std::nan("")}), "SGD: lr is nan: it must be finite and at least 0");
  EXPECT_EQ(sgd({.momentum = -1}), "SGD: momentum is -1: it must be finite and at least 0");
  EXPECT_EQ(sgd({.nesterov = true}), "SGD: momentum is 0: it must be above 0 with nesterov");
  EXPECT_EQ(sgd({.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
            "SGD: dampening is 0.1: it must be 0 with nesterov");
  EXPECT_EQ(sgd({.dampening = INFINITY}), "SGD: dampening is inf: it must be finite");
  EXPECT_EQ(sgd({.weight_decay = -1}), "SGD: weight_decay is -1: it must be finite and at least 0");
  EXPECT_EQ(adam({}), "no error");
  EXPECT_EQ(adam({.lr = INFINITY}), "Adam: lr is inf: it must be finite and at least 0");
  EXPECT_EQ(adam({.betas = {1, 0}}), "Adam: betas[0] is 1: it must be at least 0 and below 1");
  EXPECT_EQ(adam({.betas = {0, -0.5}}),
            "Adam: betas[1] is -0.5: it must be at least 0 and below 1");
  EXPECT_EQ(adam({.eps = -1}), "Adam: eps is -1: it must be finite and at least 0");
  EXPECT_EQ(adamw({}), "no error");
  EXPECT_EQ(adamw({.betas = {0, std::nan("")}}),
            "AdamW: betas[1] is nan: it must be at least 0 and below 1");
  EXPECT_EQ(adamw({.weight_decay = -1}),
            "AdamW: weight_decay is -1: it must be finite and at least 0");
  EXPECT_EQ(rmsprop({}), "no error");
  EXPECT_EQ(rmsprop({.alpha = 1}), "RMSprop: alpha is 1: it must be at least 0 and below 1");
  EXPECT_EQ(rmsprop({.eps = -1}), "RMSprop: eps is -1: it must be finite and at least 0");
  EXPECT_EQ(rmsprop({.momentum = -1}), "RMSprop: momentum is -1: it must be finite and at least 0");
  EXPECT_EQ(rmsprop({.weight_decay = -1}),
            "RMSprop: weight_decay is -1: it must be finite and at least 0");
  Adam good({p});
  EXPECT_EQ(error_of([&] { good.set_learning_rate(-1); }),
            "Adam: lr is -1: it must be finite and at least 0");
  EXPECT_EQ(good.learning_rate(), 1e-3);
}

TEST(Parameters, AreChecked) {
  const Var p = parameter(numbers({1.0}), "w");
  EXPECT_EQ(error_of([] { Adam({}); }), "Adam: there are no parameters: give it at least one");
  EXPECT_EQ(error_of([&] {
              Adam({p, Var(numbers({1.0}))});
            }),
            "Adam: parameters[1] is not a parameter");
  EXPECT_EQ(error_of([&] { SGD({Var()}); }), "SGD: parameters[0] is not a parameter");
  EXPECT_EQ(error_of([&] { SGD({p[0]}); }), "SGD: parameters[0] is not a parameter");
  SGD sgd({p});
  p.convert(DType::complex128);
  EXPECT_EQ(error_of([&] { sgd.step(); }),
            "SGD: parameter 0 'w' is complex128: it must be float32 or float64");
  EXPECT_EQ(sgd.steps(), 0u);
}

}  // namespace
}  // namespace xgrad
