// The seeds that the randomised checks run with.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

namespace xgrad::testing {

/// True under AddressSanitizer, where everything takes ten times as long: the checks then run with
/// fewer seeds.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

inline bool thorough() { return std::getenv("XGRAD_THOROUGH") != nullptr; }

/// The one of XGRAD_SEED if that is set; else 200 if XGRAD_THOROUGH is; else `few` that change from
/// day to day (1 under AddressSanitizer). Says on the standard output which.
inline std::vector<std::uint64_t> seeds(std::uint64_t few = 5) {
  std::vector<std::uint64_t> result;
  if (const char* one = std::getenv("XGRAD_SEED")) {
    result.push_back(std::stoull(one));
  } else {
    const std::uint64_t n = thorough() ? 200 : sanitized ? 1 : few;
    const auto day = static_cast<std::uint64_t>(std::time(nullptr)) / 86400;
    for (std::uint64_t i = 0; i < n; ++i) result.push_back(thorough() ? i : 1000 * day + i);
  }
  std::cout << "seeds " << result.front() << " to " << result.back()
            << (sanitized ? " (fewer under AddressSanitizer)" : "")
            << "; XGRAD_SEED=n runs with one\n";
  return result;
}

}  // namespace xgrad::testing
