#include "torch_cells.hpp"

namespace peers {
namespace {

// -- libtorch's own -------------------------------------------------------------------------------

template <class Holder, class Options>
class BuiltIn final : public TorchRecurrent {
 public:
  explicit BuiltIn(const Network& network)
      : module_(Options(network.input, network.hidden).num_layers(network.layers)) {
    parameters = module_->parameters();
    auto named = module_->named_parameters();
    const torch::NoGradGuard no_grad;
    for (int layer = 0; layer < network.layers; ++layer) {
      const std::string suffix = "_l" + std::to_string(layer);
      for (const char* name : {"weight_ih", "weight_hh", "bias_ih"}) {
        of_problem.push_back(named[name + suffix]);
      }
      torch::Tensor& second_bias = named["bias_hh" + suffix];  // torch adds two
      if (network.cell == Cell::gru) {
        of_problem.push_back(second_bias);
      } else {
        second_bias.zero_();
      }
    }
  }

  torch::Tensor forward(const torch::Tensor& x, TorchState& state) override {
    if constexpr (std::is_same_v<Holder, torch::nn::LSTM>) {
      const auto [outputs, last] = state.empty()
                                       ? module_->forward(x)
                                       : module_->forward(x, std::make_tuple(state[0], state[1]));
      state = {std::get<0>(last), std::get<1>(last)};
      return outputs;
    } else {
      const auto [outputs, last] =
          state.empty() ? module_->forward(x) : module_->forward(x, state[0]);
      state = {last};
      return outputs;
    }
  }

 private:
  Holder module_;
};

// -- custom cells, eager --------------------------------------------------------------------------

struct HiddenAndCell {
  torch::Tensor h, c;
};

/// Goes through a sequence. What is the same for all steps is computed once, and x is unbound: to
/// index it in the loop would write a gradient of x's size in each step.
class CellModule : public torch::nn::Module {
 public:
  CellModule(int input, int hidden)
      : Wx(register_parameter("Wx", torch::empty({4 * hidden, input}))),
        Wh(register_parameter("Wh", torch::empty({4 * hidden, hidden}))) {}
  /// The outputs of all steps; leaves the last state in s.
  virtual torch::Tensor forward(const torch::Tensor& x, HiddenAndCell& s) const = 0;

  torch::Tensor Wx, Wh;
};

class Peephole final : public CellModule {
 public:
  Peephole(int input, int hidden)
      : CellModule(input, hidden),
        b_(register_parameter("b", torch::empty({4 * hidden}))),
        p_(register_parameter("p", torch::empty({3, hidden}))) {}

  torch::Tensor forward(const torch::Tensor& x, HiddenAndCell& s) const override {
    const auto W = Wh.t();
    const auto p = p_.unbind(0);
    std::vector<torch::Tensor> hs;
    for (const auto& z : torch::linear(x, Wx, b_).unbind(0)) {
      const auto gates = torch::addmm(z, s.h, W).chunk(4, 1);
      const auto i = torch::sigmoid(gates[0] + p[0] * s.c);
      const auto f = torch::sigmoid(gates[1] + p[1] * s.c);
      s.c = f * s.c + i * torch::tanh(gates[2]);
      const auto o = torch::sigmoid(gates[3] + p[2] * s.c);
      s.h = o * torch::tanh(s.c);
      hs.push_back(s.h);
    }
    return torch::stack(hs);
  }

 private:
  torch::Tensor b_, p_;
};

class LayerNorm final : public CellModule {
 public:
  LayerNorm(int input, int hidden)
      : CellModule(input, hidden),
        gx_(register_parameter("gx", torch::empty({4 * hidden}))),
        gh_(register_parameter("gh", torch::empty({4 * hidden}))),
        b_(register_parameter("b", torch::empty({4 * hidden}))),
        gc_(register_parameter("gc", torch::empty({hidden}))),
        bc_(register_parameter("bc", torch::empty({hidden}))) {}

  torch::Tensor forward(const torch::Tensor& x, HiddenAndCell& s) const override {
    const auto W = Wh.t();
    const std::int64_t H = Wh.size(1);
    std::vector<torch::Tensor> hs;
    for (const auto& z : torch::layer_norm(torch::linear(x, Wx), {4 * H}, gx_, b_).unbind(0)) {
      const auto gates = (z + torch::layer_norm(torch::mm(s.h, W), {4 * H}, gh_)).chunk(4, 1);
      s.c = torch::sigmoid(gates[1]) * s.c + torch::sigmoid(gates[0]) * torch::tanh(gates[2]);
      s.h = torch::sigmoid(gates[3]) * torch::tanh(torch::layer_norm(s.c, {H}, gc_, bc_));
      hs.push_back(s.h);
    }
    return torch::stack(hs);
  }

 private:
  torch::Tensor gx_, gh_, b_, gc_, bc_;
};

template <class CellType>
class Custom final : public TorchRecurrent {
 public:
  explicit Custom(const Network& network) : hidden_(network.hidden) {
    for (int layer = 0; layer < network.layers; ++layer) {
      cells_.emplace_back(layer == 0 ? network.input : network.hidden, network.hidden);
      for (const torch::Tensor& p : cells_.back().parameters()) parameters.push_back(p);
    }
    of_problem = parameters;
  }

  torch::Tensor forward(const torch::Tensor& x, TorchState& state) override {
    torch::Tensor outputs = x;
    TorchState last;
    for (std::size_t layer = 0; layer < cells_.size(); ++layer) {
      HiddenAndCell s;
      if (state.empty()) {
        s.h = s.c = torch::zeros({x.size(1), hidden_});
      } else {
        s = {state[2 * layer], state[2 * layer + 1]};
      }
      outputs = cells_[layer].forward(outputs, s);
      last.push_back(s.h);
      last.push_back(s.c);
    }
    state = std::move(last);
    return outputs;
  }

 private:
  std::vector<CellType> cells_;
  int hidden_;
};

}  // namespace

std::unique_ptr<TorchRecurrent> torch_recurrent(const Network& network) {
  switch (network.cell) {
    case Cell::rnn:
      return std::make_unique<BuiltIn<torch::nn::RNN, torch::nn::RNNOptions>>(network);
    case Cell::lstm:
      return std::make_unique<BuiltIn<torch::nn::LSTM, torch::nn::LSTMOptions>>(network);
    case Cell::gru:
      return std::make_unique<BuiltIn<torch::nn::GRU, torch::nn::GRUOptions>>(network);
    case Cell::peephole:
      return std::make_unique<Custom<Peephole>>(network);
    default:
      return std::make_unique<Custom<LayerNorm>>(network);
  }
}

}  // namespace peers
