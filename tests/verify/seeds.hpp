#pragma once

#include <cstdint>
#include <vector>

namespace xgrad::verify {

/// The seeds that a test of random inputs runs with: 0 to 199 with XGRAD_THOROUGH, the one in
/// XGRAD_SEED if that is set, else five that change from day to day. They are printed, so that a
/// failure can be repeated.
std::vector<std::uint64_t> seeds();

}  // namespace xgrad::verify
