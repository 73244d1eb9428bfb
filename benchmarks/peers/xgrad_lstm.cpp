#include <xgrad/core/tape.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/optim/sgd.hpp>

#include "lstm.hpp"

namespace peers {
namespace {

class XgradLstm final : public Training {
 public:
  explicit XgradLstm(const Problem& problem)
      : lstm_(problem.shape.input, problem.shape.hidden),
        sgd_(lstm_.parameters(), {.lr = learning_rate}) {
    const auto [T, B, I, H] = problem.shape;
    x_ = xgrad::Tensor({T, B, I}, problem.x);
    target_ = xgrad::Tensor({T, B, H}, problem.target);
    const xgrad::nn::LSTMCell& cell = lstm_.cells()[0];
    cell.Wx.assign(xgrad::Tensor({I, 4 * H}, problem.weights.Wx));
    cell.Wh.assign(xgrad::Tensor({H, 4 * H}, problem.weights.Wh));
    cell.b.assign(xgrad::Tensor({4 * H}, problem.weights.b));
  }

  LossAndGradient evaluate() override {
    const double loss = backward();
    const xgrad::nn::LSTMCell& cell = lstm_.cells()[0];
    LossAndGradient result{
        loss, {numbers(cell.Wx.grad()), numbers(cell.Wh.grad()), numbers(cell.b.grad())}};
    for (const xgrad::Var& p : lstm_.parameters()) p.clear_grad();
    return result;
  }

  void step() override {
    backward();
    sgd_.step();
  }

  static std::vector<float> numbers(const xgrad::Tensor& tensor) {
    const float* first = tensor.data<float>();
    return {first, first + tensor.size()};
  }

 private:
  double backward() {
    xgrad::Tape tape;
    const xgrad::Var loss = xgrad::mse(lstm_(x_).outputs, target_);
    tape.backward(loss);
    return loss.item();
  }

  xgrad::nn::LSTM lstm_;
  xgrad::optim::SGD sgd_;
  xgrad::Var x_, target_;
};

}  // namespace

std::unique_ptr<Training> xgrad_lstm(const Problem& problem) {
  return std::make_unique<XgradLstm>(problem);
}

Weights initial_weights(const Shape& shape) {
  const xgrad::nn::LSTMCell cell(shape.input, shape.hidden);
  return {XgradLstm::numbers(cell.Wx.tensor()), XgradLstm::numbers(cell.Wh.tensor()),
          XgradLstm::numbers(cell.b.tensor())};
}

void use_one_thread_in_xgrad() { xgrad::set_threads(1); }

}  // namespace peers
