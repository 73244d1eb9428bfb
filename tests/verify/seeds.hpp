#pragma once

#include <cstdint>
#include <vector>

namespace xgrad::verify {

/// Under AddressSanitizer everything takes ten times as long.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// The seeds that a test of random inputs runs with: 0 to 199 with XGRAD_THOROUGH, the one in
/// XGRAD_SEED if that is set, else `few` that change from day to day. They are printed, so that a
/// failure can be repeated.
std::vector<std::uint64_t> seeds(std::size_t few = 5);

/// The same for the large tables: under AddressSanitizer only one, and that is said.
std::vector<std::uint64_t> table_seeds(std::size_t few = 5);

}  // namespace xgrad::verify
