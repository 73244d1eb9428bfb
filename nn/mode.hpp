#pragma once

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

/// A module in training or evaluation mode until the end of a scope.
class ModeScope {
 public:
  ModeScope(Module& module, bool training) : module_(module), before_(module.training()) {
    if (training != before_) module_.train(training);
  }
  ~ModeScope() {
    if (module_.training() != before_) module_.train(before_);
  }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  Module& module_;
  bool before_;
};

}  // namespace xgrad::nn
