#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/rnn.h>
#include <torch/optim/sgd.h>
#include <torch/version.h>

#include "lstm.hpp"

namespace peers {
namespace {

torch::Tensor copy_of(const std::vector<float>& values, torch::IntArrayRef shape) {
  return torch::from_blob(const_cast<float*>(values.data()), shape).clone();
}

std::vector<float> numbers(const torch::Tensor& tensor) {
  const torch::Tensor row_major = tensor.contiguous();
  const float* first = row_major.data_ptr<float>();
  return {first, first + row_major.numel()};
}

class TorchLstm final : public Training {
 public:
  explicit TorchLstm(const Problem& problem)
      : lstm_(problem.shape.input, problem.shape.hidden),
        sgd_(lstm_->parameters(), torch::optim::SGDOptions(learning_rate)) {
    const auto [T, B, I, H] = problem.shape;
    x_ = copy_of(problem.x, {T, B, I});
    target_ = copy_of(problem.target, {T, B, H});
    const torch::NoGradGuard no_grad;
    parameter("weight_ih_l0").copy_(copy_of(problem.weights.Wx, {I, 4 * H}).t());
    parameter("weight_hh_l0").copy_(copy_of(problem.weights.Wh, {H, 4 * H}).t());
    parameter("bias_ih_l0").copy_(copy_of(problem.weights.b, {4 * H}));
    parameter("bias_hh_l0").zero_();  // it has two bias vectors, which it adds
  }

  LossAndGradient evaluate() override {
    const double loss = backward();
    return {
        loss,
        {numbers(parameter("weight_ih_l0").grad().t()),
         numbers(parameter("weight_hh_l0").grad().t()), numbers(parameter("bias_ih_l0").grad())}};
  }

  void step() override {
    backward();
    sgd_.step();
  }

 private:
  torch::Tensor parameter(const char* name) { return lstm_->named_parameters()[name]; }

  double backward() {
    sgd_.zero_grad();
    const torch::Tensor outputs = std::get<0>(lstm_->forward(x_));
    const torch::Tensor loss = torch::nn::functional::mse_loss(outputs, target_);
    loss.backward();
    return loss.item<double>();
  }

  torch::nn::LSTM lstm_;
  torch::optim::SGD sgd_;
  torch::Tensor x_, target_;
};

}  // namespace

std::unique_ptr<Training> torch_lstm(const Problem& problem) {
  return std::make_unique<TorchLstm>(problem);
}

void use_one_thread_in_torch() { at::set_num_threads(1); }

std::string torch_version() { return TORCH_VERSION; }

}  // namespace peers
