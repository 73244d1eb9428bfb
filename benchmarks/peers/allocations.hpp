#pragma once

#include <cstddef>
#include <functional>

namespace peers {

/// Calls of malloc and its kin while f runs, by any thread and any library: this program's malloc
/// takes the place of the system's, which it calls.
std::size_t allocations_during(const std::function<void()>& f);

}  // namespace peers
