#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <xgrad/core/var.hpp>

namespace xgrad {

namespace detail {

class TapeObserver;

template <class M>
concept HasNamedParameters = requires(const M& module) {
  module.named_parameters().front().name;
  module.named_parameters().front().var;
};

}  // namespace detail

/// Names what is recorded while it lives, for a FlightRecorder:
///
///     for (Index t = 0; t < steps; ++t) {
///       const Scope step("step", t);
///       h = tanh(x[t] + matmul(h, W));
///       step.state(h);
///     }
///
/// Scopes nest. Two names have a meaning: the index of "layer" is the layer that reports name, that
/// of "step" the time step; "reverse" says that the steps are visited from the last to the first.
/// Indices are from 0, layers numbered as in the parameters' names. `nn::Recurrent` opens all of
/// them. Costs a look at a pointer if nobody watches the tape.
class Scope {
 public:
  /// On the tape that records on this thread; nothing if none does. See also Tape::scope.
  explicit Scope(std::string_view name, Index index = -1);
  /// The scope of a module: its place in the model that the recorder knows is the path in reports.
  template <detail::HasNamedParameters M>
  Scope(std::string_view name, Index index, const M& module) : Scope(name, index) {
    if (!observer_ || module.named_parameters().empty()) return;
    set_module(module.named_parameters().front().var, module.named_parameters().front().name);
  }
  ~Scope() {
    if (observer_) close();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Says that x is a new state of this step: FlightRecorder::gradient_norms lists the norm of the
  /// gradient that reaches it. The states of a step are numbered in the order of these calls.
  void state(const Var& x) const {
    if (observer_) add_state(x);
  }

 private:
  friend class Tape;
  Scope(std::shared_ptr<detail::TapeObserver> observer, std::string_view name, Index index);
  void open(std::string_view name, Index index);
  void close() noexcept;
  void set_module(const Var& parameter, const std::string& name) const;
  void add_state(const Var& x) const;

  std::shared_ptr<detail::TapeObserver> observer_;  ///< null if nobody watches
  std::uint32_t outer_ = 0;
  mutable Index states_ = 0;
};

}  // namespace xgrad
