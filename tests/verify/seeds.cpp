#include "seeds.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <numeric>

namespace xgrad::verify {
namespace {

std::vector<std::uint64_t> chosen(std::size_t few) {
  if (const char* one = std::getenv("XGRAD_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> list(std::getenv("XGRAD_THOROUGH") ? 200 : few);
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const auto first = list.size() * static_cast<std::uint64_t>(day.time_since_epoch().count());
  std::iota(list.begin(), list.end(), std::getenv("XGRAD_THOROUGH") ? 0 : first);
  return list;
}

}  // namespace

std::vector<std::uint64_t> seeds(std::size_t few) {
  const std::vector<std::uint64_t> list = chosen(few);
  std::cout << "seeds " << list.front() << " to " << list.back()
            << "; XGRAD_SEED=n runs with one\n";
  return list;
}

std::vector<std::uint64_t> table_seeds(std::size_t few) {
  if (sanitized) std::cout << "under AddressSanitizer with one seed: ";
  return seeds(sanitized ? 1 : few);
}

}  // namespace xgrad::verify
