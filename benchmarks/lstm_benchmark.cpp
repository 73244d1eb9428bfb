// A training step of recurrent networks: forward, mean squared error, backward, update.
#include <benchmark/benchmark.h>

#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>
#include <xgrad/optim/sgd.hpp>

namespace {

using namespace xgrad;

/// A user's cell: an LSTM whose gates see the state c as well. Gers and Schmidhuber 2000.
struct PeepholeCell : nn::Module {
  PeepholeCell(Index input, Index hidden)
      : Wx(param("Wx", nn::per_gate(nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", nn::per_gate(nn::orthogonal(), 4, hidden, hidden))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        pi(param("pi", Tensor::full({hidden}, 0.1))),
        pf(param("pf", Tensor::full({hidden}, 0.1))),
        po(param("po", Tensor::full({hidden}, 0.1))) {}
  struct State {
    Var h, c;
  };
  State zero_state(Index batch) const {
    const Var zeros = Tensor::zeros({batch, Wh.shape()[0]}, dtype());
    return {zeros, zeros};
  }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = split<4>(z + matmul(s.h, Wh));
    Var c = sigmoid(f + pf * s.c) * s.c + sigmoid(i + pi * s.c) * tanh(g);
    Var h = sigmoid(o + po * c) * tanh(c);
    return {h, c};
  }
  Var Wx, Wh, b, pi, pf, po;
};

template <class Cell>
void training_step(benchmark::State& state) {
  const Index T = state.range(0);
  const Index B = state.range(1);
  const Index I = state.range(2);
  const Index H = state.range(3);
  Generator generator(1);
  const Var x = generator.uniform({T, B, I}, -1, 1);
  const Var target = generator.uniform({T, B, H}, -1, 1);
  const nn::Recurrent<Cell> network(I, H);
  optim::SGD sgd(network.parameters(), {.lr = 1e-2});
  for (auto _ : state) {
    Tape tape;
    tape.backward(mse(network(x).outputs, target));
    sgd.step();
  }
}

void training_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"T", "B", "I", "H"})->Unit(benchmark::kMillisecond);
  benchmark->Args({50, 32, 10, 50});
  benchmark->Args({50, 32, 64, 64});
  benchmark->Args({64, 32, 128, 128});
  benchmark->Args({64, 32, 256, 256});
  benchmark->Args({64, 64, 512, 512});
}
BENCHMARK(training_step<nn::LSTMCell>)->Apply(training_shapes);
BENCHMARK(training_step<nn::GRUCell>)->Apply(training_shapes);
BENCHMARK(training_step<nn::RNNCell>)->Apply(training_shapes);
BENCHMARK(training_step<PeepholeCell>)->Apply(training_shapes);

/// One time step of one sequence, as in generating text.
template <class Cell>
void inference_step(benchmark::State& state) {
  const Index I = state.range(0);
  const Index H = state.range(1);
  const Var x = Generator(1).uniform({1, I}, -1, 1);
  const Cell cell(I, H);
  auto s = cell.zero_state(1);
  for (auto _ : state) {
    s = nn::single_step(cell, x, s);
    benchmark::DoNotOptimize(s);
  }
}

void inference_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"I", "H"})->Unit(benchmark::kMicrosecond);
  benchmark->Args({10, 50})->Args({64, 256})->Args({512, 512});
}
BENCHMARK(inference_step<nn::LSTMCell>)->Apply(inference_shapes);
BENCHMARK(inference_step<nn::GRUCell>)->Apply(inference_shapes);
BENCHMARK(inference_step<PeepholeCell>)->Apply(inference_shapes);

}  // namespace
