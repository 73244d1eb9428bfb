#pragma once

#include <cstdint>
#include <span>

#include <xgrad/optim/adam.hpp>

#include "language_model.hpp"
#include "model_file.hpp"
#include "windows.hpp"

namespace text_generation {

/// A model in training: truncated backpropagation through time, one window after the other, with
/// the state carried over.
class Trainer {
 public:
  /// The text must outlive this. `model` is trained in place (copies share their parameters).
  Trainer(const Settings& settings, const LanguageModel& model, std::span<const std::int64_t> text);

  /// One step, on the window at this position; returns the loss, nats per character. If loss or
  /// gradient is not finite, it returns NaN and leaves the parameters as they were.
  double step(std::int64_t position, double learning_rate);

  const Windows& windows() const { return windows_; }

  /// Carried state, moments and random numbers to and from a record.
  void save(TrainingRecord& record) const;
  void load(const TrainingRecord& record, const std::string& source);
  /// Only the moments, for a new schedule.
  void load_moments(const TrainingRecord& record, const std::string& source);

 private:
  Settings settings_;
  LanguageModel model_;
  Windows windows_;
  xgrad::optim::Adam adam_;
  LanguageModel::State state_;
};

}  // namespace text_generation
