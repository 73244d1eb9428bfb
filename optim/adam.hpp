#pragma once

#include <array>

#include <xgrad/optim/optimizer.hpp>

namespace xgrad::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// Adam, for each element in its step t:
///
///     g <- gradient + weight_decay p
///     m <- beta1 m + (1 - beta1) g
///     v <- beta2 v + (1 - beta2) g^2
///     p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
///
/// The moments are "m" and "v". Kingma and Ba (2015), "Adam: a method for stochastic optimization",
/// algorithm 1; the formulas are torch.optim.Adam's. A parameter's t counts its own updates.
/// Throws unless lr, eps and weight_decay are at least 0 and both betas in [0, 1).
class Adam : public Optimizer {
 public:
  explicit Adam(const std::vector<Var>& parameters, const AdamOptions& options = {});

 protected:
  Adam(const char* name, const std::vector<Var>& parameters, const AdamOptions& options,
       bool decoupled);

 private:
  void update(const Update& update) override;

  AdamOptions options_;
  bool decoupled_;  // AdamW's weight decay
};

/// Adam with decoupled weight decay: instead of adding weight_decay p to the gradient, it begins
/// with
///
///     p <- p (1 - lr weight_decay)
///
/// Loshchilov and Hutter (2019), "Decoupled weight decay regularization"; as torch.optim.AdamW.
class AdamW : public Adam {
 public:
  explicit AdamW(const std::vector<Var>& parameters, const AdamWOptions& options = {});
};

}  // namespace xgrad::optim
