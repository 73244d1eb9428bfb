#include <cmath>

#include <xgrad/optim/adam.hpp>
#include <xgrad/optim/elements.hpp>
#include <xgrad/optim/options.hpp>

namespace xgrad::optim {

Adam::Adam(const std::vector<Var>& parameters, const AdamOptions& options)
    : Adam("Adam", parameters, options, false) {}

Adam::Adam(const char* name, const std::vector<Var>& parameters, const AdamOptions& options,
           bool decoupled)
    : Optimizer(name, parameters, options.lr, {"m", "v"}),
      options_(options),
      decoupled_(decoupled) {
  detail::check_decay(name, "betas[0]", options.betas[0]);
  detail::check_decay(name, "betas[1]", options.betas[1]);
  detail::check_not_negative(name, "eps", options.eps);
  detail::check_not_negative(name, "weight_decay", options.weight_decay);
}

void Adam::update(const Update& update) {
  const double beta1 = options_.betas[0];
  const double beta2 = options_.betas[1];
  const auto t = static_cast<double>(update.step);
  const double step_size = learning_rate() / (1 - std::pow(beta1, t));
  const double root_correction = std::sqrt(1 - std::pow(beta2, t));
  const bool decays = !decoupled_ && options_.weight_decay != 0;
  const double shrink = decoupled_ ? 1 - learning_rate() * options_.weight_decay : 1;
  detail::dispatch_real(update.value.dtype(), "Adam", [&]<class T>() {
    T* value = update.value.mutable_data<T>();
    const T* gradient = update.gradient.data<T>();
    T* first = update.moments[0].mutable_data<T>();
    T* second = update.moments[1].mutable_data<T>();
    const auto keep1 = detail::simd_broadcast<T>(beta1);
    const auto keep2 = detail::simd_broadcast<T>(beta2);
    const auto add1 = detail::simd_broadcast<T>(1 - beta1);
    const auto add2 = detail::simd_broadcast<T>(1 - beta2);
    const auto root = detail::simd_broadcast<T>(root_correction);
    const auto eps = detail::simd_broadcast<T>(options_.eps);
    const auto rate = detail::simd_broadcast<T>(-step_size);
    const auto decay = detail::simd_broadcast<T>(options_.weight_decay);
    const auto factor = detail::simd_broadcast<T>(shrink);
    detail::for_each_vector<T>(update.value.size(), [=](Index i, Index left) {
      const auto p = detail::simd_load(value + i, left);
      auto g = detail::simd_load(gradient + i, left);
      if (decays) g = g + decay * p;
      const auto m = detail::simd_load(first + i, left) * keep1 + add1 * g;
      const auto v = detail::simd_load(second + i, left) * keep2 + add2 * g * g;
      detail::simd_store(first + i, left, m);
      detail::simd_store(second + i, left, v);
      detail::simd_store(value + i, left, p * factor + rate * m / (sqrt(v) / root + eps));
    });
  });
}

AdamW::AdamW(const std::vector<Var>& parameters, const AdamWOptions& options)
    : Adam("AdamW", parameters,
           {.lr = options.lr,
            .betas = options.betas,
            .eps = options.eps,
            .weight_decay = options.weight_decay},
           true) {}

}  // namespace xgrad::optim
