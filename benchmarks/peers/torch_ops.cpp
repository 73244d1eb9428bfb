#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/version.h>

#include "torch_array.hpp"

namespace peers {
namespace {

class TorchChain final : public Contender {
 public:
  TorchChain(int size, bool gradient)
      : a_(torch_tensor(random_array("a", {size}, 1)).requires_grad_()),
        b_(torch_tensor(random_array("b", {size}, 2)).requires_grad_()),
        seed_(torch_tensor(random_array("seed", {size}, 3))),
        gradient_(gradient) {}
  void run() override { compute(); }
  std::vector<Array> result() override {
    std::vector<Array> all{torch_array("y", compute())};
    if (gradient_) {
      all.push_back(torch_array("gradient of a", a_.grad()));
      all.push_back(torch_array("gradient of b", b_.grad()));
    }
    return all;
  }

 private:
  torch::Tensor chain() const { return (((a_ * b_ + a_) * 2 - b_) * a_ + 1) * b_ - 3; }
  torch::Tensor compute() {
    if (!gradient_) {
      const c10::InferenceMode no_grad;
      return chain();
    }
    a_.mutable_grad().reset();
    b_.mutable_grad().reset();
    const torch::Tensor y = chain();
    y.backward(seed_);
    return y;
  }

  torch::Tensor a_, b_, seed_;
  bool gradient_;
};

class TorchSums final : public Contender {
 public:
  TorchSums(int nodes, bool recorded)
      : x_(torch_tensor(random_array("x", {4}, 1)).requires_grad_(recorded)),
        y_(torch_tensor(random_array("y", {4}, 2))),
        nodes_(nodes) {}
  void run() override { sum(); }
  std::vector<Array> result() override { return {torch_array("sum", sum())}; }

 private:
  torch::Tensor sum() const {
    torch::Tensor total = x_;
    for (int i = 0; i < nodes_; ++i) total = total + y_;
    return total;
  }

  torch::Tensor x_, y_;
  int nodes_;
};

}  // namespace

ContenderPtr torch_chain(int size, bool gradient) {
  return std::make_unique<TorchChain>(size, gradient);
}
ContenderPtr torch_sums(int nodes, bool recorded) {
  return std::make_unique<TorchSums>(nodes, recorded);
}

void use_torch_threads(int n) {
  at::set_num_threads(n);
  use_openblas_threads(n);
}

std::string torch_version() { return TORCH_VERSION; }

}  // namespace peers
