#pragma once

#include <xgrad/optim/optimizer.hpp>

namespace xgrad::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;  ///< of the gradient's part in the momentum
  bool nesterov = false;
  double weight_decay = 0;
};

/// Stochastic gradient descent, for each element:
///
///     g <- gradient + weight_decay p
///     b <- momentum b + (1 - dampening) g     (b <- g in the first step)
///     p <- p - lr g                           without momentum
///     p <- p - lr b                           with momentum
///     p <- p - lr (g + momentum b)            with Nesterov's momentum
///
/// The moment is "b". Sutskever et al. (2013), "On the importance of initialization and momentum in
/// deep learning"; the formulas are torch.optim.SGD's, where the learning rate is not part of b.
/// Throws unless lr, momentum and weight_decay are finite and at least 0 and dampening is finite,
/// and for Nesterov's momentum without a momentum or with a dampening.
class SGD : public Optimizer {
 public:
  explicit SGD(const std::vector<Var>& parameters, const SGDOptions& options = {});

 private:
  void update(const Update& update) override;

  SGDOptions options_;
};

}  // namespace xgrad::optim
