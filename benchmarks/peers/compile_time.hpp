#pragma once

#include <string>

#include "contender.hpp"

namespace peers {

/// Compiles a file of peers/compile with the command of this build, without a compiler cache. Null
/// if this build does not have the file.
ContenderPtr compilation(const std::string& file);

}  // namespace peers
