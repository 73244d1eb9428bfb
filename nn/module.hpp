#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <xgrad/core/var.hpp>

namespace xgrad::nn {

struct NamedParameter {
  std::string name;
  Var var;
};

/// The base of everything with parameters. A module declares each parameter and child once, in its
/// initialiser list, and has whatever call operator suits it:
///
///     struct Net : nn::Module {
///       Net() : lstm(child("lstm", nn::LSTM(8, 32))), out(child("out", nn::Linear(32, 1))) {}
///       Var operator()(const Var& x) const { return out(lstm(x).outputs[-1]); }
///       nn::LSTM lstm;
///       nn::Linear out;
///     };
///
/// A copy of a module shares its parameters (they are Vars) and its mode: `copy.eval()` is `eval()`
/// of both. `xgrad::clone(module)` shares neither. To assign to a member does not declare it: the
/// module keeps the parameters that it declared. One that was moved from can be assigned to and
/// destroyed.
class Module {
 public:
  Module();
  Module(const Module& other);
  Module(Module&&) noexcept;
  Module& operator=(const Module&);
  Module& operator=(Module&&) noexcept;
  virtual ~Module();

  /// All parameters, the children's under "child.name", in the order of declaration. One that is
  /// shared (tied weights) appears once, under its first name.
  const std::vector<NamedParameter>& named_parameters() const { return parameters_; }
  std::vector<Var> parameters() const;

  /// The number of all parameters' elements, trainable or not.
  Index parameter_count() const;

  /// Training mode (the default) or evaluation mode, for this module and its children: dropout acts
  /// in training mode only.
  void train(bool training = true);
  void eval() { train(false); }
  bool training() const;

  /// Excludes all parameters from training, or includes them again.
  void freeze(bool frozen = true);

  /// Converts all parameters to another dtype; all or, if memory runs out, none.
  void to(DType dtype);
  /// The dtype of the parameters; float32 if there are none.
  DType dtype() const;

 protected:
  /// Declares a parameter.
  Var param(std::string name, const Tensor& value);
  /// Declares a parameter that another module has, too (tied weights).
  Var param(std::string name, const Var& shared);
  /// Declares a child; its parameters are this module's under "name.".
  template <class M>
  M child(const std::string& name, M module) {
    adopt(name, module);
    return module;
  }
  /// The same for a module that is kept elsewhere.
  void adopt(const std::string& name, const Module& module);
  /// Forgets all parameters and children.
  void disown();

 private:
  friend class ModeScope;

  std::vector<NamedParameter> parameters_;
  // Shared with copies and with parents, so that they all change mode together; the first is our
  // own.
  std::vector<std::shared_ptr<bool>> modes_;
};

}  // namespace xgrad::nn
