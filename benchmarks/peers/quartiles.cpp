#include "quartiles.hpp"

#include <algorithm>
#include <cmath>

namespace peers {

Quartiles quartiles_of(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  const auto at = [&](double share) {
    const double place = static_cast<double>(numbers.size() - 1) * share;
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, numbers.size() - 1);
    return numbers[below] + (place - std::floor(place)) * (numbers[above] - numbers[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

}  // namespace peers
