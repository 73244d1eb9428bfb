#include "sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <xgrad/core/error.hpp>

namespace text_generation {

std::size_t sample(std::span<const float> logits, const Sampling& sampling,
                   xgrad::Generator& generator) {
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) {
    throw xgrad::Error("the model's output is not finite: its weights are damaged");
  }
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (sampling.temperature == 0) return order[0];

  if (sampling.top_k > 0) {
    order.resize(std::min(order.size(), static_cast<std::size_t>(sampling.top_k)));
  }
  std::vector<double> weights;
  const double largest = logits[order[0]];
  for (const std::size_t i : order) {
    weights.push_back(std::exp((static_cast<double>(logits[i]) - largest) / sampling.temperature));
  }
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sampling.top_p < 1) {
    const double enough = sampling.top_p * total;
    total = 0;
    std::size_t kept = 0;
    while (kept < weights.size() && (kept == 0 || total < enough)) total += weights[kept++];
    weights.resize(kept);
  }
  double rest = generator.uniform() * total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    rest -= weights[i];
    if (rest < 0) return order[i];
  }
  return order[weights.size() - 1];  // rounding left something over
}

}  // namespace text_generation
