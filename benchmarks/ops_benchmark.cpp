// What the ops cost. Rates count the arithmetic or the elements of the shape in the name.
#include <array>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "timing.hpp"

namespace {

using namespace xgrad;

Tensor numbers(const Shape& shape, std::uint64_t seed = 1) {
  return Generator(seed).normal(shape, 0, 1);
}

// -- products -------------------------------------------------------------------------------------

void product_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"M", "K", "N"});
  // Time steps of recurrent networks, each with its transpose, which is the backward pass; then a
  // sequence of steps at once.
  for (const auto& [m, k, n] : {std::array{32, 50, 200},
                                {32, 200, 50},
                                {32, 256, 1024},
                                {32, 1024, 256},
                                {64, 512, 2048},
                                {64, 2048, 512},
                                {1, 256, 1024},
                                {1600, 10, 200},
                                {2048, 256, 1024}}) {
    benchmark->Args({m, k, n});
  }
}

void count_arithmetic(benchmark::State& state) {
  count_rate(state, "flop",
             2.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2)));
}

void matmul_blas(benchmark::State& state) {
  const Var a = numbers({state.range(0), state.range(1)});
  const Var b = numbers({state.range(1), state.range(2)}, 2);
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b));
  count_arithmetic(state);
}
BENCHMARK(matmul_blas)->Apply(product_shapes);

// A parameter is packed once for all products with it.
void matmul_packed(benchmark::State& state) {
  const Var a = numbers({state.range(0), state.range(1)});
  const Var b = parameter(numbers({state.range(1), state.range(2)}, 2));
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b));
  count_arithmetic(state);
}
BENCHMARK(matmul_packed)->Apply(product_shapes);

// A parameter that changes each time, as in a training step, is packed each time.
void matmul_packing(benchmark::State& state) {
  const Var a = numbers({state.range(0), state.range(1)});
  const Var b = parameter(numbers({state.range(1), state.range(2)}, 2));
  for (auto _ : state) {
    ++b.parameter("benchmark").version;
    benchmark::DoNotOptimize(matmul(a, b));
  }
  count_arithmetic(state);
}
BENCHMARK(matmul_packing)->Apply(product_shapes);

// The gradient of the weights from all time steps: the same product, a transposed.
void matmul_of_transpose(benchmark::State& state) {
  const Var a = transpose(Var(numbers({state.range(1), state.range(0)})));
  const Var b = numbers({state.range(1), state.range(2)}, 2);
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b));
  count_arithmetic(state);
}
BENCHMARK(matmul_of_transpose)
    ->ArgNames({"M", "K", "N"})
    ->Args({10, 1600, 200})
    ->Args({50, 1600, 200})
    ->Args({256, 2048, 1024})
    ->Args({512, 4096, 2048});

// -- forward and backward of an op ----------------------------------------------------------------

void forward(benchmark::State& state, auto op, auto... operands) {
  for (auto _ : state) benchmark::DoNotOptimize(Var(op(operands...)));
}

void backward(benchmark::State& state, auto op, auto... operands) {
  Tape tape;
  const Var y = op(operands...);
  const Tensor seed = numbers(y.shape(), 3);
  for (auto _ : state) {
    (operands.clear_grad(), ...);
    tape.backward(y, seed, {.retain = true});
  }
}

/// Both for an op on a parameter of `shape`, and on as many more as there are `others`.
void compare(const char* name, const Shape& shape, auto op, const auto&... others) {
  const Var x = parameter(numbers(shape));
  const double size = static_cast<double>(x.size());
  const std::string text = std::string(name) + to_string(shape);
  benchmark::RegisterBenchmark((text + " forward").c_str(), [=](benchmark::State& state) {
    forward(state, op, x, others...);
    count_rate(state, "elements", size);
  });
  benchmark::RegisterBenchmark((text + " backward").c_str(), [=](benchmark::State& state) {
    backward(state, op, x, others...);
    count_rate(state, "elements", size);
  });
}

const bool registered = [] {
  const Shape step{32, 256};
  const Var other = parameter(numbers(step, 2));
  compare(
      "add", step, [](auto& x, auto& y) { return x + y; }, other);
  compare(
      "multiply", step, [](auto& x, auto& y) { return x * y; }, other);
  compare(
      "divide", step, [](auto& x, auto& y) { return x / y; }, other);
  compare("relu", step, [](auto& x) { return relu(x); });
  compare("exp", step, [](auto& x) { return exp(x); });
  compare("tanh", step, [](auto& x) { return tanh(x); });
  compare("sigmoid", step, [](auto& x) { return sigmoid(x); });
  compare("gelu", step, [](auto& x) { return gelu(x); });
  const Var bias = parameter(numbers({256}, 2));
  compare(
      "add a row", step, [](auto& x, auto& y) { return x + y; }, bias);
  const Var column = parameter(numbers({32, 1}, 2));
  compare(
      "multiply by a column", step, [](auto& x, auto& y) { return x * y; }, column);
  compare(
      "LSTM's state", step,
      [](auto& i, auto& f, auto& g, auto& c) { return sigmoid(f) * c + sigmoid(i) * tanh(g); },
      other, parameter(numbers(step, 4)), parameter(numbers(step, 5)));

  const Shape table{2048, 256};
  compare("sum", table, [](auto& x) { return sum(x); });
  compare("sum of columns", table, [](auto& x) { return sum(x, {0}); });
  compare("sum of rows", table, [](auto& x) { return sum(x, {1}); });
  compare("max of rows", table, [](auto& x) { return max(x, {1}); });
  compare("variance of rows", table, [](auto& x) { return variance(x, {1}); });
  compare("logsumexp of rows", table, [](auto& x) { return logsumexp(x, {1}); });
  compare(
      "layer_norm", table, [](auto& x, auto& w, auto& b) { return layer_norm(x, w, b); }, bias,
      parameter(numbers({256}, 4)));

  const Shape logits{2048, 65};
  compare("softmax", logits, [](auto& x) { return softmax(x); });
  compare("log_softmax", logits, [](auto& x) { return log_softmax(x); });
  std::vector<std::int64_t> classes(2048);
  Generator generator(7);
  for (auto& c : classes) c = static_cast<std::int64_t>(generator.below(65));
  const Indices targets({2048}, classes);
  compare("cross_entropy", logits, [=](auto& x) { return cross_entropy(x, targets); });
  return true;
}();

}  // namespace
