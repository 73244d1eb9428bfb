#pragma once

#include <ostream>

#include "options.hpp"

namespace text_generation {

/// Prints how well the model predicts the file, as `evaluation: nats=... `.
void evaluate(const EvaluateOptions& options, std::ostream& out);

}  // namespace text_generation
