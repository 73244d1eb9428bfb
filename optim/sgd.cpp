#include <cmath>

#include <xgrad/core/error.hpp>
#include <xgrad/optim/elements.hpp>
#include <xgrad/optim/options.hpp>
#include <xgrad/optim/sgd.hpp>

namespace xgrad::optim {

SGD::SGD(const std::vector<Var>& parameters, const SGDOptions& options)
    : Optimizer("SGD", parameters, options.lr,
                options.momentum != 0 ? std::vector<std::string>{"b"} : std::vector<std::string>{}),
      options_(options) {
  detail::check_not_negative("SGD", "momentum", options.momentum);
  detail::check_option(std::isfinite(options.dampening), "SGD", "dampening", options.dampening,
                       "finite");
  detail::check_not_negative("SGD", "weight_decay", options.weight_decay);
  if (options.nesterov) {
    detail::check_option(options.momentum > 0, "SGD", "momentum", options.momentum,
                         "above 0 with nesterov");
    detail::check_option(options.dampening == 0, "SGD", "dampening", options.dampening,
                         "0 with nesterov");
  }
}

void SGD::update(const Update& update) {
  const SGDOptions options = options_;
  detail::dispatch_real(update.value.dtype(), "SGD", [&]<class T>() {
    T* value = update.value.mutable_data<T>();
    const T* gradient = update.gradient.data<T>();
    T* buffer = options.momentum != 0 ? update.moments[0].mutable_data<T>() : nullptr;
    const bool first = update.step == 1;
    const auto minus_rate = detail::simd_broadcast<T>(-learning_rate());
    const auto momentum = detail::simd_broadcast<T>(options.momentum);
    const auto undamped = detail::simd_broadcast<T>(1 - options.dampening);
    const auto decay = detail::simd_broadcast<T>(options.weight_decay);
    detail::for_each_vector<T>(update.value.size(), [=](Index i, Index left) {
      const auto p = detail::simd_load(value + i, left);
      auto g = detail::simd_load(gradient + i, left);
      if (options.weight_decay != 0) g = g + decay * p;
      if (buffer != nullptr) {
        const auto b = first ? g : detail::simd_load(buffer + i, left) * momentum + undamped * g;
        detail::simd_store(buffer + i, left, b);
        g = options.nesterov ? g + momentum * b : b;
      }
      detail::simd_store(value + i, left, p + minus_rate * g);
    });
  });
}

}  // namespace xgrad::optim
