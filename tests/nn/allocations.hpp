#pragma once

#include <cstddef>

namespace xgrad::testing {

/// How often this program has called operator new.
std::size_t allocations();

}  // namespace xgrad::testing
