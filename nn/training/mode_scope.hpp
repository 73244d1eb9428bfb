#pragma once

#include <cstddef>
#include <vector>

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

/// A module in training or evaluation mode until the end of a scope, which gives it and each of its
/// children back its own. Evaluation is for all; in a module that is training already, children
/// that are not stay as they are.
class ModeScope {
 public:
  ModeScope(Module& module, bool training) : module_(module) {
    const bool trains = module.training();
    for (const auto& mode : module.modes_) before_.push_back(*mode);
    if (!training || !trains) module.train(training);
  }
  ~ModeScope() {
    for (std::size_t i = 0; i < module_.modes_.size(); ++i) {
      *module_.modes_[i] = before_[i < before_.size() ? i : 0];  // adopted since: as the module
    }
  }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  Module& module_;
  std::vector<bool> before_;
};

}  // namespace xgrad::nn
