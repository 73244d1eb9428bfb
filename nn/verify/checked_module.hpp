#pragma once

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/nn/module.hpp>

/// A module as a function whose derivatives are checked.
namespace xgrad::nn::detail {

/// A module converted to float64 while it lives, and what is to be checked of it.
class CheckedModule {
 public:
  CheckedModule(const Module& module, const std::vector<NamedVar>& inputs)
      : copies_(inputs), kept_(module.parameters()) {
    checked_.checked = copies_.checked;
    checked_.converted = module.parameters();
    checked_.convert(DType::float64);
    for (const NamedParameter& p : module.named_parameters()) {
      if (p.var.trainable()) checked_.checked.push_back({p.name, p.var});
    }
    checked_.converted.insert(checked_.converted.end(), copies_.vars.begin(), copies_.vars.end());
  }
  CheckedModule(const CheckedModule&) = delete;
  CheckedModule& operator=(const CheckedModule&) = delete;

  const xgrad::detail::CheckedInputs& checked() const { return checked_; }
  const std::vector<Var>& vars() const { return copies_.vars; }

 private:
  xgrad::detail::InputCopies copies_;
  xgrad::detail::KeptParameters kept_;
  xgrad::detail::CheckedInputs checked_;
};

}  // namespace xgrad::nn::detail
