#pragma once

#include <torch/types.h>

#include "libraries.hpp"

namespace peers {

inline torch::Tensor torch_tensor(const Array& array) {
  const std::vector<std::int64_t> shape(array.shape.begin(), array.shape.end());
  return torch::from_blob(const_cast<float*>(array.numbers.data()), shape).clone();
}

inline Array torch_array(std::string name, const torch::Tensor& tensor) {
  const torch::Tensor row_major = tensor.detach().contiguous();
  const float* first = row_major.data_ptr<float>();
  Array array{std::move(name), {}, {first, first + row_major.numel()}};
  for (const std::int64_t extent : tensor.sizes()) array.shape.push_back(static_cast<int>(extent));
  return array;
}

}  // namespace peers
