#include <cmath>

#include <xgrad/core/runtime/join.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>
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

/// Where the gradients of these parameters may be changed: a Tensor that somebody took from
/// `grad()` keeps its elements.
detail::PoolVector<Tensor> places_for(const detail::PoolVector<detail::Parameter*>& parameters) {
  detail::PoolVector<Tensor> places;
  for (const detail::Parameter* parameter : parameters) {
    const Tensor& gradient = parameter->gradient;
    const bool unique = gradient.is_unique();
    places.push_back(unique ? gradient : Tensor::uninitialized(gradient.shape(), gradient.dtype()));
  }
  return places;
}

/// Replaces each element g of the gradients by f(g, T), T being their type; all or, if it throws,
/// none.
template <class F>
void transform(const char* caller, const detail::PoolVector<detail::Parameter*>& parameters,
               const F& f) {
  for (const detail::Parameter* parameter : parameters) {
    detail::dispatch_real(parameter->gradient.dtype(), caller, []<class T>() {});
  }
  detail::PoolVector<Tensor> places = places_for(parameters);
  detail::join();
  for (std::size_t k = 0; k < places.size(); ++k) {
    Tensor& gradient = parameters[k]->gradient;
    detail::dispatch_real(gradient.dtype(), caller, [&]<class T>() {
      const T* source = gradient.data<T>();
      T* target = places[k].mutable_data<T>();
      detail::for_each_vector<T>(gradient.size(), [=](Index i, Index left) {
        detail::simd_store(target + i, left,
                           f.template operator()<T>(detail::simd_load(source + i, left)));
      });
    });
    gradient = std::move(places[k]);
  }
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
  transform("clip_norm", clipped,
            [=]<class T>(auto g) { return g * detail::simd_broadcast<T>(coefficient); });
  return norm;
}

void clip_value(const std::vector<Var>& parameters, double limit) {
  detail::check_option(limit >= 0, "clip_value", "limit", limit, "at least 0");
  transform("clip_value", with_gradient("clip_value", parameters), [=]<class T>(auto g) {
    const auto high = detail::simd_broadcast<T>(limit);
    return where(g > high, high, where(g < -high, -high, g));
  });
}

}  // namespace xgrad::optim
