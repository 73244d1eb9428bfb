#pragma once

#include <string>

namespace gradient_check {

/// What the terminal, or the file, that standard output goes to can show.
struct Terminal {
  bool utf8 = false;
  bool color = false;
};

/// UTF-8 if the locale says so (LC_ALL, LC_CTYPE, LANG); colors if it is a terminal and NO_COLOR is
/// not set (no-color.org).
Terminal standard_output();

/// The same text with every verdict in its color.
std::string with_colors(std::string text, const Terminal& terminal);

}  // namespace gradient_check
