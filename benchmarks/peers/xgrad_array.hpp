#pragma once

#include <string>

#include <xgrad/core/tensor.hpp>

#include "contender.hpp"

namespace peers {

inline xgrad::Tensor tensor_of(const Array& array) {
  return xgrad::Tensor(xgrad::Shape(array.shape.begin(), array.shape.end()), array.numbers);
}

inline Array array_of(std::string name, const xgrad::Tensor& tensor) {
  const xgrad::Tensor row_major = tensor.copy();
  const float* first = row_major.data<float>();
  return {std::move(name),
          {tensor.shape().begin(), tensor.shape().end()},
          {first, first + row_major.size()}};
}

inline Array scalar(std::string name, double value) {
  return {std::move(name), {}, {static_cast<float>(value)}};
}

}  // namespace peers
