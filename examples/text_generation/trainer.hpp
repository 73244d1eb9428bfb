#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <xgrad/core/random.hpp>
#include <xgrad/optim/adam.hpp>

#include "crew.hpp"
#include "language_model.hpp"
#include "model_file.hpp"
#include "windows.hpp"

namespace text_generation {

/// A model in training: truncated backpropagation through time, one window after the other, with
/// the state carried over.
///
/// The batch is cut into parts, each with its own tape, state and random numbers, which threads
/// compute side by side; their gradients are summed in the order of the parts. So the bits of the
/// result depend on the number of parts, but not on the number of threads.
class Trainer {
 public:
  /// The text must outlive this. `model` is trained in place (copies share their parameters).
  Trainer(const Settings& settings, const LanguageModel& model, std::span<const std::int64_t> text,
          int threads);

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
  struct Part {
    xgrad::Index first, last;  // streams [first, last) of the batch
    xgrad::Generator generator;
    LanguageModel::State state;
    std::vector<xgrad::Var> gradients;
    double loss = 0;
  };

  void compute(Part& part, std::int64_t position);

  Settings settings_;
  LanguageModel model_;
  Windows windows_;
  xgrad::optim::Adam adam_;
  std::vector<Part> parts_;
  Crew crew_;
};

}  // namespace text_generation
