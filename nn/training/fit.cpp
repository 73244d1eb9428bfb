#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <xgrad/core/error.hpp>
#include <xgrad/core/flight_recorder.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/fit.hpp>
#include <xgrad/nn/training/mode_scope.hpp>
#include <xgrad/nn/training/sequential_layers.hpp>
#include <xgrad/optim/clip.hpp>

namespace xgrad::nn {

Loss::Loss(Var (*loss)(const Var&, const Var&, Reduction))
    : loss_([=](const Var& prediction, const Var& target) {
        return loss(prediction, target, Reduction::mean);
      }) {}

Loss::Loss(Var (*loss)(const Var&, const Indices&, CrossEntropyOptions))
    : loss_([=](const Var& prediction, const Var& target) {
        return loss(prediction, detail::to_indices("cross_entropy", target.tensor()), {});
      }) {}

Var Loss::operator()(const Var& prediction, const Var& target) const {
  if (!loss_) throw Error("loss: it was moved from");
  return loss_(prediction, target);
}

std::unique_ptr<optim::Optimizer> OptimizerChoice::make(const std::vector<Var>& parameters) const {
  if (!make_) throw Error("optimizer: the choice was moved from");
  return make_(parameters);
}

namespace {

template <class O>
auto maker(const auto& options) {
  return [options](const std::vector<Var>& parameters) -> std::unique_ptr<optim::Optimizer> {
    return std::make_unique<O>(parameters, options);
  };
}

}  // namespace

OptimizerChoice::OptimizerChoice(const optim::AdamOptions& options)
    : make_(maker<optim::Adam>(options)) {}
OptimizerChoice::OptimizerChoice(const optim::AdamWOptions& options)
    : make_(maker<optim::AdamW>(options)) {}
OptimizerChoice::OptimizerChoice(const optim::RMSpropOptions& options)
    : make_(maker<optim::RMSprop>(options)) {}
OptimizerChoice::OptimizerChoice(const optim::SGDOptions& options)
    : make_(maker<optim::SGD>(options)) {}

namespace detail {
namespace {

using xgrad::detail::contiguous;
using xgrad::detail::copy_elements;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Inputs and targets of as many samples.
struct Samples {
  Tensor x, y;
  Index count;

  Samples(const std::string& caller, const Tensor& inputs, const Tensor& targets)
      : x(contiguous(inputs)), y(contiguous(targets)), count(x.dim() == 0 ? 0 : x.shape()[0]) {
    if (count == 0) throw Error(caller + ": x is " + to_string(x.shape()) + ": it has no samples");
    if (y.dim() == 0 || y.shape()[0] != count) {
      throw Error(caller + ": x is " + to_string(x.shape()) + ", y is " + to_string(y.shape()) +
                  ": their first extents, the numbers of samples, must be equal");
    }
  }
};

Tensor rows(const Tensor& x, Index begin, Index end) {
  Shape shape = x.shape();
  shape[0] = end - begin;
  return x.view(shape, x.strides(), begin * x.strides()[0]);
}

/// Those samples of a row-major x (N,T,...), as a view (B,T,...) of an array (T,B,...).
Var batch_of(const Tensor& x, std::span<const Index> samples) {
  const bool sequence = x.dim() >= 3;
  const auto count = static_cast<Index>(samples.size());
  const Index steps = sequence ? x.shape()[1] : 1;
  Shape shape = x.shape();
  shape[0] = count;
  if (sequence) std::swap(shape[0], shape[1]);
  const Tensor batch = Tensor::uninitialized(shape, x.dtype());
  const Index bytes = x.strides()[sequence ? 1 : 0] * static_cast<Index>(item_size(x.dtype()));
  for (Index t = 0; t < steps && bytes > 0; ++t) {
    for (Index b = 0; b < count; ++b) {
      const Index sample = samples[static_cast<std::size_t>(b)];
      std::memcpy(batch.bytes() + (t * count + b) * bytes, x.bytes() + (sample * steps + t) * bytes,
                  static_cast<std::size_t>(bytes));
    }
  }
  if (!sequence) return batch;
  Shape strides = batch.strides();
  std::swap(shape[0], shape[1]);
  std::swap(strides[0], strides[1]);
  return batch.view(shape, strides);
}

std::vector<Index> in_order(Index count) {
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::span<const Index> batch_indices(const std::vector<Index>& order, Index begin, Index size) {
  return std::span(order).subspan(
      static_cast<std::size_t>(begin),
      static_cast<std::size_t>(std::min(size, static_cast<Index>(order.size()) - begin)));
}

Var prediction_of(const char* caller, const Call& call, const Tensor& x,
                  std::span<const Index> samples) {
  Var result = call(batch_of(x, samples));
  const auto size = static_cast<Index>(samples.size());
  if (result.dim() == 0 || result.shape()[0] != size) {
    throw Error(std::string(caller) + ": the model gives " + to_string(result.shape()) + " for " +
                std::to_string(size) + " samples: its first axis must be the batch");
  }
  return result;
}

Var loss_of(const char* caller, const Loss& loss, const Var& prediction, const Var& target) {
  Var result = loss(prediction, target);
  if (result.size() != 1) {
    throw Error(std::string(caller) + ": the loss is " + to_string(result.shape()) +
                ": it must be a single number");
  }
  return result;
}

/// The mean loss, in evaluation mode and without recording.
double mean_loss(const char* caller, Module& module, const Call& call, const Samples& samples,
                 const Loss& loss, Index largest_batch) {
  const Index batch_size = std::min(largest_batch, samples.count);
  const NoTape no_tape;
  const ModeScope evaluation(module, false);
  const std::vector<Index> order = in_order(samples.count);
  double sum = 0;
  for (Index begin = 0; begin < samples.count; begin += batch_size) {
    const auto indices = batch_indices(order, begin, batch_size);
    const Var result = loss_of(caller, loss, prediction_of(caller, call, samples.x, indices),
                               batch_of(samples.y, indices));
    sum += result.item() * static_cast<double>(indices.size());
  }
  return sum / static_cast<double>(samples.count);
}

/// A copy of the values of parameters.
class Snapshot {
 public:
  explicit Snapshot(std::vector<Var> parameters) : parameters_(std::move(parameters)) {
    for (const Var& p : parameters_) {
      values_.push_back(Tensor::uninitialized(p.shape(), p.dtype()));
    }
  }
  void take() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      copy_elements(parameters_[i].tensor(), values_[i]);
    }
    taken_ = true;
  }
  void restore() const {
    for (std::size_t i = 0; taken_ && i < values_.size(); ++i) {
      xgrad::detail::set_value(parameters_[i].parameter("fit"), values_[i]);
    }
  }

 private:
  std::vector<Var> parameters_;
  std::vector<Tensor> values_;
  bool taken_ = false;
};

bool all_finite(const Tensor& tensor) {
  return dispatch(tensor.dtype(), [&]<class T>() {
    const T* elements = tensor.data<T>();
    return std::all_of(elements, elements + tensor.size(),
                       [](T x) { return std::isfinite(std::abs(x)); });
  });
}

void check_batch_size(const char* caller, Index batch_size) {
  if (batch_size < 1) {
    throw Error(std::string(caller) + ": batch_size is " + std::to_string(batch_size) +
                ": it must be at least 1");
  }
}

void check(const FitOptions& options) {
  check_batch_size("fit", options.batch_size);
  const auto require = [](bool good, const char* option, auto value, const char* rule) {
    if (!good) {
      throw Error(std::string("fit: ") + option + " is " + std::to_string(value) + ": " + rule);
    }
  };
  require(options.epochs >= 1, "epochs", options.epochs, "it must be at least 1");
  require(options.patience >= 0, "patience", options.patience, "it must be at least 0");
  require(options.clip_norm >= 0, "clip_norm", options.clip_norm, "it must be at least 0");
  require(options.validation_split >= 0 && options.validation_split < 1, "validation_split",
          options.validation_split, "it must be at least 0 and below 1");
  if (options.validation.x && options.validation_split > 0) {
    throw Error("fit: there are both validation data and a validation_split: give one of them");
  }
}

std::unique_ptr<optim::Optimizer> optimizer_for(const Module& module, const FitOptions& options) {
  std::unique_ptr<optim::Optimizer> optimizer = options.optimizer.make(module.parameters());
  if (!optimizer) throw Error("fit: the function that makes the optimizer has given none");
  return optimizer;
}

/// One call of `fit`.
class Training {
 public:
  Training(Module& module, const Call& call, const Samples& data, const FitOptions& options)
      : module_(module),
        call_(call),
        data_(data),
        options_(options),
        training_mode_(module, true),
        optimizer_(optimizer_for(module, options)),
        good_(module.parameters()),
        best_(options.restore_best ? module.parameters() : std::vector<Var>()),
        order_(in_order(data.count)),
        batch_size_(std::min(options.batch_size, data.count)),
        batches_((data.count + batch_size_ - 1) / batch_size_) {
    for (const Var& p : module.parameters()) p.clear_grad();
  }

  History run(const std::optional<Samples>& validation) {
    double best = std::numeric_limits<double>::infinity();
    bool stop = false;
    for (epoch_ = 1; epoch_ <= options_.epochs && !stop; ++epoch_) {
      begin_ = Clock::now();
      stop = !train_epoch();
      for (const NamedParameter& p : module_.named_parameters()) {
        if (!all_finite(p.var.tensor())) fail("parameter '" + p.name + "' is not finite after");
      }
      std::optional<double> val_loss;
      if (validation) {
        val_loss =
            mean_loss("fit", module_, call_, *validation, options_.loss, options_.batch_size);
        if (!std::isfinite(*val_loss)) {
          fail("the validation loss is " + std::to_string(*val_loss) + " after");
        }
        history_.val_loss.push_back(*val_loss);
      }
      history_.loss.push_back(mean_);
      history_.seconds.push_back(seconds_since(begin_));
      const double monitored = val_loss.value_or(mean_);
      if (monitored < best) {
        best = monitored;
        history_.best_epoch = epoch_;
        best_.take();
      }
      stop = stop || (options_.patience > 0 && epoch_ - history_.best_epoch >= options_.patience);
      if (!report(true, stop, val_loss)) stop = true;
    }
    best_.restore();
    return std::move(history_);
  }

 private:
  /// False if the callback ends the training.
  bool train_epoch() {
    if (options_.shuffle) default_generator().shuffle(std::span(order_));
    double sum = 0;
    Index seen = 0;
    for (batch_ = 1; batch_ <= batches_; ++batch_) {
      const auto indices = batch_indices(order_, (batch_ - 1) * batch_size_, batch_size_);
      sum += step(indices) * static_cast<double>(indices.size());
      seen += static_cast<Index>(indices.size());
      mean_ = sum / static_cast<double>(seen);
      if (!report(false, false, {})) return false;
    }
    --batch_;
    return true;
  }

  /// The loss before the step.
  double step(std::span<const Index> indices) {
    ++step_;
    Tape tape;
    const Var loss = loss_at(indices);
    const double value = loss.item();
    if (!std::isfinite(value)) fail("the loss is " + std::to_string(value) + " at");
    if (!loss.requires_grad()) {
      throw Error("fit: the loss does not depend on a parameter that is trainable");
    }
    tape.backward(loss);
    if (options_.clip_norm > 0) optim::clip_norm(optimizer_->parameters(), options_.clip_norm);
    good_.take();
    good_step_ = step_;
    optimizer_->step();
    return value;
  }

  Var loss_at(std::span<const Index> indices) const {
    try {
      return loss_of("fit", options_.loss, prediction_of("fit", call_, data_.x, indices),
                     batch_of(data_.y, indices));
    } catch (const NonFiniteError&) {  // a FlightRecorder watches
      good_.restore();
      throw;
    }
  }

  bool report(bool epoch_ended, bool stops, std::optional<double> val_loss) const {
    return options_.callback({.epoch = epoch_,
                              .epochs = options_.epochs,
                              .batch = batch_,
                              .batches = batches_,
                              .epoch_ended = epoch_ended,
                              .last = stops || epoch_ == options_.epochs,
                              .loss = mean_,
                              .val_loss = val_loss,
                              .seconds = seconds_since(begin_),
                              .optimizer = *optimizer_});
  }

  [[noreturn]] void fail(const std::string& what) const {
    good_.restore();
    throw Error("fit: " + what + " step " + std::to_string(step_) + " (epoch " +
                std::to_string(epoch_) + ", batch " + std::to_string(batch_) + " of " +
                std::to_string(batches_) + "): training stops, the model " +
                (good_step_ == 0 ? "is unchanged"
                                 : "has the parameters that step " + std::to_string(good_step_) +
                                       " began with, the last ones that gave a finite loss"));
  }

  Module& module_;
  const Call& call_;
  const Samples& data_;
  const FitOptions& options_;
  ModeScope training_mode_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  Snapshot good_;  ///< before the last update
  Snapshot best_;
  std::vector<Index> order_;
  History history_;
  Index batch_size_, batches_;
  Index epoch_ = 0, batch_ = 0, step_ = 0, good_step_ = 0;
  double mean_ = 0;  ///< of the losses of this epoch
  Clock::time_point begin_;
};

}  // namespace

std::uint64_t changes(const Module& module) {
  std::uint64_t count = 0;
  for (const NamedParameter& p : module.named_parameters()) count += p.var.version();
  return count;
}

Shape sample_shape(const char* caller, const Tensor& x) {
  if (x.dim() == 0 || x.shape()[0] == 0) {
    throw Error(std::string(caller) + ": x is " + to_string(x.shape()) + ": it has no samples");
  }
  Shape shape = x.shape();
  shape.erase(0);
  return shape;
}

History fit(Module& module, const Call& call, const Tensor& x, const Tensor& y,
            const FitOptions& options) {
  check(options);
  Samples data("fit", x, y);
  std::optional<Samples> validation;
  if (options.validation.x) {
    validation.emplace("fit: validation", *options.validation.x, *options.validation.y);
  } else if (options.validation_split > 0) {
    const Index kept =
        data.count -
        static_cast<Index>(std::lround(static_cast<double>(data.count) * options.validation_split));
    if (kept == 0 || kept == data.count) {
      throw Error("fit: a validation_split of " + std::to_string(options.validation_split) +
                  " leaves nothing on one side of " + std::to_string(data.count) + " samples");
    }
    validation.emplace("fit: validation", rows(data.x, kept, data.count),
                       rows(data.y, kept, data.count));
    data = Samples("fit", rows(data.x, 0, kept), rows(data.y, 0, kept));
  }
  return Training(module, call, data, options).run(validation);
}

double evaluate(Module& module, const Call& call, const Tensor& x, const Tensor& y,
                const EvaluateOptions& options) {
  check_batch_size("evaluate", options.batch_size);
  return mean_loss("evaluate", module, call, Samples("evaluate", x, y), options.loss,
                   options.batch_size);
}

Tensor predict(Module& module, const Call& call, const Tensor& x, const PredictOptions& options) {
  check_batch_size("predict", options.batch_size);
  sample_shape("predict", x);
  const NoTape no_tape;
  const ModeScope evaluation(module, false);
  const Tensor inputs = contiguous(x);
  const std::vector<Index> order = in_order(x.shape()[0]);
  const Index batch_size = std::min(options.batch_size, x.shape()[0]);
  Tensor results;
  for (Index begin = 0; begin < x.shape()[0]; begin += batch_size) {
    const auto indices = batch_indices(order, begin, batch_size);
    const Tensor part = prediction_of("predict", call, inputs, indices).tensor();
    if (begin == 0) {
      Shape shape = part.shape();
      shape[0] = x.shape()[0];
      results = Tensor::uninitialized(shape, part.dtype());
    }
    const Tensor place = rows(results, begin, begin + part.shape()[0]);
    if (part.shape() != place.shape() || part.dtype() != place.dtype()) {
      throw Error("predict: the result is " + to_string(part.shape()) + ' ' + name(part.dtype()) +
                  " for the samples from " + std::to_string(begin) + " on: with those before it " +
                  "must be " + to_string(place.shape()) + ' ' + name(place.dtype()));
    }
    copy_elements(part, place);
  }
  return results;
}

}  // namespace detail
}  // namespace xgrad::nn
