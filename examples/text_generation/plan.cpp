#include "plan.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <xgrad/core/error.hpp>

#include "interrupt.hpp"
#include "score.hpp"
#include "trainer.hpp"

namespace text_generation {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Times f(0), f(1), ... for about so many seconds after three calls to warm up.
template <class F>
double seconds_per_call(double seconds, const F& f) {
  constexpr std::int64_t warm_up = 3;
  std::int64_t calls = 0;
  for (; calls < warm_up && !interrupted(); ++calls) f(calls);
  const auto start = Clock::now();
  do {
    f(calls++);
  } while (seconds_since(start) < seconds && !interrupted());
  return seconds_since(start) / static_cast<double>(calls - warm_up);
}

std::int64_t steps_for(double seconds, double used, const Settings& settings,
                       std::size_t vocabulary, const Split& split, int threads) {
  const auto start = Clock::now();
  LanguageModel model(vocabulary, settings);
  Trainer trainer(settings, model, split.training, threads);
  const double share = std::min(2.0, 0.04 * seconds);
  const double step = seconds_per_call(share, [&](std::int64_t i) { trainer.step(i, 0.0); });
  const std::size_t sample = std::min<std::size_t>(split.validation.size(), 513);
  const double window = seconds_per_call(
      0.25 * share, [&](std::int64_t) { score(model, split.validation.first(sample)); });
  const double validation =
      window * static_cast<double>(split.validation.size() - 1) / static_cast<double>(sample - 1);
  const double left = seconds - used - seconds_since(start);
  // Each interval has its validation, and there is one more at the end.
  const double per_step =
      step + validation / static_cast<double>(validation_interval(settings, split));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>((left - validation) / per_step));
}

}  // namespace

std::string Length::to_string() const {
  char text[48] = "";
  if (minutes) std::snprintf(text, sizeof text, "--minutes %.10g", *minutes);
  if (epochs) std::snprintf(text, sizeof text, "--epochs %lld", static_cast<long long>(*epochs));
  if (steps) std::snprintf(text, sizeof text, "--steps %lld", static_cast<long long>(*steps));
  return text;
}

std::int64_t validation_interval(const Settings& settings, const Split& split) {
  const std::int64_t window = settings.batch * settings.seq_len;
  return std::max<std::int64_t>(1, 60 * std::ssize(split.validation) / window);
}

std::optional<std::int64_t> plan_steps(const Length& length, double seconds_used,
                                       const Settings& settings, std::size_t vocabulary,
                                       const Split& split, int threads) {
  if (length.steps) return *length.steps;
  if (length.epochs) {
    const Windows windows(split.training, settings.batch, settings.seq_len, settings.seed);
    return *length.epochs * windows.per_epoch();
  }
  const double seconds = 60 * length.minutes.value();
  const std::int64_t steps = steps_for(seconds, seconds_used, settings, vocabulary, split, threads);
  if (interrupted()) return std::nullopt;
  return steps;
}

}  // namespace text_generation
