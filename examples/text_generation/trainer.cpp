#include "trainer.hpp"

#include <cmath>
#include <limits>

#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/optim/clip.hpp>

namespace text_generation {

using xgrad::Error;

Trainer::Trainer(const Settings& settings, const LanguageModel& model,
                 std::span<const std::int64_t> text)
    : settings_(settings),
      model_(model),
      windows_(text, settings.batch, settings.seq_len, settings.seed),
      adam_(model_.parameters(), {.lr = settings.lr}) {}

double Trainer::step(std::int64_t position, double learning_rate) {
  const Window window = windows_[position];
  if (window.first) state_.clear();
  double loss = 0, norm = 0;
  {
    xgrad::Tape tape;
    const xgrad::Var mean = cross_entropy(model_(window.inputs, state_), window.targets);
    tape.backward(mean);
    loss = mean.item();
  }
  const double any = std::numeric_limits<double>::infinity();
  norm = xgrad::optim::clip_norm(adam_.parameters(), settings_.clip > 0 ? settings_.clip : any);
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  adam_.set_learning_rate(learning_rate);
  adam_.step();
  return loss;
}

void Trainer::save(TrainingRecord& record) const {
  record.generator = xgrad::default_generator().state();
  record.optimizer = adam_.state();
  record.state.clear();
  for (const xgrad::Var& member : state_) record.state.push_back(member.tensor());
}

void Trainer::load(const TrainingRecord& record, const std::string& source) {
  load_moments(record, source);
  try {
    xgrad::default_generator().set_state(record.generator);
  } catch (const Error& error) {
    throw Error(source + ": damaged: " + error.what());
  }
  const auto shapes = model_.state_shapes(settings_.batch);
  bool fits = record.state.empty() || record.state.size() == shapes.size();
  for (std::size_t i = 0; i < record.state.size() && fits; ++i) {
    fits = record.state[i].shape() == shapes[i] && record.state[i].dtype() == xgrad::DType::float32;
  }
  if (!fits) throw Error(source + ": damaged: the carried state does not fit the model");
  state_.clear();
  for (const xgrad::Tensor& member : record.state) state_.emplace_back(member);
}

void Trainer::load_moments(const TrainingRecord& record, const std::string& source) {
  try {
    adam_.load_state(record.optimizer);
  } catch (const Error& error) {
    throw Error(source + ": damaged: " + error.what());
  }
}

}  // namespace text_generation
