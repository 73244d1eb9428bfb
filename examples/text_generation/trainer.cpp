#include "trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <xgrad/core/error.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/optim/clip.hpp>

namespace text_generation {

using xgrad::Error;
using xgrad::Index;
using xgrad::Var;

Trainer::Trainer(const Settings& settings, const LanguageModel& model,
                 std::span<const std::int64_t> text, int threads)
    : settings_(settings),
      model_(model),
      windows_(text, settings.batch, settings.seq_len, settings.seed),
      adam_(model_.parameters(), {.lr = settings.lr}),
      crew_(static_cast<int>(std::min<Index>(threads, settings.parts))) {
  xgrad::Generator seeds(settings.seed);
  const Index parts = std::min(settings.parts, settings.batch);
  for (Index i = 0; i < parts; ++i) {
    parts_.push_back({.first = i * settings.batch / parts,
                      .last = (i + 1) * settings.batch / parts,
                      .generator = xgrad::Generator(seeds.next()),
                      .state = {},
                      .gradients = {}});
  }
}

void Trainer::compute(Part& part, std::int64_t position) {
  part.gradients.clear();
  const Window window = windows_.at(position, part.first, part.last);
  if (window.first) part.state.clear();
  const double share =
      static_cast<double>(part.last - part.first) / static_cast<double>(settings_.batch);
  std::swap(xgrad::default_generator(), part.generator);  // dropout draws from this thread's
  {
    xgrad::Tape tape;
    const Var logits = model_(window.inputs, part.state);
    const Var loss = cross_entropy(logits, window.targets) * share;
    part.gradients = xgrad::grad(loss, adam_.parameters());
    part.loss = loss.item();
  }
  std::swap(xgrad::default_generator(), part.generator);
}

double Trainer::step(std::int64_t position, double learning_rate) {
  crew_.run(static_cast<int>(parts_.size()),
            [&](int i) { compute(parts_[static_cast<std::size_t>(i)], position); });
  const std::vector<Var>& parameters = adam_.parameters();
  double loss = 0;
  for (const Part& part : parts_) {
    xgrad::add_gradients(parameters, {&part.gradients, 1});
    loss += part.loss;
  }
  const double any = std::numeric_limits<double>::infinity();
  const double norm =
      xgrad::optim::clip_norm(parameters, settings_.clip > 0 ? settings_.clip : any);
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  adam_.set_learning_rate(learning_rate);
  adam_.step();
  return loss;
}

void Trainer::save(TrainingRecord& record) const {
  record.optimizer = adam_.state();
  record.generators.clear();
  record.state.clear();
  for (const Part& part : parts_) {
    record.generators.push_back(part.generator.state());
    for (const Var& member : part.state) record.state.push_back(member.tensor());
  }
}

void Trainer::load(const TrainingRecord& record, const std::string& source) {
  load_moments(record, source);
  std::size_t members = 0;
  bool fits = record.generators.size() == parts_.size();
  for (std::size_t i = 0; i < parts_.size() && fits; ++i) {
    Part& part = parts_[i];
    try {
      part.generator.set_state(record.generators[i]);
    } catch (const Error& error) {
      throw Error(source + ": damaged: " + error.what());
    }
    part.state.clear();
    if (record.state.empty()) continue;
    for (const xgrad::Shape& shape : model_.state_shapes(part.last - part.first)) {
      fits = fits && members < record.state.size() && record.state[members].shape() == shape &&
             record.state[members].dtype() == xgrad::DType::float32;
      if (fits) part.state.emplace_back(record.state[members++]);
    }
  }
  if (!fits || members != record.state.size()) {
    throw Error(source + ": damaged: the carried state does not fit the model");
  }
}

void Trainer::load_moments(const TrainingRecord& record, const std::string& source) {
  try {
    adam_.load_state(record.optimizer);
  } catch (const Error& error) {
    throw Error(source + ": damaged: " + error.what());
  }
}

}  // namespace text_generation
