#pragma once

#include <xgrad/optim/optimizer.hpp>

namespace xgrad::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double momentum = 0;
  bool centered = false;
  double weight_decay = 0;
};

/// RMSprop, for each element:
///
///     g <- gradient + weight_decay p
///     v <- alpha v + (1 - alpha) g^2
///     a <- alpha a + (1 - alpha) g            if centered
///     d = sqrt(v) + eps,  sqrt(v - a^2) + eps if centered
///     p <- p - lr g / d                       without momentum
///     b <- momentum b + g / d,  p <- p - lr b with momentum
///
/// The moments are "v", and as needed "a" and "b". Tieleman and Hinton (2012), lecture 6.5;
/// centered: Graves (2013), "Generating sequences with recurrent neural networks", eq. 38 to 41;
/// the formulas are torch.optim.RMSprop's: where rounding makes v - a^2 negative, the result is
/// NaN. Throws unless lr, eps, momentum and weight_decay are at least 0 and alpha in [0, 1).
class RMSprop : public Optimizer {
 public:
  explicit RMSprop(const std::vector<Var>& parameters, const RMSpropOptions& options = {});

 private:
  void update(const Update& update) override;

  RMSpropOptions options_;
};

}  // namespace xgrad::optim
