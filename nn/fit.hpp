#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <xgrad/nn/module.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/optim/adam.hpp>
#include <xgrad/optim/rmsprop.hpp>
#include <xgrad/optim/sgd.hpp>

/// Training, as in Keras: `fit`, `evaluate` and `predict` take any module that maps a Var to a Var,
/// and arrays whose first axis counts the samples. A `Sequential` is built from them.
namespace xgrad::nn {

/// What is minimised: a mean over the batch (what another one would mean: see `evaluate`).
class Loss {
 public:
  /// `mse`, `mae` or `binary_cross_entropy_with_logits`.
  Loss(Var (*loss)(const Var&, const Var&, Reduction));
  /// `cross_entropy`; the targets are class numbers, without the axis of the classes.
  Loss(Var (*loss)(const Var&, const Indices&, CrossEntropyOptions));
  /// Any function of prediction and target whose result is a scalar.
  template <class F>
  requires std::convertible_to<std::invoke_result_t<F&, const Var&, const Var&>, Var> Loss(F loss)
      : loss_(std::move(loss)) {}

  Var operator()(const Var& prediction, const Var& target) const;

 private:
  std::function<Var(const Var&, const Var&)> loss_;
};

/// How the parameters are updated: the options of one of our optimisers, or a function that makes
/// another one.
class OptimizerChoice {
 public:
  OptimizerChoice(const optim::AdamOptions& options);
  OptimizerChoice(const optim::AdamWOptions& options);
  OptimizerChoice(const optim::RMSpropOptions& options);
  OptimizerChoice(const optim::SGDOptions& options);
  template <class F>
  requires std::is_invocable_r_v<std::unique_ptr<optim::Optimizer>, F&, const std::vector<Var>&>
  OptimizerChoice(F make) : make_(std::move(make)) {}

  std::unique_ptr<optim::Optimizer> make(const std::vector<Var>& parameters) const;

 private:
  std::function<std::unique_ptr<optim::Optimizer>(const std::vector<Var>&)> make_;
};

/// How far `fit` is. Epochs and batches are counted from 1.
struct FitReport {
  Index epoch, epochs;
  Index batch, batches;
  bool epoch_ended;                ///< else a batch has ended
  bool last;                       ///< no other epoch follows
  double loss;                     ///< the mean of this epoch so far
  std::optional<double> val_loss;  ///< when the epoch has ended, if there are validation data
  double seconds;                  ///< since this epoch began
  optim::Optimizer& optimizer;     ///< its learning rate may be changed
};

/// Called after each batch and after each epoch. A function that returns false ends the training:
/// if after a batch, then after the validation and the record of the epoch as far as it came, and a
/// last call for it. One without a result never ends it.
class Callback {
 public:
  Callback() = default;
  template <class F>
  requires std::invocable<F&, const FitReport&> Callback(F f) {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, const FitReport&>>) {
      call_ = [f = std::move(f)](const FitReport& report) mutable {
        f(report);
        return true;
      };
    } else {
      call_ = std::move(f);
    }
  }

  bool operator()(const FitReport& report) const { return !call_ || call_(report); }

 private:
  std::function<bool(const FitReport&)> call_;
};

/// `{xv, yv}`, or nothing.
struct Validation {
  Validation() = default;
  Validation(Tensor inputs, Tensor targets) : x(std::move(inputs)), y(std::move(targets)) {}
  std::optional<Tensor> x, y;
};

struct FitOptions {
  Index epochs = 1;
  Index batch_size = 32;  ///< the last batch of an epoch may be smaller
  bool shuffle = true;    ///< a new order for each epoch, drawn from the default generator
  Loss loss = mse;
  OptimizerChoice optimizer = optim::AdamOptions{};  ///< starts anew with each `fit`
  double clip_norm = 0;                              ///< see `optim::clip_norm`; 0: not at all
  Validation validation = {};   ///< data to measure by after each epoch, for example {xv, yv}
  double validation_split = 0;  ///< or this last part of x and y, which is then not trained on
  Index patience = 0;           ///< ends after so many epochs without a new best one; 0: never
  bool restore_best = false;    ///< returns to the parameters of the best epoch
  Callback callback = {};       ///< for example nn::ProgressBar{std::cerr}
};

/// What `fit` has done, by epoch.
struct History {
  std::vector<double> loss;      ///< as `evaluate` means it, each batch's before the step it led to
  std::vector<double> val_loss;  ///< empty without validation data
  std::vector<double> seconds;   ///< validation included
  Index best_epoch = 0;          ///< counted from 1; by val_loss, or by loss without validation
};

struct EvaluateOptions {
  Index batch_size = 32;
  Loss loss = mse;
};

struct PredictOptions {
  Index batch_size = 32;
};

namespace detail {

using Call = std::function<Var(const Var&)>;
History fit(Module& module, const Call& call, const Tensor& x, const Tensor& y,
            const FitOptions& options);
double evaluate(Module& module, const Call& call, const Tensor& x, const Tensor& y,
                const EvaluateOptions& options);
Tensor predict(Module& module, const Call& call, const Tensor& x, const PredictOptions& options);
Shape sample_shape(const char* caller, const Tensor& x);

std::uint64_t changes(const Module& module);  ///< of all its parameters so far

/// f(the model's call), with a model that is built for x. If that was not so before and f throws
/// before it has changed a parameter, the data were perhaps the wrong ones: it is not so
/// afterwards.
template <class M, class F>
auto with_built(const char* caller, M& model, const Tensor& x, F&& f) {
  const Call call = [&model](const Var& batch) -> Var { return model(batch); };
  if constexpr (requires { model.unbuild(); }) {
    if (!model.built()) {
      model.build(sample_shape(caller, x), x.dtype());
      const std::uint64_t before = changes(model);
      try {
        return f(call);
      } catch (...) {
        if (changes(model) == before) model.unbuild();
        throw;
      }
    }
  } else if constexpr (requires { model.build(x.shape(), x.dtype()); }) {
    model.build(sample_shape(caller, x), x.dtype());
  }
  return f(call);
}

}  // namespace detail

template <class M>
concept Trainable =
    std::derived_from<M, Module> && std::convertible_to<std::invoke_result_t<M&, const Var&>, Var>;

/// Trains the model to map x (N,...) to y (N,...).
///
///     auto history = nn::fit(model, x, y, {.epochs = 100, .validation = {xv, yv}});
///
/// Batches of x with three or more axes lie with their second axis (time) first in memory, and come
/// to the model as views (batch, steps, ...), so that recurrent layers copy nothing. A module of
/// your own that has an `nn::Recurrent`, which takes (steps, batch, features), gives it
/// `transpose(x, {1, 0, 2})`, as `nn::layers::LSTM` does.
///
/// If a loss, or after an epoch a parameter, is not finite, the model gets back the parameters that
/// gave the last finite loss, and an error names the step. For that `fit` copies all parameters
/// before each update, and for `restore_best` those of the best epoch. A batch of which
/// cross_entropy ignores all rows has the loss NaN, and ends it so. Throws also, before any
/// training, if x and y (or the validation data) are empty or not of one number of samples, for
/// options out of range, if the model has no parameters or the loss does not depend on a trainable
/// one, and if the first axis of what the model gives is not the batch. A Sequential that was not
/// built is not built afterwards if no step has changed its parameters.
template <Trainable M>
History fit(M& model, const Tensor& x, const Tensor& y, const FitOptions& options = {}) {
  return detail::with_built("fit", model, x, [&](const detail::Call& call) {
    return detail::fit(model, call, x, y, options);
  });
}

/// The mean of the batches' losses, each weighted with its number of samples: the mean over all
/// samples if the loss is one over its batch. It is not for a loss that sums, nor for cross_entropy
/// where rows are ignored: then it depends on the batch size, and a batch of only ignored rows
/// makes it NaN. In evaluation mode and without recording.
template <Trainable M>
double evaluate(M& model, const Tensor& x, const Tensor& y, const EvaluateOptions& options = {}) {
  return detail::with_built("evaluate", model, x, [&](const detail::Call& call) {
    return detail::evaluate(model, call, x, y, options);
  });
}

/// The model's results for all samples (N,...), in evaluation mode and without recording.
template <Trainable M>
Tensor predict(M& model, const Tensor& x, const PredictOptions& options = {}) {
  return detail::with_built("predict", model, x, [&](const detail::Call& call) {
    return detail::predict(model, call, x, options);
  });
}

}  // namespace xgrad::nn
