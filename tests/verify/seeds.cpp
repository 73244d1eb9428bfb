#include "seeds.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <numeric>

namespace xgrad::verify {
namespace {

std::vector<std::uint64_t> chosen() {
  if (const char* one = std::getenv("XGRAD_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> list(std::getenv("XGRAD_THOROUGH") ? 200 : 5);
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const auto first = list.size() * static_cast<std::uint64_t>(day.time_since_epoch().count());
  std::iota(list.begin(), list.end(), list.size() == 5 ? first : 0);
  return list;
}

}  // namespace

std::vector<std::uint64_t> seeds() {
  const std::vector<std::uint64_t> list = chosen();
  std::cout << "seeds " << list.front() << " to " << list.back() << '\n';
  return list;
}

}  // namespace xgrad::verify
