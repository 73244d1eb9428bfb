#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/rnn.h>

#include "problem.hpp"

namespace peers {

/// Either none or what the network returned: the states of all layers.
using TorchState = std::vector<torch::Tensor>;

/// A recurrent network in libtorch, one of its own or a custom one in its idiom.
class TorchRecurrent {
 public:
  virtual ~TorchRecurrent() = default;
  /// From (T,B,I) to (T,B,H). Goes on from `state` unless it is empty, and leaves the last in it.
  virtual torch::Tensor forward(const torch::Tensor& x, TorchState& state) = 0;

  std::vector<torch::Tensor> parameters;  ///< all
  /// One for each parameter of the problem; weights are (out, in), the transpose of xgrad's.
  std::vector<torch::Tensor> of_problem;
};

std::unique_ptr<TorchRecurrent> torch_recurrent(const Network& network);

}  // namespace peers
