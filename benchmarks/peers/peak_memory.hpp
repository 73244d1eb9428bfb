#pragma once

#include <string>

#include "rows.hpp"

namespace peers {

/// What the process needs at most, beyond what it had before, to make the contender and to run it
/// a few times; in MiB. NaN where the system does not say.
double peak_memory(const Candidate& candidate, int threads);

/// The same in a new process of this program.
double peak_memory_in_a_process(const std::string& row, const std::string& library);

}  // namespace peers
