#include <algorithm>

#include <xgrad/core/error.hpp>
#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

Module::Module() : modes_{std::make_shared<bool>(true)} {}

Module::Module(const Module& other) : parameters_(other.parameters_), modes_(other.modes_) {
  if (!detail::cloning) return;
  for (std::shared_ptr<bool>& mode : modes_) {
    mode = std::static_pointer_cast<bool>(
        detail::CloneScope::counterpart(mode, [](const void* original) -> std::shared_ptr<void> {
          return std::make_shared<bool>(*static_cast<const bool*>(original));
        }));
  }
}

// Here, so that modules of the user's own cost less to compile.
Module::Module(Module&&) noexcept = default;
Module& Module::operator=(const Module&) = default;
Module& Module::operator=(Module&&) noexcept = default;
Module::~Module() = default;

std::vector<Var> Module::parameters() const {
  std::vector<Var> vars;
  for (const NamedParameter& parameter : parameters_) vars.push_back(parameter.var);
  return vars;
}

Index Module::parameter_count() const {
  Index count = 0;
  for (const NamedParameter& parameter : parameters_) count += parameter.var.size();
  return count;
}

bool Module::training() const {
  if (modes_.empty()) throw Error("module: it was moved from");
  return *modes_.front();
}

void Module::train(bool training) {
  for (const std::shared_ptr<bool>& mode : modes_) *mode = training;
}

void Module::freeze(bool frozen) {
  for (const NamedParameter& parameter : parameters_) parameter.var.set_trainable(!frozen);
}

void Module::to(DType dtype) { xgrad::detail::convert(parameters(), dtype); }

DType Module::dtype() const {
  return parameters_.empty() ? DType::float32 : parameters_.front().var.dtype();
}

Var Module::param(std::string name, const Tensor& value) {
  const Var var = parameter(value, name);
  return param(std::move(name), var);
}

Var Module::param(std::string name, const Var& shared) {
  if (!shared.is_parameter()) {
    throw Error("module: '" + name + "' must be a parameter");
  }
  for (const NamedParameter& known : parameters_) {
    if (known.var.parameter_or_null() == shared.parameter_or_null()) return shared;
    if (known.name == name) {
      throw Error("module: there are two parameters named '" + name + "'");
    }
  }
  parameters_.push_back({std::move(name), shared});
  return shared;
}

void Module::adopt(const std::string& name, const Module& module) {
  for (const NamedParameter& parameter : module.parameters_) {
    param(name + "." + parameter.name, parameter.var);
  }
  modes_.insert(modes_.end(), module.modes_.begin(), module.modes_.end());
}

void Module::disown() {
  parameters_.clear();
  modes_.resize(1);
}

}  // namespace xgrad::nn
