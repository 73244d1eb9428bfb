// What a FlightRecorder costs: an LSTM's training step without one and with one.
#include <optional>

#include <benchmark/benchmark.h>

#include <xgrad/core/flight_recorder.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/optim/sgd.hpp>

namespace {

using namespace xgrad;

void watched_step(benchmark::State& state, std::optional<FlightRecorderOptions> options) {
  const Index T = state.range(0);
  const Index B = state.range(1);
  const Index I = state.range(2);
  const Index H = state.range(3);
  Generator generator(1);
  const Var x = generator.uniform({T, B, I}, -1, 1);
  const Var target = generator.uniform({T, B, H}, -1, 1);
  const nn::LSTM network(I, H);
  optim::SGD sgd(network.parameters(), {.lr = 1e-2});
  std::optional<FlightRecorder> recorder;
  if (options) recorder.emplace(*options).name(network);
  for (auto _ : state) {
    Tape tape;
    tape.backward(mse(network(x).outputs, target));
    sgd.step();
  }
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"T", "B", "I", "H"})->Unit(benchmark::kMillisecond);
  benchmark->Args({50, 32, 10, 50})->Args({64, 32, 128, 128})->Args({64, 32, 256, 256});
}
BENCHMARK_CAPTURE(watched_step, off, std::nullopt)->Apply(shapes);
BENCHMARK_CAPTURE(watched_step, on, FlightRecorderOptions())->Apply(shapes);
BENCHMARK_CAPTURE(watched_step, checks_only, FlightRecorderOptions{.sample_every = 0})
    ->Apply(shapes);
BENCHMARK_CAPTURE(watched_step, every_tape_sampled, FlightRecorderOptions{.sample_every = 1})
    ->Apply(shapes);

}  // namespace
