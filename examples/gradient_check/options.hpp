#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checks.hpp"

namespace gradient_check {

struct Options {
  Setup setup;
  std::vector<const Check*> checks;
  std::string svg = "gradient_check.svg";  ///< empty: no drawing
};

/// Null if there is nothing to do: help was asked for, or the command line is wrong. What there is
/// to say has been said then, and `status` is the program's exit status.
std::optional<Options> parse_options(int argc, char** argv, int& status);

}  // namespace gradient_check
