#include <xgrad/optim/elements.hpp>
#include <xgrad/optim/options.hpp>
#include <xgrad/optim/rmsprop.hpp>

namespace xgrad::optim {
namespace {

std::vector<std::string> moment_names(const RMSpropOptions& options) {
  std::vector<std::string> names{"v"};
  if (options.centered) names.push_back("a");
  if (options.momentum != 0) names.push_back("b");
  return names;
}

}  // namespace

RMSprop::RMSprop(const std::vector<Var>& parameters, const RMSpropOptions& options)
    : Optimizer("RMSprop", parameters, options.lr, moment_names(options)), options_(options) {
  detail::check_decay("RMSprop", "alpha", options.alpha);
  detail::check_not_negative("RMSprop", "eps", options.eps);
  detail::check_not_negative("RMSprop", "momentum", options.momentum);
  detail::check_not_negative("RMSprop", "weight_decay", options.weight_decay);
}

void RMSprop::update(const Update& update) {
  const RMSpropOptions options = options_;
  detail::dispatch_real(update.value.dtype(), "RMSprop", [&]<class T>() {
    T* value = update.value.mutable_data<T>();
    const T* gradient = update.gradient.data<T>();
    T* square = update.moments[0].mutable_data<T>();
    T* average = options.centered ? update.moments[1].mutable_data<T>() : nullptr;
    T* buffer = options.momentum != 0 ? update.moments.back().mutable_data<T>() : nullptr;
    const auto keep = detail::simd_broadcast<T>(options.alpha);
    const auto add = detail::simd_broadcast<T>(1 - options.alpha);
    const auto eps = detail::simd_broadcast<T>(options.eps);
    const auto momentum = detail::simd_broadcast<T>(options.momentum);
    const auto minus_rate = detail::simd_broadcast<T>(-learning_rate());
    const auto decay = detail::simd_broadcast<T>(options.weight_decay);
    detail::for_each_vector<T>(update.value.size(), [=](Index i, Index left) {
      const auto p = detail::simd_load(value + i, left);
      auto g = detail::simd_load(gradient + i, left);
      if (options.weight_decay != 0) g = g + decay * p;
      const auto v = detail::simd_load(square + i, left) * keep + add * g * g;
      detail::simd_store(square + i, left, v);
      auto variance = v;
      if (average != nullptr) {
        const auto a = detail::simd_load(average + i, left) * keep + add * g;
        detail::simd_store(average + i, left, a);
        variance = v - a * a;
      }
      const auto d = sqrt(variance) + eps;
      if (buffer != nullptr) {
        const auto b = detail::simd_load(buffer + i, left) * momentum + g / d;
        detail::simd_store(buffer + i, left, b);
        detail::simd_store(value + i, left, p + minus_rate * b);
      } else {
        detail::simd_store(value + i, left, p + minus_rate * g / d);
      }
    });
  });
}

}  // namespace xgrad::optim
