#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "series.hpp"

namespace keras_sequential {

struct Forecast {
  std::string name;
  std::vector<double> values;  ///< of the last values of the series
};

/// Draws the end of the series and the forecast of its last values as an SVG file. Throws if it
/// cannot be written.
void draw(const std::filesystem::path& path, const Series& series, const Forecast& forecast);

}  // namespace keras_sequential
