#pragma once

#include <memory>

#include <xgrad/core/tensor.hpp>
#include <xgrad/core/xtensor.hpp>

namespace xgrad {

template <class E>
Tensor::Tensor(const xt::xexpression<E>& expression) {
  using Value = std::decay_t<typename E::value_type>;
  using T = std::conditional_t<std::is_integral_v<Value>, float, Value>;
  const E& source = expression.derived_cast();
  *this = uninitialized(Shape(source.shape().begin(), source.shape().end()), dtype_of<T>());
  std::vector<std::size_t> extents(shape_.begin(), shape_.end());
  auto target =
      xt::adapt(mutable_data<T>(), static_cast<std::size_t>(size()), xt::no_ownership(), extents);
  xt::noalias(target) = xt::cast<T>(source);
}

template <class T>
auto Tensor::value() const& {
  // Of the layouts xtensor knows contiguous ones alone in all of its functions: some refuse others
  // (sort), some read past them (argsort).
  auto x = std::make_shared<const Tensor>(detail::contiguous(*this));
  const T* first = x->template data<T>();
  const xt::dynamic_shape<std::size_t> extents(shape_.begin(), shape_.end());
  return xt::adapt_smart_ptr<xt::layout_type::row_major>(first, extents, std::move(x));
}

template <class T>
auto Tensor::value() const&& {
  const Tensor& x = *this;
  return xt::xarray<T>(x.value<T>());
}

}  // namespace xgrad
