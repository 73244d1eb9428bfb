#pragma once

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
  const T* first = data<T>();
  Index extent = size() == 0 ? 0 : 1;  // from the first to behind the last element
  for (std::size_t i = 0; i < dim(); ++i) extent += (shape_[i] - 1) * strides_[i] * (size() != 0);
  std::vector<std::size_t> extents(shape_.begin(), shape_.end());
  std::vector<Index> steps(strides_.begin(), strides_.end());
  for (std::size_t i = 0; i < dim(); ++i) {
    if (shape_[i] == 1) steps[i] = 0;  // xtensor's convention for axes that broadcast
  }
  const std::vector<std::size_t> flat{static_cast<std::size_t>(extent)};
  return xt::strided_view(xt::adapt(first, flat[0], xt::no_ownership(), flat), std::move(extents),
                          std::move(steps), 0, xt::layout_type::dynamic);
}

template <class T>
auto Tensor::value() const&& {
  const Tensor& x = *this;
  return xt::xarray<T>(x.value<T>());
}

}  // namespace xgrad
