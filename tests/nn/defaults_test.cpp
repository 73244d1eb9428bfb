// What an option is worth where it is left out: part of the interface. Each is documented where it
// is declared; most are those of PyTorch or Keras.
#include <array>

#include <gtest/gtest.h>

#include <xgrad/nn/verify/float32check.hpp>
#include <xgrad/xgrad.hpp>

namespace {

using namespace xgrad;

TEST(Defaults, OfPasses) {
  EXPECT_FALSE(BackwardOptions{}.retain);
  EXPECT_FALSE(GradOptions{}.retain);
  EXPECT_FALSE(GradOptions{}.create_graph);
}

TEST(Defaults, OfChecks) {
  const GradcheckOptions check;
  EXPECT_FALSE(check.fast);
  EXPECT_EQ(check.projections, 4);
  EXPECT_EQ(check.seed, 0U);
  EXPECT_TRUE(check.complex_step);
  EXPECT_EQ(check.resolution, 1e-6);
  EXPECT_FALSE(check.sweep);
  const Float32Options float32;
  EXPECT_EQ(float32.seed, 0U);
  EXPECT_EQ(float32.samples, 6);
  EXPECT_EQ(float32.resolution, 1e-2);
}

TEST(Defaults, OfTheRecorder) {
  const FlightRecorderOptions recorder;
  EXPECT_EQ(recorder.stop_at, StopAt::nan_or_inf);
  EXPECT_EQ(recorder.sample_every, 64);
  EXPECT_EQ(recorder.samples, 64);
  EXPECT_EQ(recorder.saturation_margin, 0.1);
}

TEST(Defaults, OfOps) {
  const CrossEntropyOptions loss;
  EXPECT_EQ(loss.ignore_index, -100);
  EXPECT_EQ(loss.label_smoothing, 0);
  EXPECT_EQ(loss.reduction, Reduction::mean);
  EXPECT_TRUE(loss.class_weights.empty());
  EXPECT_FALSE(ReduceOptions{}.keep);
  EXPECT_TRUE(VarianceOptions{}.unbiased);
  EXPECT_FALSE(VarianceOptions{}.keep);
}

TEST(Defaults, OfLayers) {
  EXPECT_EQ(nn::LSTMCellOptions{}.forget_bias, 1);
  EXPECT_TRUE(nn::GRUCellOptions{}.reset_after);
  EXPECT_EQ(nn::RNNCellOptions{}.nonlinearity, nn::Nonlinearity::tanh);
  EXPECT_TRUE(nn::LinearOptions{}.bias);
  EXPECT_EQ(nn::LinearOptions{}.bias_init({3}).to_vector(), (std::vector<double>{0, 0, 0}));
  const nn::RecurrentOptions recurrent;
  EXPECT_EQ(recurrent.layers, 1);
  EXPECT_FALSE(recurrent.bidirectional);
  EXPECT_EQ(recurrent.dropout, 0);
  EXPECT_FALSE(recurrent.reverse);
  const nn::layers::SequenceOptions sequence;
  EXPECT_FALSE(sequence.return_sequences);
  EXPECT_FALSE(sequence.bidirectional);
  EXPECT_EQ(sequence.layers, 1);
  EXPECT_EQ(sequence.dropout, 0);
  EXPECT_FALSE(sequence.reverse);
}

TEST(Defaults, OfInitialisers) {
  const auto same = [](const nn::Initializer& chosen, const nn::Initializer& expected) {
    seed(1);
    const auto first = chosen({4, 6}).to_vector();
    seed(1);
    return first == expected({4, 6}).to_vector();
  };
  EXPECT_TRUE(same(nn::LSTMCellOptions{}.input_init, nn::glorot()));
  EXPECT_TRUE(same(nn::LSTMCellOptions{}.recurrent_init, nn::orthogonal()));
  EXPECT_TRUE(same(nn::GRUCellOptions{}.input_init, nn::glorot()));
  EXPECT_TRUE(same(nn::GRUCellOptions{}.recurrent_init, nn::orthogonal()));
  EXPECT_TRUE(same(nn::RNNCellOptions{}.input_init, nn::glorot()));
  EXPECT_TRUE(same(nn::RNNCellOptions{}.recurrent_init, nn::orthogonal()));
  EXPECT_TRUE(same(nn::LinearOptions{}.weight_init, nn::glorot()));
  EXPECT_TRUE(same(nn::EmbeddingOptions{}.init, nn::normal(1)));
  EXPECT_FALSE(same(nn::glorot(), nn::he()));
}

TEST(Defaults, OfTraining) {
  const nn::FitOptions fit;
  EXPECT_EQ(fit.epochs, 1);
  EXPECT_EQ(fit.batch_size, 32);
  EXPECT_TRUE(fit.shuffle);
  EXPECT_EQ(fit.clip_norm, 0);
  EXPECT_EQ(fit.validation_split, 0);
  EXPECT_EQ(fit.patience, 0);
  EXPECT_FALSE(fit.restore_best);
  const Var y = Tensor({2}, {1.0, 5.0}), target = Tensor({2}, {0.0, 2.0});
  EXPECT_EQ(fit.loss(y, target).item(), 5);  // the mean of squares
  EXPECT_EQ(nn::EvaluateOptions{}.loss(y, target).item(), 5);
  EXPECT_EQ(nn::EvaluateOptions{}.batch_size, 32);
  EXPECT_EQ(nn::PredictOptions{}.batch_size, 32);
}

TEST(Defaults, OfOptimisers) {
  constexpr std::array betas{0.9, 0.999};
  const optim::AdamOptions adam;
  EXPECT_EQ(adam.lr, 1e-3);
  EXPECT_EQ(adam.betas, betas);
  EXPECT_EQ(adam.eps, 1e-8);
  EXPECT_EQ(adam.weight_decay, 0);
  const optim::AdamWOptions adamw;
  EXPECT_EQ(adamw.lr, 1e-3);
  EXPECT_EQ(adamw.betas, betas);
  EXPECT_EQ(adamw.eps, 1e-8);
  EXPECT_EQ(adamw.weight_decay, 0.01);
  const optim::RMSpropOptions rmsprop;
  EXPECT_EQ(rmsprop.lr, 1e-2);
  EXPECT_EQ(rmsprop.alpha, 0.99);
  EXPECT_EQ(rmsprop.eps, 1e-8);
  EXPECT_EQ(rmsprop.momentum, 0);
  EXPECT_FALSE(rmsprop.centered);
  EXPECT_EQ(rmsprop.weight_decay, 0);
  const optim::SGDOptions sgd;
  EXPECT_EQ(sgd.lr, 1e-3);
  EXPECT_EQ(sgd.momentum, 0);
  EXPECT_EQ(sgd.dampening, 0);
  EXPECT_FALSE(sgd.nesterov);
  EXPECT_EQ(sgd.weight_decay, 0);
}

TEST(Defaults, OfSchedules) {
  EXPECT_EQ(optim::StepScheduleOptions{}.lr, 1e-3);
  EXPECT_EQ(optim::StepScheduleOptions{}.gamma, 0.1);
  EXPECT_EQ(optim::CosineScheduleOptions{}.lr, 1e-3);
  EXPECT_EQ(optim::CosineScheduleOptions{}.warmup, 0U);
  EXPECT_EQ(optim::CosineScheduleOptions{}.floor, 0);
  const optim::PlateauScheduleOptions plateau;
  EXPECT_EQ(plateau.lr, 1e-3);
  EXPECT_EQ(plateau.factor, 0.1);
  EXPECT_EQ(plateau.patience, 10U);
  EXPECT_EQ(plateau.threshold, 1e-4);
  EXPECT_FALSE(plateau.absolute);
  EXPECT_EQ(plateau.cooldown, 0U);
  EXPECT_EQ(plateau.min_lr, 0);
}

}  // namespace
