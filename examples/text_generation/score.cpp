#include "score.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include <xgrad/core/error.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>

#include "interrupt.hpp"

namespace text_generation {

double Score::bits() const { return nats / std::numbers::ln2; }
double Score::perplexity() const { return std::exp(nats); }

std::string Score::to_string() const {
  char text[128];
  std::snprintf(text, sizeof text, "nats=%.4f bits=%.4f perplexity=%.3f characters=%lld", nats,
                bits(), perplexity(), static_cast<long long>(characters));
  return text;
}

std::optional<Score> score(LanguageModel& model, std::span<const std::int64_t> text) {
  constexpr std::size_t window = 512;  // characters at a time: a matter of memory only
  if (text.size() < 2) throw xgrad::Error("the text has no character to predict from another");
  const bool training = model.training();
  model.eval();
  const xgrad::NoTape guard;
  LanguageModel::State state;
  double total = 0;
  for (std::size_t at = 0; at + 1 < text.size() && !interrupted(); at += window) {
    const std::size_t steps = std::min(window, text.size() - 1 - at);
    const auto indices = [&](std::size_t from) {
      const auto part = text.subspan(from, steps);
      return xgrad::Indices({static_cast<xgrad::Index>(steps), 1}, {part.begin(), part.end()});
    };
    const xgrad::Var logits = model(indices(at), state);
    total += cross_entropy(logits, indices(at + 1), {.reduction = xgrad::Reduction::sum}).item();
  }
  model.train(training);
  if (interrupted()) return std::nullopt;
  const auto characters = static_cast<std::int64_t>(text.size()) - 1;
  return Score{total / static_cast<double>(characters), characters};
}

}  // namespace text_generation
