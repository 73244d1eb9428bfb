#include <stdexcept>

#include <xgrad/core/tape.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/optim/sgd.hpp>

#include "libraries.hpp"
#include "xgrad_array.hpp"
#include "xgrad_cells.hpp"

namespace peers {
namespace {

template <class Cell>
class XgradNetwork final : public Contender {
 public:
  XgradNetwork(const NetworkProblem& problem, Work work)
      : network_(problem.network.input, problem.network.hidden, {.layers = problem.network.layers}),
        sgd_(network_.parameters(), {.lr = learning_rate}),
        work_(work),
        x_(tensor_of(problem.x)),
        target_(tensor_of(problem.target)),
        states_(network_.zero_state(problem.network.batch)) {
    const auto& parameters = network_.named_parameters();
    if (parameters.size() != problem.parameters.size()) {
      throw std::logic_error("the problem does not have xgrad's parameters");
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].name != problem.parameters[i].name) {
        throw std::logic_error("xgrad's parameter is " + parameters[i].name +
                               ", the problem's is " + problem.parameters[i].name);
      }
      parameters[i].var.assign(tensor_of(problem.parameters[i]));
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
        clear_gradients();
        break;
      case Work::forward:
        loss().item();
        break;
      case Work::inference:
        network_(x_);
        break;
      case Work::generation:
        generate();
        break;
    }
  }

  std::vector<Array> result() override {
    switch (work_) {
      case Work::training:
      case Work::gradient: {
        std::vector<Array> all{scalar("loss", gradient())};
        for (const auto& p : network_.named_parameters()) {
          all.push_back(array_of("gradient of " + p.name, p.var.grad()));
        }
        clear_gradients();
        return all;
      }
      case Work::forward:
        return {scalar("loss", loss().item())};
      case Work::inference:
        return {array_of("outputs", network_(x_).outputs.tensor())};
      default:
        states_ = network_.zero_state(x_.shape()[1]);
        for (int i = 0; i < 2; ++i) generate();
        return {array_of("outputs", generate().tensor())};
    }
  }

 private:
  Var loss() const { return xgrad::mse(network_(x_).outputs, target_); }

  double gradient() const {
    xgrad::Tape tape;
    const Var value = loss();
    tape.backward(value);
    return value.item();
  }

  void clear_gradients() const {
    for (const Var& p : network_.parameters()) p.clear_grad();
  }

  Var generate() { return network_.step(x_[0], states_); }

  xgrad::nn::Recurrent<Cell> network_;
  xgrad::optim::SGD sgd_;
  Work work_;
  Var x_, target_;
  typename xgrad::nn::Recurrent<Cell>::States states_;
};

}  // namespace

ContenderPtr xgrad_network(const Network& network, Work work) {
  const NetworkProblem problem = make_problem(network);
  switch (network.cell) {
    case Cell::rnn:
      return std::make_unique<XgradNetwork<xgrad::nn::RNNCell>>(problem, work);
    case Cell::lstm:
      return std::make_unique<XgradNetwork<xgrad::nn::LSTMCell>>(problem, work);
    case Cell::gru:
      return std::make_unique<XgradNetwork<xgrad::nn::GRUCell>>(problem, work);
    case Cell::peephole:
      return std::make_unique<XgradNetwork<PeepholeCell>>(problem, work);
    default:
      return std::make_unique<XgradNetwork<LayerNormCell>>(problem, work);
  }
}

}  // namespace peers
