// What the engine costs: recording, the backward loop, fused kernels, the pool.
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>

#include "timing.hpp"

namespace {

using namespace xgrad;

Tensor numbers(const Shape& shape, std::uint64_t seed = 1) {
  return Generator(seed).uniform(shape, 0.5, 1.5);
}

// -- recorded nodes -------------------------------------------------------------------------------

constexpr Index nodes = 1000;

Var chain(const Var& x, const Var& y) {
  Var sum = x;
  for (Index i = 0; i < nodes; ++i) sum = sum + y;
  return sum;
}

void add_unrecorded(benchmark::State& state) {
  const Var x = numbers({state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(chain(x, x));
  count_each(state, nodes);
}
BENCHMARK(add_unrecorded)->Arg(4)->Arg(64)->Arg(1024);

void add_recorded(benchmark::State& state) {
  const Var x = parameter(numbers({state.range(0)}));
  const Var y = numbers({state.range(0)});
  for (auto _ : state) {
    const Tape tape;
    benchmark::DoNotOptimize(chain(x, y));
  }
  count_each(state, nodes);
}
BENCHMARK(add_recorded)->Arg(4)->Arg(64)->Arg(1024);

// Each node multiplies: unlike a sum's, its gradient is a new array.
void multiply_forward(benchmark::State& state) {
  const Var x = parameter(numbers({state.range(0)}));
  const Var y = Tensor::full({state.range(0)}, 1.0);
  for (auto _ : state) {
    const Tape tape;
    Var product = x;
    for (Index i = 0; i < nodes; ++i) product = product * y;
    benchmark::DoNotOptimize(product);
  }
  count_each(state, nodes);
}
BENCHMARK(multiply_forward)->Arg(4)->Arg(64)->Arg(1024);

void multiply_backward(benchmark::State& state) {
  const Var x = parameter(numbers({state.range(0)}));
  const Var y = Tensor::full({state.range(0)}, 1.0);
  const Tensor seed = Tensor::full({state.range(0)}, 1.0);
  for (auto _ : state) {
    Tape tape;
    Var product = x;
    for (Index i = 0; i < nodes; ++i) product = product * y;
    x.clear_grad();
    time_only(state, [&] { tape.backward(product, seed); });
  }
  count_each(state, nodes);
}
BENCHMARK(multiply_backward)->Arg(4)->Arg(64)->Arg(1024)->UseManualTime();

void tape_of_1e5_nodes(benchmark::State& state) {
  const Var x = parameter(numbers({4}));
  const Tensor seed = Tensor::full({4}, 1.0);
  for (auto _ : state) {
    Tape tape;
    Var sum = x;
    for (int i = 0; i < 50000; ++i) sum = sum * 0.999 + x;
    for (int i = 0; i < 50000; ++i) sum = sum + x;
    x.clear_grad();
    tape.backward(sum, seed);
  }
  count_each(state, 100000);
}
BENCHMARK(tape_of_1e5_nodes)->Unit(benchmark::kMillisecond);

// -- a fused chain of eight operations beside what the memory can do ------------------------------

Var eight_ops(const Var& a, const Var& b) {
  return ((((a * b + a) * 2.0 - b) * a + 1.0) * b - 3.0);
}

void count_traffic(benchmark::State& state, int arrays) {
  count_rate(state, "bytes", static_cast<double>(arrays * state.range(0)) * sizeof(float));
}

// The limit: reads two arrays and writes one, as the fused chain must.
void memory_limit(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::vector<float> a(size, 1.f);
  const std::vector<float> b(size, 2.f);
  std::vector<float> c(size);
  for (auto _ : state) {
    for (std::size_t i = 0; i < size; ++i) c[i] = a[i] + 3.f * b[i];
    benchmark::DoNotOptimize(c.data());
    benchmark::ClobberMemory();
  }
  count_traffic(state, 3);
}
BENCHMARK(memory_limit)->Arg(1 << 12)->Arg(1 << 16)->Arg(1 << 24);

void eight_ops_forward(benchmark::State& state) {
  const Var a = parameter(numbers({state.range(0)}));
  const Var b = parameter(numbers({state.range(0)}, 2));
  for (auto _ : state) benchmark::DoNotOptimize(eight_ops(a, b));
  count_traffic(state, 3);
}
BENCHMARK(eight_ops_forward)->Arg(1 << 12)->Arg(1 << 16)->Arg(1 << 24);

void eight_ops_unfused(benchmark::State& state) {
  const Var a = parameter(numbers({state.range(0)}));
  const Var b = parameter(numbers({state.range(0)}, 2));
  for (auto _ : state) {
    Var y = a * b;
    y = y + a;
    y = y * 2.0;
    y = y - b;
    y = y * a;
    y = y + 1.0;
    y = y * b;
    y = y - 3.0;
    benchmark::DoNotOptimize(y);
  }
  count_traffic(state, 3);
}
BENCHMARK(eight_ops_unfused)->Arg(1 << 12)->Arg(1 << 16)->Arg(1 << 24);

// Reads both operands and the gradient, writes two gradients.
void eight_ops_backward(benchmark::State& state) {
  const Var a = parameter(numbers({state.range(0)}));
  const Var b = parameter(numbers({state.range(0)}, 2));
  const Tensor seed = Tensor::full({state.range(0)}, 1.0);
  Tape tape;
  const Var y = eight_ops(a, b);
  for (auto _ : state) {
    a.clear_grad();
    b.clear_grad();
    tape.backward(y, seed, {.retain = true});
  }
  count_traffic(state, 5);
}
BENCHMARK(eight_ops_backward)->Arg(1 << 12)->Arg(1 << 16)->Arg(1 << 24);

// -- memory ---------------------------------------------------------------------------------------

void pool(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    void* const memory = detail::pool_allocate(bytes);
    benchmark::DoNotOptimize(memory);
    detail::pool_release(memory);
  }
}
BENCHMARK(pool)->Arg(64)->Arg(6400)->Arg(1 << 20);

void malloc_instead(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    void* const memory = std::malloc(bytes);
    benchmark::DoNotOptimize(memory);
    std::free(memory);
  }
}
BENCHMARK(malloc_instead)->Arg(64)->Arg(6400)->Arg(1 << 20);

}  // namespace
