#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "language_model.hpp"

namespace text_generation {

/// How well a model predicts a text.
struct Score {
  double nats;              ///< mean negative log-likelihood of a character
  std::int64_t characters;  ///< that were predicted

  double bits() const;
  double perplexity() const;
  /// `nats=1.2345 bits=1.7810 perplexity=3.437 characters=111539`
  std::string to_string() const;
};

/// Reads the text as one stream, from a zero state to the end. The first character is not
/// predicted, only read. Leaves the model in the mode it was in. Nothing if Ctrl-C came in between.
std::optional<Score> score(LanguageModel& model, std::span<const std::int64_t> text);

}  // namespace text_generation
