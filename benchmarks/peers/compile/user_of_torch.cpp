// What a user of libtorch writes to train the same cell. Compiled, never run.
#include <iostream>

#include <torch/torch.h>

struct PeepholeCellImpl : torch::nn::Module {
  PeepholeCellImpl(int64_t input, int64_t hidden)
      : Wx(register_parameter("Wx", torch::empty({4 * hidden, input}))),
        Wh(register_parameter("Wh", torch::empty({4 * hidden, hidden}))),
        b(register_parameter("b", torch::zeros({4 * hidden}))),
        p(register_parameter("p", torch::zeros({3, hidden}))) {
    torch::nn::init::xavier_uniform_(Wx);
    torch::nn::init::orthogonal_(Wh);
  }

  torch::Tensor forward(const torch::Tensor& x) {
    auto h = torch::zeros({x.size(1), Wh.size(1)});
    auto c = torch::zeros({x.size(1), Wh.size(1)});
    const auto W = Wh.t();
    const auto ps = p.unbind(0);
    std::vector<torch::Tensor> hs;
    for (const auto& z : torch::linear(x, Wx, b).unbind(0)) {
      const auto gates = torch::addmm(z, h, W).chunk(4, 1);
      const auto i = torch::sigmoid(gates[0] + ps[0] * c);
      const auto f = torch::sigmoid(gates[1] + ps[1] * c);
      c = f * c + i * torch::tanh(gates[2]);
      h = torch::sigmoid(gates[3] + ps[2] * c) * torch::tanh(c);
      hs.push_back(h);
    }
    return torch::stack(hs);
  }

  torch::Tensor Wx, Wh, b, p;
};
TORCH_MODULE(PeepholeCell);

int main() {
  const auto x = torch::randn({50, 32, 10});
  const auto target = torch::randn({50, 32, 50});
  PeepholeCell network(10, 50);
  torch::optim::SGD sgd(network->parameters(), 1e-2);
  for (int i = 0; i < 10; ++i) {
    sgd.zero_grad();
    const auto loss = torch::mse_loss(network->forward(x), target);
    loss.backward();
    sgd.step();
    std::cout << loss.item<double>() << '\n';
  }
}
