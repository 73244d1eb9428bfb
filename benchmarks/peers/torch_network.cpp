#include <torch/nn/functional/loss.h>
#include <torch/optim/sgd.h>

#include "torch_array.hpp"
#include "torch_cells.hpp"

namespace peers {
namespace {

class TorchNetwork final : public Contender {
 public:
  TorchNetwork(const NetworkProblem& problem, Work work)
      : network_(torch_recurrent(problem.network)),
        sgd_(network_->parameters, torch::optim::SGDOptions(learning_rate)),
        work_(work),
        x_(torch_tensor(problem.x)),
        target_(torch_tensor(problem.target)) {
    const torch::NoGradGuard no_grad;
    TORCH_CHECK(network_->of_problem.size() == problem.parameters.size());
    for (std::size_t i = 0; i < problem.parameters.size(); ++i) {
      const Array& p = problem.parameters[i];
      names_.push_back(p.name);
      network_->of_problem[i].copy_(in_xgrads_layout(i, torch_tensor(p)));
    }
  }

  void run() override {
    switch (work_) {
      case Work::training:
        gradient();
        sgd_.step();
        break;
      case Work::gradient:
        gradient();
        break;
      case Work::forward: {
        const c10::InferenceMode no_grad;
        loss().item<double>();
        break;
      }
      case Work::inference:
      case Work::generation:
        outputs();
        break;
    }
  }

  std::vector<Array> result() override {
    switch (work_) {
      case Work::training:
      case Work::gradient: {
        std::vector<Array> all{{"loss", {}, {static_cast<float>(gradient())}}};
        for (std::size_t i = 0; i < names_.size(); ++i) {
          all.push_back(torch_array("gradient of " + names_[i],
                                    in_xgrads_layout(i, network_->of_problem[i].grad())));
        }
        return all;
      }
      case Work::forward: {
        const c10::InferenceMode no_grad;
        return {torch_array("loss", loss())};
      }
      case Work::inference:
        return {torch_array("outputs", outputs())};
      default:
        state_.clear();
        for (int i = 0; i < 2; ++i) outputs();
        return {torch_array("outputs", outputs())};
    }
  }

 private:
  /// There weights are (in, out), here (out, in): one is the other's transpose.
  torch::Tensor in_xgrads_layout(std::size_t i, const torch::Tensor& p) const {
    const bool is_weight = names_[i].find(".W") != std::string::npos;
    return is_weight ? p.t() : p;
  }

  torch::Tensor loss() {
    TorchState zero;
    return torch::nn::functional::mse_loss(network_->forward(x_, zero), target_);
  }

  double gradient() {
    sgd_.zero_grad();
    const torch::Tensor value = loss();
    value.backward();
    return value.item<double>();
  }

  torch::Tensor outputs() {
    const c10::InferenceMode no_grad;
    if (work_ == Work::inference) state_.clear();
    return network_->forward(x_, state_);
  }

  std::unique_ptr<TorchRecurrent> network_;
  torch::optim::SGD sgd_;
  Work work_;
  torch::Tensor x_, target_;
  TorchState state_;
  std::vector<std::string> names_;
};

}  // namespace

ContenderPtr torch_network(const Network& network, Work work) {
  return std::make_unique<TorchNetwork>(make_problem(network), work);
}

}  // namespace peers
