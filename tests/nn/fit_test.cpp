#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/fit.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/sequential.hpp>
#include <xgrad/nn/training/progress_bar.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "error_of.hpp"
#include "rounding.hpp"

namespace {

using namespace xgrad;
using xgrad::testing::rounding_bound;
namespace layers = nn::layers;
using Strings = std::vector<std::string>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Tensor numbers(const Shape& shape, std::uint64_t key = 1, DType dtype = DType::float32) {
  return Generator(key).uniform(shape, -1, 1, dtype);
}

/// 0, 1, 2, ... in this shape.
Tensor counting(const Shape& shape) {
  std::vector<double> values;
  for (Index i = 0; i < element_count(shape); ++i) values.push_back(static_cast<double>(i));
  return Tensor(shape, values).to(DType::float32);
}

std::vector<std::vector<double>> values_of(const nn::Module& module) {
  std::vector<std::vector<double>> result;
  for (const Var& p : module.parameters()) result.push_back(p.tensor().to_vector());
  return result;
}

/// y = w x, with w = 0 at first. Keeps what it is given.
struct Slope : nn::Module {
  explicit Slope(double start = 0) : w(param("w", Tensor({}, {start}))) {}
  Var operator()(const Var& x) const {
    seen->push_back(x.tensor().to_vector());
    starts->push_back(w.item());
    modes->push_back(training());
    return w * x;
  }
  Var w;
  std::shared_ptr<std::vector<std::vector<double>>> seen =
      std::make_shared<std::vector<std::vector<double>>>();
  std::shared_ptr<std::vector<double>> starts = std::make_shared<std::vector<double>>();
  std::shared_ptr<std::vector<bool>> modes = std::make_shared<std::vector<bool>>();
};

TEST(Fit, TheKerasModelLearnsASeries) {
  seed(0);
  std::vector<float> inputs, targets;
  for (int i = 0; i < 200; ++i) {
    for (int t = 0; t < 10; ++t) inputs.push_back(std::sin(0.5F * static_cast<float>(i + t)));
    targets.push_back(std::sin(0.5F * static_cast<float>(i + 10)));
  }
  const Tensor x({200, 10, 1}, inputs), y({200, 1}, targets);

  nn::Sequential model(
      {layers::LSTM(50, {.return_sequences = true}), layers::LSTM(20), layers::Dense(1)});
  const nn::History history =
      nn::fit(model, x, y, {.epochs = 20, .batch_size = 32, .validation_split = 0.1});
  ASSERT_EQ(history.loss.size(), 20U);
  EXPECT_LT(history.val_loss.back(), 0.02);  // the variance of y is 0.5
  EXPECT_EQ(to_string(nn::predict(model, x).shape()), "(200,1)");
}

TEST(Fit, EqualsALoopByHand) {
  const Tensor x = numbers({10, 3, 2}, 1), y = numbers({10, 1}, 2);
  seed(4);
  nn::Sequential model({layers::LSTM(4), layers::Dense(1)});
  model.build({3, 2});
  nn::Sequential twin = clone(model);
  const nn::History history = nn::fit(
      model, x, y,
      {.epochs = 2, .batch_size = 4, .shuffle = false, .optimizer = optim::SGDOptions{.lr = 0.1}});

  optim::SGD sgd(twin.parameters(), {.lr = 0.1});
  for (std::size_t epoch = 0; epoch < 2; ++epoch) {
    double sum = 0;
    for (const Index begin : {0, 4, 8}) {
      const Index end = std::min<Index>(begin + 4, 10);
      Tape tape;
      const Var loss = mse(twin(slice(Var(x), 0, begin, end)), slice(Var(y), 0, begin, end));
      tape.backward(loss);
      sgd.step();
      sum += loss.item() * static_cast<double>(end - begin);
    }
    EXPECT_NEAR(history.loss[epoch], sum / 10, rounding_bound(DType::float64, 2 * 4, sum));
  }
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    EXPECT_EQ(values_of(model)[i], values_of(twin)[i]);
  }
}

TEST(Fit, TheSameSeedGivesTheSameBits) {
  const Tensor x = numbers({20, 4, 1}, 1), y = numbers({20, 1}, 2);
  const auto train = [&](std::uint64_t key) {
    seed(key);
    nn::Sequential model({layers::LSTM(3), layers::Dropout(0.2), layers::Dense(1)});
    nn::fit(model, x, y, {.epochs = 3, .batch_size = 8});
    return values_of(model);
  };
  EXPECT_EQ(train(1), train(1));
  EXPECT_NE(train(1), train(2));
}

TEST(Fit, EachEpochSeesEachSampleOnceInANewOrder) {
  const Tensor x = counting({10});
  Slope model;
  seed(1);
  nn::fit(model, x, x, {.epochs = 2, .batch_size = 4, .optimizer = optim::SGDOptions{.lr = 0}});
  ASSERT_EQ(model.seen->size(), 6U);
  std::vector<double> orders[2];
  for (std::size_t i = 0; i < 6; ++i) {
    const std::vector<double>& batch = (*model.seen)[i];
    EXPECT_EQ(batch.size(), i % 3 == 2 ? 2U : 4U);  // the rest is a batch, too
    orders[i / 3].insert(orders[i / 3].end(), batch.begin(), batch.end());
  }
  EXPECT_NE(orders[0], orders[1]);
  for (std::vector<double>& order : orders) {
    EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, x.to_vector());
  }
  model.seen->clear();
  nn::fit(model, x, x, {.batch_size = 4, .shuffle = false});
  EXPECT_EQ((*model.seen)[0], (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ((*model.seen)[2], (std::vector<double>{8, 9}));
}

TEST(Fit, BatchesOfSequencesLieTimeFirst) {
  const Tensor x = counting({3, 4, 2});
  std::vector<Tensor> batches;
  nn::Sequential model({[&](const Var& batch) {
                          batches.push_back(batch.tensor());
                          return batch;
                        },
                        layers::Flatten(), layers::Dense(1)});
  model.build({4, 2});
  batches.clear();
  nn::fit(model, x, Tensor::zeros({3, 1}), {.batch_size = 2, .shuffle = false});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(to_string(batches[0].shape()), "(2,4,2)");
  std::vector<double> first = x.to_vector();
  EXPECT_EQ(batches[0].to_vector(), std::vector<double>(first.begin(), first.begin() + 16));
  EXPECT_EQ(batches[1].to_vector(), std::vector<double>(first.begin() + 16, first.end()));
  EXPECT_TRUE(transpose(Var(batches[0]), {1, 0, 2}).tensor().is_contiguous());
}

TEST(Fit, PairsInputsWithTheirTargets) {
  // With the targets of other samples the slope could not become 2.
  const Tensor x = numbers({50, 3, 1}, 1);
  const Tensor y = Var(2.0 * Var(x)).tensor();
  Slope model;
  seed(1);
  nn::fit(model, x, y, {.epochs = 40, .batch_size = 7, .optimizer = optim::SGDOptions{.lr = 0.3}});
  EXPECT_NEAR(model.w.item(), 2, 1e-4);
}

TEST(Fit, HistoryHasTheMeanLossesOfEachEpoch) {
  const Tensor x = Tensor({3}, {1, 1, 4});
  const Tensor y = Tensor::zeros({3});
  Slope model(1);
  const nn::History history = nn::fit(model, x, y,
                                      {.epochs = 2,
                                       .batch_size = 2,
                                       .shuffle = false,
                                       .optimizer = optim::SGDOptions{.lr = 0},
                                       .validation = {Tensor({2}, {1, 3}), Tensor::zeros({2})}});
  EXPECT_EQ(history.loss, (std::vector<double>{6, 6}));  // (1 + 1 + 16) / 3
  EXPECT_EQ(history.val_loss, (std::vector<double>{5, 5}));
  ASSERT_EQ(history.seconds.size(), 2U);
  EXPECT_GE(history.seconds[0], 0);
  EXPECT_EQ(history.best_epoch, 1);
  EXPECT_EQ(nn::evaluate(model, x, y, {.batch_size = 2}), 6);
}

TEST(Fit, ValidatesByTheLossItTrainsOn) {
  Slope model;
  const Tensor x = Tensor::full({4}, 1), y = Tensor({4}, {0, 1, 3, 4});
  const auto nothing = [](const std::vector<Var>& parameters) {
    return std::make_unique<optim::SGD>(parameters, optim::SGDOptions{.lr = 0});
  };
  const nn::History history =
      nn::fit(model, x, y, {.loss = mae, .optimizer = nothing, .validation = {x, y}});
  EXPECT_EQ(history.loss, std::vector<double>{2});
  EXPECT_EQ(history.val_loss, std::vector<double>{2});
}

/// Of the user's own, built by the shape of a sample.
struct BuiltBySample : nn::Module {
  void build(const Shape& sample, DType) { *seen = sample; }
  Var operator()(const Var& x) const { return w * x; }
  Var w = param("w", Tensor::zeros({}));
  std::shared_ptr<Shape> seen = std::make_shared<Shape>();
};

TEST(Fit, BuildsAModelOfTheUsersForASample) {
  BuiltBySample model;
  nn::fit(model, Tensor::zeros({6, 4, 3}), Tensor::zeros({6, 4, 3}));
  EXPECT_EQ(to_string(*model.seen), "(4,3)");
}

TEST(Fit, TheSplitTakesTheLastSamplesForValidation) {
  const Tensor x = counting({10});
  Slope model;
  const nn::History history = nn::fit(model, x, x, {.validation_split = 0.25});
  // 2.5, rounded, are for validation.
  ASSERT_EQ(model.seen->size(), 2U);
  EXPECT_EQ(std::set((*model.seen)[0].begin(), (*model.seen)[0].end()),
            (std::set<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ((*model.seen)[1], (std::vector<double>{7, 8, 9}));
  EXPECT_EQ(history.val_loss.size(), 1U);
}

TEST(Fit, StopsEarlyAndRestoresTheBestEpoch) {
  // The slope goes from 0 to 10, the validation data want 3.
  const Tensor x = Tensor::full({4}, 1);
  const nn::FitOptions options{.epochs = 100,
                               .batch_size = 4,
                               .optimizer = optim::SGDOptions{.lr = 0.05},
                               .validation = {x, Tensor::full({4}, 3)},
                               .patience = 4};
  Slope model;
  const nn::History history = nn::fit(model, x, Tensor::full({4}, 10), options);
  // After epoch k the slope is 10 (1 - 0.9^k): 2.71 after 3, 3.439 after 4.
  EXPECT_EQ(history.best_epoch, 3);
  EXPECT_EQ(history.val_loss.size(), 7U);
  // Each step takes the difference, its mean square's slope and the update.
  const auto bound = [](double steps) { return rounding_bound(DType::float32, 8 * steps, 10); };
  EXPECT_NEAR(model.w.item(), 10 * (1 - std::pow(0.9, 7)), bound(7));

  nn::FitOptions restoring = options;
  restoring.restore_best = true;
  Slope other;
  nn::fit(other, x, Tensor::full({4}, 10), restoring);
  EXPECT_NEAR(other.w.item(), 2.71, bound(3));
}

TEST(Fit, TheBestEpochIsByTheLossWithoutValidation) {
  const Tensor x = Tensor::full({4}, 1);
  Slope model;
  // Too large a rate: the loss grows from the second epoch on.
  const nn::History history = nn::fit(model, x, x,
                                      {.epochs = 10,
                                       .optimizer = optim::SGDOptions{.lr = 1.1},
                                       .patience = 2,
                                       .restore_best = true});
  EXPECT_EQ(history.best_epoch, 1);
  EXPECT_EQ(history.loss.size(), 3U);
  EXPECT_NEAR(model.w.item(), 2.2, rounding_bound(DType::float32, 8, 2.2));
}

TEST(Fit, ReportsEachBatchAndEpoch) {
  Strings reports;
  Slope model;
  nn::fit(model, Tensor::full({5}, 1), Tensor::zeros({5}),
          {.epochs = 2,
           .batch_size = 3,
           .validation = {Tensor::full({1}, 1), Tensor({1}, {2.0})},
           .callback = [&](const nn::FitReport& r) {
             std::ostringstream text;
             text << r.epoch << '/' << r.epochs << ' ' << r.batch << '/' << r.batches << ' '
                  << r.loss << (r.epoch_ended ? " end" : "") << (r.last ? " last" : "");
             if (r.val_loss) text << " val " << *r.val_loss;
             reports.push_back(text.str());
           }});
  EXPECT_EQ(reports, (Strings{"1/2 1/2 0", "1/2 2/2 0", "1/2 2/2 0 end val 4", "2/2 1/2 0 last",
                              "2/2 2/2 0 last", "2/2 2/2 0 end last val 4"}));
}

TEST(Fit, TheCallbackMayEndTheTraining) {
  const Tensor x = counting({6});
  Slope model;
  Strings events;
  const nn::History history = nn::fit(
      model, x, x, {.epochs = 9, .batch_size = 2, .callback = [&](const nn::FitReport& r) {
                      events.push_back(std::to_string(r.epoch) + (r.epoch_ended ? " ends" : "") +
                                       (r.last ? " last" : ""));
                      return !(r.epoch == 2 && r.batch == 2);
                    }});
  // The epoch ends there, and is reported as the last one.
  EXPECT_EQ(events, (Strings{"1", "1", "1", "1 ends", "2", "2", "2 ends last"}));
  EXPECT_EQ(history.loss.size(), 2U);
  EXPECT_EQ(model.seen->size(), 5U);

  Slope other;
  EXPECT_EQ(
      nn::fit(other, x, x,
              {.epochs = 9,
               .callback = [](const nn::FitReport& r) { return !(r.epoch_ended && r.epoch == 3); }})
          .loss.size(),
      3U);
}

TEST(Fit, TheCallbackMayChangeTheLearningRate) {
  Slope model;
  nn::fit(model, Tensor::full({1}, 1), Tensor::full({1}, 1),
          {.epochs = 2, .optimizer = optim::SGDOptions{.lr = 0.25}, .callback = [](auto& report) {
             report.optimizer.set_learning_rate(0);
           }});
  EXPECT_EQ(model.w.item(), 0.5);
}

TEST(Fit, ALossThatIsNotFiniteStopsAtTheLastGoodModel) {
  // Sample 5 is broken: it is in the third batch.
  Tensor x = Tensor({8}, {1, 1, 1, 1, 1, nan, 1, 1});
  Slope model;
  EXPECT_EQ(error_of([&] {
              nn::fit(model, x, Tensor::full({8}, 1),
                      {.epochs = 5,
                       .batch_size = 2,
                       .shuffle = false,
                       .optimizer = optim::SGDOptions{.lr = 0.25}});
            }),
            "fit: the loss is nan at step 3 (epoch 1, batch 3 of 4): training stops, the model has "
            "the parameters that step 2 began with, the last ones that gave a finite loss");
  EXPECT_EQ(model.w.item(), 0.5);  // after the first step
  EXPECT_FALSE(model.w.has_grad());

  Slope fresh(3);
  EXPECT_EQ(error_of([&] { nn::fit(fresh, Tensor::full({1}, nan), Tensor::full({1}, 1)); }),
            "fit: the loss is nan at step 1 (epoch 1, batch 1 of 1): training stops, the model is "
            "unchanged");
  EXPECT_EQ(fresh.w.item(), 3);
  EXPECT_TRUE(fresh.training());
}

TEST(Fit, ADivergingTrainingEndsAtFiniteParameters) {
  seed(2);
  const Tensor x = numbers({32, 5, 1}, 1), y = numbers({32, 1}, 2);
  nn::Sequential model({layers::LSTM(4), layers::Dense(1)});
  const std::string text = error_of([&] {
    nn::fit(model, x, y,
            {.epochs = 200, .batch_size = 8, .optimizer = optim::SGDOptions{.lr = 1e6}});
  });
  EXPECT_NE(text.find("the last ones that gave a finite loss"), std::string::npos) << text;
  EXPECT_TRUE(std::isfinite(nn::evaluate(model, x, y)));
}

TEST(Fit, ParametersThatAreNotFiniteAreNoticedAfterTheEpoch) {
  Slope model;
  EXPECT_EQ(error_of([&] {
              nn::fit(model, Tensor::full({1}, 1e9), Tensor::full({1}, 1e9),
                      {.optimizer = optim::SGDOptions{.lr = 1e30}});
            }).find("fit: parameter 'w' is not finite after step 1 (epoch 1, batch 1 of 1)"),
            0U);
  EXPECT_EQ(model.w.item(), 0);
}

TEST(Fit, AValidationLossThatIsNotFiniteIsAnError) {
  Slope model;
  EXPECT_EQ(error_of([&] {
              nn::fit(model, Tensor::full({1}, 1), Tensor::full({1}, 1),
                      {.validation = {Tensor::full({1}, nan), Tensor::full({1}, 1)}});
            }).find("fit: the validation loss is nan after step 1 "),
            0U);
}

TEST(Fit, ModesAreAsTheyShouldBe) {
  const Tensor x = Tensor::full({4}, 1);
  Slope model;
  model.eval();
  nn::fit(model, x, x, {.batch_size = 4, .validation = {x, x}});
  EXPECT_EQ(*model.modes, (std::vector<bool>{true, false}));
  EXPECT_FALSE(model.training());
  model.train();
  nn::predict(model, x);
  nn::evaluate(model, x, x);
  EXPECT_EQ(*model.modes, (std::vector<bool>{true, false, false, false}));
  EXPECT_TRUE(model.training());
  EXPECT_NE(error_of([&] { nn::predict(model, Tensor()); }), "no error");
  EXPECT_TRUE(model.training());
}

TEST(Fit, PredictAndEvaluateAreFreeOfDropoutAndOfBatches) {
  seed(1);
  nn::Sequential model({layers::LSTM(8), layers::Dropout(0.5), layers::Dense(2)});
  const Tensor x = numbers({7, 5, 3}, 1), y = numbers({7, 2}, 2);
  const Tensor all = nn::predict(model, x);
  EXPECT_EQ(to_string(all.shape()), "(7,2)");
  EXPECT_TRUE(model.training());
  for (const Index batch_size : {1, 3, 7, 100}) {
    const std::vector<double> part = nn::predict(model, x, {.batch_size = batch_size}).to_vector();
    const double roundings = 2 * (xgrad::testing::recurrent_roundings(5, 3 + 8) + 8 + 1);
    const double bound = rounding_bound(DType::float32, roundings);
    for (std::size_t i = 0; i < part.size(); ++i) {
      EXPECT_NEAR(part[i], all.to_vector()[i], bound);
    }
    // Squares of differences of at most 2.
    EXPECT_NEAR(nn::evaluate(model, x, y, {.batch_size = batch_size}), mse(Var(all), Var(y)).item(),
                2 * 2 * bound + rounding_bound(DType::float32, 2 * (14 + 2), 2 * 2));
  }
}

TEST(Fit, AChildsOwnModeStaysButNoneTrainsInEvaluation) {
  struct Net : nn::Module {
    Net() : first(child("first", Slope(1))), second(child("second", Slope(1))) {}
    Var operator()(const Var& x) const { return second(first(x)); }
    Slope first, second;
  };
  const Tensor x = Tensor::full({4}, 1);
  Net net;
  net.first.eval();
  nn::fit(net, x, x, {.epochs = 2, .batch_size = 4, .validation = {x, x}});
  EXPECT_EQ(*net.first.modes, (std::vector<bool>{false, false, false, false}));
  EXPECT_EQ(*net.second.modes, (std::vector<bool>{true, false, true, false}));
  nn::predict(net, x);
  EXPECT_FALSE(net.first.training());
  EXPECT_TRUE(net.second.training());
  net.eval();
  net.first.train();
  nn::predict(net, x);
  EXPECT_FALSE(net.first.modes->back());
  EXPECT_TRUE(net.first.training());
  EXPECT_FALSE(net.training());
}

TEST(Fit, SamplesMayLieInMemoryInAnyWay) {
  Slope model(1);
  const auto given = [&](const Var& x) { return nn::predict(model, x.tensor()).to_vector(); };
  // Axes of one element, whose strides mean nothing.
  const Tensor steps = counting({1, 5, 3});
  EXPECT_EQ(given(transpose(Var(steps), {1, 0, 2})), steps.to_vector());
  const Tensor column = counting({4, 1});
  EXPECT_EQ(given(transpose(Var(column))), column.to_vector());
  EXPECT_EQ(given(slice(Var(counting({8, 4})), 0, 0, 4, 4)), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(given(slice(Var(counting({8, 2})), 0, 1, 8, 3)),
            (std::vector<double>{2, 3, 8, 9, 14, 15}));
}

TEST(Fit, TheResultsOfAllBatchesFitTogether) {
  nn::Sequential model({[](const Var& x) { return matmul(x, transpose(x)); }});
  EXPECT_EQ(error_of([&] {
              nn::predict(model, counting({40, 4}));
            }),
            "predict: the result is (8,8) float32 for the samples from 32 on: with those before "
            "it must be (8,32) float32");
}

TEST(Fit, PredictRecordsNothing) {
  Slope model(2);
  Tape tape;
  nn::predict(model, Tensor::full({3}, 1));
  nn::evaluate(model, Tensor::full({3}, 1), Tensor::full({3}, 1));
  EXPECT_EQ(tape.size(), 0U);
}

TEST(Fit, SequencesAsTargets) {
  seed(1);
  nn::Sequential model({layers::GRU(6, {.return_sequences = true}), layers::Dense(1)});
  const Tensor x = numbers({20, 5, 1}, 1);
  const nn::History history = nn::fit(model, x, x, {.epochs = 60, .batch_size = 8});
  EXPECT_LT(history.loss.back(), 0.3 * history.loss.front());
  EXPECT_EQ(to_string(nn::predict(model, x).shape()), "(20,5,1)");
}

TEST(Fit, SmallestSizes) {
  nn::Sequential model({layers::LSTM(3), layers::Dense(1)});
  const Tensor one = numbers({1, 1, 1}, 1);  // one sample of one step, a batch larger than the data
  EXPECT_EQ(nn::fit(model, one, Tensor::full({1, 1}, 0.5), {.batch_size = 64}).loss.size(), 1U);
  EXPECT_EQ(to_string(nn::predict(model, one).shape()), "(1,1)");
  const Tensor two = numbers({2, 1, 1}, 1);
  EXPECT_EQ(nn::fit(model, two, Tensor::full({2, 1}, 0.5), {.batch_size = 1}).loss.size(), 1U);
}

TEST(Fit, TakesFloat64AndXtensorArrays) {
  const xt::xarray<double> x = xt::ones<double>({6, 2});
  const xt::xarray<double> y = xt::zeros<double>({6, 1});
  nn::Sequential model({layers::Dense(1)});
  nn::fit(model, x, y);
  EXPECT_EQ(model.dtype(), DType::float64);
  EXPECT_EQ(nn::predict(model, x).value<double>().shape(0), 6U);
}

TEST(Fit, Losses) {
  const Tensor x = Tensor({2}, {1, 2}), zero = Tensor::zeros({2});
  Slope model(2);
  EXPECT_EQ(nn::evaluate(model, x, zero), 10);
  EXPECT_EQ(nn::evaluate(model, x, zero, {.loss = mae}), 3);
  EXPECT_NEAR(nn::evaluate(model, zero, zero, {.loss = binary_cross_entropy_with_logits}),
              std::log(2), rounding_bound(DType::float32, xgrad::testing::elementary));
  EXPECT_EQ(
      nn::evaluate(model, x, zero, {.loss = [](const Var& p, const Var& t) { return sum(p + t); }}),
      6);
  EXPECT_EQ(error_of([&] {
              nn::fit(model, x, zero,
                      {.loss = [](const Var& p, const Var&) -> Var { return 2.0 * p; }});
            }),
            "fit: the loss is (2): it must be a single number");
}

TEST(Fit, LearnsClasses) {
  seed(1);
  const Tensor x = numbers({60, 2}, 1);
  std::vector<float> classes;  // the quadrant
  for (std::size_t i = 0; i < 60; ++i) {
    classes.push_back(
        static_cast<float>((x.to_vector()[2 * i] > 0) + 2 * (x.to_vector()[2 * i + 1] > 0)));
  }
  const Tensor y({60}, classes);
  nn::Sequential model({layers::Dense(16, nn::Activation::relu), layers::Dense(4)});
  const nn::FitOptions options{
      .epochs = 100, .loss = cross_entropy, .optimizer = optim::AdamWOptions{.lr = 3e-2}};
  EXPECT_LT(nn::fit(model, x, y, options).loss.back(), 0.2);  // chance: log 4 = 1.39
  EXPECT_NE(error_of([&] {
              nn::fit(model, x, Tensor::full({60}, 0.5), options);
            }).find("0.500000 is not a whole number"),
            std::string::npos);
  // What cross_entropy ignores may be a target.
  const Tensor ignored = y.copy();
  std::fill_n(ignored.mutable_data<float>(), 30, -100.0f);
  EXPECT_TRUE(std::isfinite(nn::evaluate(model, x, ignored, {.loss = cross_entropy})));
}

TEST(Fit, Optimisers) {
  // One step from 0 with gradient -2.
  const auto after_one_step = [](const nn::OptimizerChoice& optimizer) {
    Slope model;
    const Tensor one = Tensor::full({1}, 1);
    nn::fit(model, one, one, {.optimizer = optimizer});
    return model.w.item();
  };
  // The optimiser's eps is 1e-8 of the size of the gradient.
  const auto bound = [](double w) { return rounding_bound(DType::float32, 16, w) + 1e-7 * w; };
  EXPECT_NEAR(after_one_step(optim::AdamOptions{}), 1e-3, bound(1e-3));
  EXPECT_NEAR(after_one_step(optim::AdamWOptions{.lr = 0.5}), 0.5, bound(0.5));
  EXPECT_NEAR(after_one_step(optim::SGDOptions{.lr = 0.25}), 0.5, bound(0.5));
  EXPECT_NEAR(after_one_step(optim::RMSpropOptions{.lr = 0.1}), 1, bound(1));
  EXPECT_NEAR(after_one_step([](const std::vector<Var>& parameters) {
                return std::make_unique<optim::SGD>(parameters, optim::SGDOptions{.lr = 1});
              }),
              2, bound(2));
}

TEST(Fit, ClipsTheNormOfTheGradients) {
  Slope model;
  nn::fit(model, Tensor::full({1}, 1), Tensor::full({1}, 1000),
          {.optimizer = optim::SGDOptions{.lr = 1}, .clip_norm = 0.125});
  // clip_norm adds 1e-6 to the norm of 2000.
  EXPECT_NEAR(model.w.item(), 0.125, rounding_bound(DType::float32, 16, 0.125));
}

TEST(Fit, FrozenParametersStayAndOldGradientsDoNotCount) {
  Slope model;
  model.w.add_grad(Tensor({}, {100.0}));
  nn::fit(model, Tensor::full({1}, 1), Tensor::full({1}, 1),
          {.optimizer = optim::SGDOptions{.lr = 0.25}});
  EXPECT_EQ(model.w.item(), 0.5);

  seed(1);
  nn::Sequential net({layers::LSTM(3), layers::Dense(1)});
  net.build({4, 1}).parameters()[0].set_trainable(false);
  const auto before = values_of(net);
  nn::fit(net, numbers({8, 4, 1}), Tensor::zeros({8, 1}));
  EXPECT_EQ(values_of(net)[0], before[0]);
  EXPECT_NE(values_of(net)[1], before[1]);
}

// Whatever was wrong, perhaps it was x.
TEST(Fit, AFailureBeforeTheFirstStepLeavesASequentialUnbuilt) {
  const Tensor x = numbers({4, 3}), y = numbers({4, 2}, 2);
  nn::Sequential model({layers::Dense(2)});
  const auto unbuilt_after = [&](const auto& call) {
    EXPECT_THROW(call(), Error);
    EXPECT_FALSE(model.built());
    EXPECT_TRUE(model.parameters().empty());
  };
  unbuilt_after([&] { nn::fit(model, y, x); });  // the loss finds that they are the wrong way round
  unbuilt_after([&] { nn::fit(model, y, numbers({5, 2})); });
  unbuilt_after([&] { nn::fit(model, y, y, {.epochs = 0}); });
  unbuilt_after([&] { nn::evaluate(model, y, x); });
  unbuilt_after([&] { nn::evaluate(model, y, y, {.batch_size = 0}); });
  unbuilt_after([&] { nn::predict(model, y, {.batch_size = 0}); });
  unbuilt_after([&] { nn::fit(model, y, Tensor::full({4, 2}, nan)); });
  model.eval();
  nn::fit(model, x, y);
  EXPECT_EQ(model.parameters()[0].shape(), (Shape{3, 2}));
  EXPECT_FALSE(model.training());
  // What has been learned is kept.
  const auto stop = [](const nn::FitReport& report) {
    if (report.batch == 2) throw Error("enough");
  };
  nn::Sequential other({layers::Dense(2)});
  EXPECT_THROW(nn::fit(other, x, y, {.batch_size = 1, .callback = stop}), Error);
  EXPECT_TRUE(other.built());
  EXPECT_THROW(nn::fit(other, y, y), Error);
  EXPECT_TRUE(other.built());
}

TEST(Fit, ABatchMayBeLargerThanAllSamples) {
  const Tensor x = numbers({5, 3}), y = numbers({5, 1}, 2);
  constexpr Index most = std::numeric_limits<Index>::max();
  for (const Index batch_size : {Index{5}, Index{6}, most / 2 + 3, most}) {
    seed(3);
    nn::Sequential model({layers::Dense(1)});
    const auto history =
        nn::fit(model, x, y, {.epochs = 2, .batch_size = batch_size, .validation_split = 0.4});
    const double loss = nn::evaluate(model, x, y, {.batch_size = batch_size});
    EXPECT_EQ(loss, nn::evaluate(model, x, y, {.batch_size = 5}));
    EXPECT_EQ(nn::predict(model, x, {.batch_size = batch_size}).to_vector(),
              nn::predict(model, x, {.batch_size = 5}).to_vector());
    EXPECT_EQ(history.loss.size(), 2U);
  }
}

TEST(Fit, ErrorsNameWhatIsWrong) {
  Slope model;
  const Tensor x = Tensor::zeros({4}), y = Tensor::zeros({4});
  const auto fit_error = [&](const nn::FitOptions& options) {
    return error_of([&] { nn::fit(model, x, y, options); });
  };
  EXPECT_EQ(error_of([&] { nn::fit(model, x, Tensor::zeros({3})); }),
            "fit: x is (4), y is (3): their first extents, the numbers of samples, must be equal");
  EXPECT_EQ(error_of([&] {
              nn::fit(model, Tensor::zeros({0, 3}), Tensor::zeros({0}));
            }),
            "fit: x is (0,3): it has no samples");
  EXPECT_EQ(error_of([&] { nn::fit(model, Tensor({}, {1.0}), y); }),
            "fit: x is (): it has no samples");
  EXPECT_EQ(fit_error({.validation = {Tensor::zeros({2}), Tensor::zeros({3})}}),
            "fit: validation: x is (2), y is (3): their first extents, the numbers of samples, "
            "must be equal");
  EXPECT_EQ(fit_error({.epochs = 0}), "fit: epochs is 0: it must be at least 1");
  EXPECT_EQ(fit_error({.batch_size = 0}), "fit: batch_size is 0: it must be at least 1");
  EXPECT_EQ(fit_error({.clip_norm = nan}), "fit: clip_norm is nan: it must be at least 0");
  EXPECT_EQ(fit_error({.patience = -1}), "fit: patience is -1: it must be at least 0");
  EXPECT_EQ(fit_error({.validation_split = 1}),
            "fit: validation_split is 1.000000: it must be at least 0 and below 1");
  EXPECT_EQ(fit_error({.validation_split = 0.01}),
            "fit: a validation_split of 0.010000 leaves nothing on one side of 4 samples");
  EXPECT_EQ(fit_error({.validation = {x, y}, .validation_split = 0.5}),
            "fit: there are both validation data and a validation_split: give one of them");
  EXPECT_NE(error_of([&] {
              nn::fit(model, x, Tensor::zeros({4, 1}));
            }).find("mse: "),
            std::string::npos);
  EXPECT_EQ(error_of([&] { nn::predict(model, x, {.batch_size = -1}); }),
            "predict: batch_size is -1: it must be at least 1");
  EXPECT_EQ(error_of([&] { nn::evaluate(model, x, Tensor::zeros({3})); }),
            "evaluate: x is (4), y is (3): their first extents, the numbers of samples, must be "
            "equal");
  EXPECT_EQ(
      fit_error({.optimizer =
                     [](const std::vector<Var>&) { return std::unique_ptr<optim::Optimizer>(); }}),
      "fit: the function that makes the optimizer has given none");
  nn::FitOptions moved;
  const nn::FitOptions taken = std::move(moved);
  EXPECT_EQ(fit_error(moved), "optimizer: the choice was moved from");
  EXPECT_EQ(error_of([&] { nn::evaluate(model, x, y, {.loss = moved.loss}); }),
            "loss: it was moved from");
  EXPECT_TRUE(model.w.item() == 0);

  nn::Sequential total({[](const Var& v) { return sum(v, {0}, {.keep = true}); }});
  EXPECT_EQ(error_of([&] {
              nn::predict(total, Tensor::zeros({4, 2}));
            }),
            "predict: the model gives (1,2) for 4 samples: its first axis must be the batch");
  EXPECT_EQ(error_of([&] {
              nn::evaluate(total, Tensor::zeros({4, 2}), y);
            }),
            "evaluate: the model gives (1,2) for 4 samples: its first axis must be the batch");
  nn::Sequential swapped({layers::Dense(2), [](const Var& v) { return transpose(v); }});
  EXPECT_EQ(error_of([&] {
              nn::fit(swapped, Tensor::zeros({4, 2}), Tensor::zeros({4, 2}));
            }),
            "fit: the model gives (2,4) for 4 samples: its first axis must be the batch");
  model.freeze();
  EXPECT_EQ(fit_error({}), "fit: the loss does not depend on a parameter that is trainable");
  nn::Sequential empty({layers::Flatten()});
  EXPECT_NE(error_of([&] { nn::fit(empty, x, y); }).find("there are no parameters"),
            std::string::npos);
}

TEST(ProgressBar, WritesALinePerEpochWhereThereIsNoTerminal) {
  std::ostringstream out;
  Slope model;
  const Tensor x = Tensor::full({4}, 1);
  nn::fit(model, x, Tensor::zeros({4}),
          {.epochs = 2, .batch_size = 2, .validation = {x, x}, .callback = nn::ProgressBar{out}});
  std::string line;
  std::istringstream lines(out.str());
  for (const char* begin :
       {"epoch 1/2: loss 0, val_loss 1, 0.", "epoch 2/2: loss 0, val_loss 1, 0."}) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line.find(begin), 0U) << line;
    EXPECT_TRUE(line.ends_with(" s")) << line;
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(ProgressBar, DrawsOneLineOnATerminal) {
  std::ostringstream out;
  Slope model;
  const Tensor x = Tensor::full({4}, 1);
  nn::fit(model, x, Tensor::zeros({4}),
          {.epochs = 3, .batch_size = 2, .callback = nn::ProgressBar{out, true}});
  const std::string text = out.str();
  EXPECT_EQ(text.find("\repoch 1/3 [###.................] loss 0"), 0U) << text;
  EXPECT_NE(text.find("\repoch 3/3 [####################] loss 0"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_TRUE(text.ends_with("0:00 left\033[K\n")) << text;
}

// The time left is in proportion to that of all epochs so far, and begins anew with each training.
TEST(ProgressBar, TellsTheTimeLeft) {
  std::ostringstream out;
  const nn::ProgressBar bar(out, true);
  const Var w = parameter(Tensor::zeros({1}), "w");
  optim::SGD optimizer({w}, {.lr = 1});
  const auto shown = [&](Index epoch, Index batch, bool epoch_ended, double seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(110));  // it draws ten times a second
    out.str("");
    bar({.epoch = epoch,
         .epochs = 2,
         .batch = batch,
         .batches = 4,
         .epoch_ended = epoch_ended,
         .last = epoch == 2,
         .loss = 1,
         .val_loss = epoch_ended ? std::optional(0.5) : std::nullopt,
         .seconds = seconds,
         .optimizer = optimizer});
    const std::string text = out.str();
    return std::regex_replace(text, std::regex("[^]*  (.*) left[^]*"), "$1");
  };
  for (const char* training :
       {"first", "second, after one that ended", "third, after one that did not"}) {
    SCOPED_TRACE(training);
    EXPECT_EQ(shown(1, 2, false, 30), "1:30");
    EXPECT_EQ(out.str().find("val_loss"), std::string::npos);  // of the training before
    EXPECT_EQ(shown(1, 4, false, 60), "1:00");
    EXPECT_EQ(shown(1, 4, true, 60), "1:00");
    EXPECT_EQ(shown(2, 2, false, 60), "0:40");
    if (training[0] == 's') continue;
    EXPECT_EQ(shown(2, 4, true, 90), "0:00");
  }
}

TEST(ProgressBar, EndsItsLineWhenTrainingFails) {
  std::ostringstream out;
  Slope model;
  EXPECT_NE(error_of([&] {
              nn::fit(model, Tensor({2}, {1.0, nan}), Tensor::zeros({2}),
                      {.batch_size = 1, .shuffle = false, .callback = nn::ProgressBar{out, true}});
            }),
            "no error");
  EXPECT_TRUE(out.str().ends_with("\n"));
}

TEST(ProgressBar, AStreamThatThrowsDoesNotEndTheProgram) {
  std::ostringstream out;
  Slope model;
  const auto breaks = [bar = nn::ProgressBar{out, true}, &out](const nn::FitReport& report) {
    bar(report);
    out.exceptions(std::ios::badbit | std::ios::failbit);
    out.setstate(std::ios::badbit);
  };
  EXPECT_THROW(nn::fit(model, Tensor::full({2}, 1), Tensor::zeros({2}),
                       {.batch_size = 1, .callback = breaks}),
               std::ios_base::failure);
}

}  // namespace
