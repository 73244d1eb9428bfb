#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "settings.hpp"

namespace text_generation {

/// How long to train, as the user says it: at most one of the three.
struct Length {
  std::optional<double> minutes;
  std::optional<std::int64_t> epochs;
  std::optional<std::int64_t> steps;

  bool given() const { return minutes || epochs || steps; }
  /// "--minutes 3"; empty if not given.
  std::string to_string() const;
};

/// The text that a model is trained and validated on, in indices.
struct Split {
  std::span<const std::int64_t> training;
  std::span<const std::int64_t> validation;
};

/// Training validates after every so many steps, and at its end. A validation reads characters one
/// after the other, much slower than training does; so it takes place each time that training has
/// read 60 times as many.
std::int64_t validation_interval(const Settings& settings, const Split& split);

/// The number of steps. Minutes are converted by the speed of throw-away steps on a model that is
/// not kept; they count from `seconds_used` ago and include all validations. Nothing if Ctrl-C came
/// in between. Changes the state of the random numbers.
std::optional<std::int64_t> plan_steps(const Length& length, double seconds_used,
                                       const Settings& settings, std::size_t vocabulary,
                                       const Split& split, int threads);

}  // namespace text_generation
