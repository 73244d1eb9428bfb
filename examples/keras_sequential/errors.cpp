#include "errors.hpp"

#include <algorithm>
#include <cmath>

namespace keras_sequential {

ForecastErrors errors(std::span<const double> forecasts, std::span<const double> values) {
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::abs(forecasts[i] - values[i]));
  }
  if (largest == 0) return {0, 0};
  // In units of the largest error: squares of huge and tiny ones are no numbers of this format.
  double absolute = 0, squared = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = (forecasts[i] - values[i]) / largest;
    absolute += std::abs(error);
    squared += error * error;
  }
  const auto count = static_cast<double>(values.size());
  return {absolute / count * largest, std::sqrt(squared / count) * largest};
}

}  // namespace keras_sequential
