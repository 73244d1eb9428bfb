#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/optim/options.hpp>
#include <xgrad/optim/schedule.hpp>

namespace xgrad::optim {

ConstantSchedule::ConstantSchedule(double lr) : lr_(lr) {
  detail::check_not_negative("ConstantSchedule", "lr", lr);
}

double ConstantSchedule::rate(std::uint64_t) const { return lr_; }

StepSchedule::StepSchedule(const StepScheduleOptions& options) : options_(options) {
  detail::check_not_negative("StepSchedule", "lr", options.lr);
  detail::check_option(options.step_size > 0, "StepSchedule", "step_size", 0, "at least 1");
  detail::check_not_negative("StepSchedule", "gamma", options.gamma);
}

double StepSchedule::rate(std::uint64_t step) const {
  const auto reductions = static_cast<double>(step / options_.step_size);
  return options_.lr * std::pow(options_.gamma, reductions);
}

CosineSchedule::CosineSchedule(const CosineScheduleOptions& options) : options_(options) {
  detail::check_not_negative("CosineSchedule", "lr", options.lr);
  detail::check_option(options.total > options.warmup, "CosineSchedule", "total",
                       static_cast<double>(options.total),
                       ("above warmup, " + std::to_string(options.warmup)).c_str());
  detail::check_option(options.floor >= 0 && options.floor <= 1, "CosineSchedule", "floor",
                       options.floor, "in [0, 1]");
}

double CosineSchedule::rate(std::uint64_t step) const {
  const auto& [lr, warmup, total, floor] = options_;
  if (step < warmup) return lr * (static_cast<double>(step + 1) / static_cast<double>(warmup));
  const double progress =
      std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(total - warmup));
  return lr * (floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress)));
}

PlateauSchedule::PlateauSchedule(const PlateauScheduleOptions& options)
    : options_(options), rate_(options.lr), best_(std::numeric_limits<double>::infinity()) {
  detail::check_not_negative("PlateauSchedule", "lr", options.lr);
  detail::check_option(options.factor >= 0 && options.factor < 1, "PlateauSchedule", "factor",
                       options.factor, "at least 0 and below 1");
  detail::check_not_negative("PlateauSchedule", "threshold", options.threshold);
  detail::check_not_negative("PlateauSchedule", "min_lr", options.min_lr);
}

double PlateauSchedule::observe(double loss) {
  const double goal =
      options_.absolute ? best_ - options_.threshold : best_ * (1 - options_.threshold);
  if (loss < goal) {
    best_ = loss;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    bad_ = 0;
  }
  if (bad_ > options_.patience) {
    const double reduced = std::max(rate_ * options_.factor, options_.min_lr);
    if (rate_ - reduced > 1e-8) rate_ = reduced;
    cooldown_ = options_.cooldown;
    bad_ = 0;
  }
  return rate_;
}

Tensor PlateauSchedule::state() const {
  return Tensor({4}, {rate_, best_, static_cast<double>(bad_), static_cast<double>(cooldown_)},
                DType::float64);
}

void PlateauSchedule::load_state(const Tensor& state) {
  if (state.dtype() != DType::float64 || !(state.shape() == Shape{4})) {
    throw Error(std::string("PlateauSchedule: load_state: the state is ") + name(state.dtype()) +
                to_string(state.shape()) + ": it must be float64(4)");
  }
  const std::vector<double> numbers = state.to_vector();
  const auto is_count = [](double x) { return x >= 0 && x <= 0x1p53 && x == std::floor(x); };
  const bool good = std::isfinite(numbers[0]) && numbers[0] >= 0 && !std::isnan(numbers[1]) &&
                    is_count(numbers[2]) && is_count(numbers[3]);
  if (!good) throw Error("PlateauSchedule: load_state: the numbers are not those of a state");
  rate_ = numbers[0];
  best_ = numbers[1];
  bad_ = static_cast<std::uint64_t>(numbers[2]);
  cooldown_ = static_cast<std::uint64_t>(numbers[3]);
}

}  // namespace xgrad::optim
