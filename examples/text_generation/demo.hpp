#pragma once

#include <ostream>

#include "options.hpp"
#include "train.hpp"

namespace text_generation {

/// Trains on xgrad's own C++ sources for at most 90 seconds, writes some text, and says how to go
/// on.
Outcome demo(const DemoOptions& options, std::ostream& out, std::ostream& log);

}  // namespace text_generation
