#pragma once

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/nn/module.hpp>

/// A module as a function whose derivatives are checked.
namespace xgrad::nn::detail {

/// A module converted to float64 while it lives, and what is to be checked of it.
class CheckedModule {
 public:
  CheckedModule(Module& module, const std::vector<NamedVar>& inputs)
      : module_(module), dtype_(module.dtype()), copies_(inputs) {
    convert(DType::float64);
    checked_ = {copies_.checked, [this](DType dtype) { convert(dtype); }};
    for (const NamedParameter& p : module.named_parameters()) {
      if (p.var.trainable()) checked_.checked.push_back({p.name, p.var});
    }
  }
  ~CheckedModule() { module_.to(dtype_); }
  CheckedModule(const CheckedModule&) = delete;
  CheckedModule& operator=(const CheckedModule&) = delete;

  const xgrad::detail::CheckedInputs& checked() const { return checked_; }
  const std::vector<Var>& vars() const { return copies_.vars; }

 private:
  void convert(DType dtype) {
    module_.to(dtype);
    copies_.convert(dtype);
  }

  Module& module_;
  DType dtype_;
  xgrad::detail::InputCopies copies_;
  xgrad::detail::CheckedInputs checked_;
};

}  // namespace xgrad::nn::detail
