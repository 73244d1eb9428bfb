#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <xgrad/core/var.hpp>

namespace xgrad::optim {

/// What an optimiser is given to change one parameter. All arrays are row-major, of the same shape
/// and dtype (float32 or float64), and are written through `mutable_data<T>()`, asked for after any
/// op that reads them.
struct Update {
  const Tensor& value;              ///< to be changed in place
  const Tensor& gradient;           ///< only to be read
  std::span<const Tensor> moments;  ///< in the order of their names, zeros at first; changed, too
  std::uint64_t step;               ///< 1 for the first update of this parameter
};

/// The base of the optimisers: it keeps the parameters, their moments and the learning rate.
///
///     optim::Adam adam(model.parameters(), {.lr = 3e-3});
///     for (...) {
///       Tape tape;
///       tape.backward(mse(model(x), y));
///       optim::clip_norm(adam.parameters(), 1.0);
///       adam.step();
///     }
///
/// An optimiser of your own derives from it, names its moments and defines `update`, which sees one
/// parameter at a time.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// The parameters, each once: the second and later mentions of tied weights are dropped.
  const std::vector<Var>& parameters() const { return parameters_; }

  /// Updates, in place, each trainable parameter that has a gradient, and raises its version: a
  /// tape that still needs the old value refuses its backward pass. Afterwards none of them, frozen
  /// ones included, has a gradient, so that the next backward pass assigns; passes without a step
  /// in between add up (micro-batches). Parameters of the loss that this optimiser does not have
  /// keep theirs, to which the next pass adds: see `Var::clear_grad`. Throws, before any change,
  /// for a complex parameter and if memory runs out.
  void step();

  /// Drops the gradients of its parameters, to skip a step: the next backward pass assigns.
  void clear_grad() const;

  /// How often `step` was called.
  std::uint64_t steps() const { return steps_; }

  double learning_rate() const { return learning_rate_; }
  /// Throws unless it is finite and at least 0.
  void set_learning_rate(double rate);

  /// A copy of all that the next step depends on besides parameters, gradients and options:
  /// "steps", and for each parameter that has been updated, by its index in `parameters()`, its own
  /// number of updates "0.steps" and its moments, for example "0.m" and "0.v". Numbers of steps are
  /// float64 scalars. The learning rate is an option and not included.
  std::map<std::string, Tensor> state() const;

  /// Continues from a saved state: further steps have the same bits as without the interruption.
  /// Throws, before any change, if an entry is missing, unknown, or of another shape or dtype.
  void load_state(const std::map<std::string, Tensor>& state);

 protected:
  /// `name` is for error texts. Throws if there are no parameters, for a Var that is none, and for
  /// a bad learning rate.
  Optimizer(std::string name, const std::vector<Var>& parameters, double learning_rate,
            std::vector<std::string> moment_names);

  /// Changes one parameter and its moments. Should not throw: others may be changed already.
  virtual void update(const Update& update) = 0;

 private:
  void prepare(std::size_t i);  ///< all that needs memory for the update of that parameter

  struct State {
    std::uint64_t steps = 0;
    std::vector<Tensor> moments;  // made on the first update
  };

  std::string name_;
  std::vector<Var> parameters_;
  double learning_rate_ = 0;
  std::vector<std::string> moment_names_;
  std::vector<State> states_;  // one per parameter
  std::uint64_t steps_ = 0;
};

}  // namespace xgrad::optim
