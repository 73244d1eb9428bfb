#pragma once

#include <span>

namespace keras_sequential {

/// The mean absolute error and the root of the mean squared error.
struct ForecastErrors {
  double mae;
  double rmse;
};

/// Of forecasts of as many values.
ForecastErrors errors(std::span<const double> forecasts, std::span<const double> values);

}  // namespace keras_sequential
