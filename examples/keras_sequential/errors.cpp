#include "errors.hpp"

#include <cmath>

namespace keras_sequential {

ForecastErrors errors(std::span<const double> forecasts, std::span<const double> values) {
  double absolute = 0, squared = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = forecasts[i] - values[i];
    absolute += std::abs(error);
    squared += error * error;
  }
  const auto count = static_cast<double>(values.size());
  return {absolute / count, std::sqrt(squared / count)};
}

}  // namespace keras_sequential
