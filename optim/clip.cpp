#include <cmath>

#include <xgrad/core/sum_of_parts.hpp>
#include <xgrad/optim/clip.hpp>
#include <xgrad/optim/elements.hpp>
#include <xgrad/optim/options.hpp>
#include <xgrad/optim/parameters.hpp>

namespace xgrad::optim {
namespace {

/// The gradients that the next step would use.
detail::PoolVector<detail::Parameter*> with_gradient(const char* caller,
                                                     const std::vector<Var>& vars) {
  detail::PoolVector<detail::Parameter*> result;
  for (const Var& var : detail::unique_parameters(caller, vars)) {
    detail::Parameter& parameter = var.parameter(caller);
    if (parameter.has_gradient && parameter.trainable) result.push_back(&parameter);
  }
  return result;
}

template <class T>
double sum_of_squares(const T* x, Index size) {
  return detail::sum_of_parts(size, [=](Index first, Index last) {
    detail::WideVector<T> sum;
    for (Index i = first; i < last; i += detail::simd_width<T>) {
      const detail::WideVector<T> element(detail::simd_load(x + i, last - i));
      sum += element * element;
    }
    return sum.sum();
  });
}

/// Replaces each element g of the gradient by f(g). A Tensor that somebody took from `grad()` keeps
/// its elements.
template <class T, class F>
void transform(detail::Parameter& parameter, const F& f) {
  const Tensor from = std::move(parameter.gradient);
  parameter.gradient = from.is_unique() ? from : Tensor::uninitialized(from.shape(), from.dtype());
  const T* source = from.data<T>();
  T* target = parameter.gradient.mutable_data<T>();
  detail::for_each_vector<T>(from.size(), [=](Index i, Index left) {
    detail::simd_store(target + i, left, f(detail::simd_load(source + i, left)));
  });
}

}  // namespace

double clip_norm(const std::vector<Var>& parameters, double max_norm) {
  detail::check_option(max_norm >= 0, "clip_norm", "max_norm", max_norm, "at least 0");
  const auto clipped = with_gradient("clip_norm", parameters);
  double sum = 0;
  for (const detail::Parameter* parameter : clipped) {
    const Tensor& gradient = parameter->gradient;
    sum += detail::dispatch_real(gradient.dtype(), "clip_norm", [&]<class T>() {
      return sum_of_squares(gradient.data<T>(), gradient.size());
    });
  }
  const double norm = std::sqrt(sum);
  const double coefficient = max_norm / (norm + 1e-6);
  if (coefficient >= 1) return norm;
  for (detail::Parameter* parameter : clipped) {
    detail::dispatch_real(parameter->gradient.dtype(), "clip_norm", [&]<class T>() {
      const auto factor = detail::simd_broadcast<T>(coefficient);
      transform<T>(*parameter, [=](auto g) { return g * factor; });
    });
  }
  return norm;
}

void clip_value(const std::vector<Var>& parameters, double limit) {
  detail::check_option(limit >= 0, "clip_value", "limit", limit, "at least 0");
  for (detail::Parameter* parameter : with_gradient("clip_value", parameters)) {
    detail::dispatch_real(parameter->gradient.dtype(), "clip_value", [&]<class T>() {
      const auto high = detail::simd_broadcast<T>(limit);
      transform<T>(*parameter,
                   [=](auto g) { return where(g > high, high, where(g < -high, -high, g)); });
    });
  }
}

}  // namespace xgrad::optim
