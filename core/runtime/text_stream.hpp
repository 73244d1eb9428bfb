#pragma once

#include <sstream>

namespace xgrad::detail {

/// A string that is written as a stream. A plain std::ostringstream leaves out what it has no
/// memory for, without a word; this one throws.
class TextStream : public std::ostringstream {
 public:
  TextStream() { exceptions(std::ios::badbit); }
};

}  // namespace xgrad::detail
