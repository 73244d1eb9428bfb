#pragma once

#include <chrono>

#include <benchmark/benchmark.h>

/// For a benchmark with UseManualTime: counts the time of f alone as this iteration's.
template <class F>
void time_only(benchmark::State& state, F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  state.SetIterationTime(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

/// Reports the time of each of the parts of an iteration as "each".
inline void count_each(benchmark::State& state, double parts) {
  using Counter = benchmark::Counter;
  state.counters["each"] = Counter(
      parts, static_cast<Counter::Flags>(Counter::kIsIterationInvariantRate | Counter::kInvert));
}

/// Reports `amount` per second of iteration as `name`.
inline void count_rate(benchmark::State& state, const char* name, double amount) {
  using Counter = benchmark::Counter;
  state.counters[name] = Counter(amount, Counter::kIsIterationInvariantRate);
}
