#pragma once

#include <cstdint>

#include <xgrad/core/tensor.hpp>

namespace xgrad::optim {

/// The learning rate as a function of the optimiser's step, counted from 0 (torch's schedulers are
/// mostly asked once an epoch: a `step_size` of epochs is that times the batches of one). Being
/// one, it needs no state to resume:
///
///     adam.set_learning_rate(schedule.rate(adam.steps()));
///     adam.step();
class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual double rate(std::uint64_t step) const = 0;
};

/// Always lr. Throws unless it is finite and at least 0.
class ConstantSchedule : public Schedule {
 public:
  explicit ConstantSchedule(double lr);
  double rate(std::uint64_t step) const override;

 private:
  double lr_;
};

struct StepScheduleOptions {
  double lr = 1e-3;
  std::uint64_t step_size = 0;  ///< to be given
  double gamma = 0.1;
};

/// lr gamma^floor(step / step_size), as torch's StepLR. Throws unless lr and gamma are finite and
/// at least 0 and step_size is at least 1.
class StepSchedule : public Schedule {
 public:
  explicit StepSchedule(const StepScheduleOptions& options);
  double rate(std::uint64_t step) const override;

 private:
  StepScheduleOptions options_;
};

struct CosineScheduleOptions {
  double lr = 1e-3;
  std::uint64_t warmup = 0;
  std::uint64_t total = 0;  ///< to be given
  double floor = 0;         ///< the last rate, as a fraction of lr
};

/// Rises in a line to lr at step warmup - 1, then falls by half a cosine to floor lr at step total,
/// where it stays:
///
///     lr (step + 1) / warmup                                   for step < warmup
///     lr (floor + (1 - floor) (1 + cos(pi p)) / 2)             from then on, with
///     p = min(1, (step - warmup) / (total - warmup))
///
/// Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", eq. 5,
/// without restarts. Throws unless lr is finite and at least 0, total above warmup and floor in
/// [0, 1].
class CosineSchedule : public Schedule {
 public:
  explicit CosineSchedule(const CosineScheduleOptions& options);
  double rate(std::uint64_t step) const override;

 private:
  CosineScheduleOptions options_;
};

struct PlateauScheduleOptions {
  double lr = 1e-3;
  double factor = 0.1;          ///< of the old rate
  std::uint64_t patience = 10;  ///< losses without progress that pass before a reduction
  double threshold = 1e-4;      ///< progress is a loss below best (1 - threshold)
  bool absolute = false;        ///< ... below best - threshold
  std::uint64_t cooldown = 0;   ///< losses after a reduction that count as progress
  double min_lr = 0;
};

/// Reduces the rate when a loss, say of each epoch on the validation data, stops falling; as
/// torch's ReduceLROnPlateau (mode min, eps 1e-8). A NaN is no progress.
///
///     adam.set_learning_rate(plateau.observe(validation_loss));
///
/// Throws unless lr, min_lr and threshold are finite and at least 0 and factor in [0, 1).
class PlateauSchedule {
 public:
  explicit PlateauSchedule(const PlateauScheduleOptions& options);

  /// Takes note of a loss and returns the rate from now on.
  double observe(double loss);
  double rate() const { return rate_; }

  /// All that the following rates depend on besides the options: four numbers, float64.
  Tensor state() const;
  /// Continues from there. Throws if it is no such state.
  void load_state(const Tensor& state);

 private:
  PlateauScheduleOptions options_;
  double rate_;
  double best_;
  std::uint64_t bad_ = 0;       // losses in a row without progress
  std::uint64_t cooldown_ = 0;  // losses left that count as progress
};

}  // namespace xgrad::optim
