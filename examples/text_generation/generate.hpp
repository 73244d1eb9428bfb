#pragma once

#include <ostream>

#include "options.hpp"

namespace text_generation {

/// Writes the prompt and what the model makes of it, character by character, then a line break.
/// Without a prompt the model begins as after a line break.
void generate(const GenerateOptions& options, std::ostream& out);

}  // namespace text_generation
