#pragma once

#include <ostream>

#include "options.hpp"

namespace text_generation {

enum class Outcome { finished, interrupted };

/// Trains as the options say. Progress goes to `log`; the results, of which the line
/// `validation: ...` is the last, to `out`. Throws xgrad::Error for whatever goes wrong; then the
/// model file holds the last good state.
Outcome train(const TrainOptions& options, std::ostream& out, std::ostream& log);

/// A word of a command line, in quotes if a shell needs them.
std::string shell_word(const std::string& word);

}  // namespace text_generation
