#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace keras_sequential {

/// A series of evenly spaced values.
struct Series {
  std::string name;
  std::vector<double> values;
  std::vector<std::string> times;  ///< as many, for the drawing
};

/// One column of a CSV file. The times are the first column. Throws, naming file, row and column,
/// if there is no such column, if a value is missing or not a number, and, unless `ignore_times`,
/// if the times are months, days or whole numbers of which some are missing or out of order.
Series read_series(const std::filesystem::path& path, const std::string& column, bool ignore_times);

/// A noisy oscillator with a period of 12 steps: its phase drifts, and what one sees of it is
/// blurred by noise.
Series oscillator(std::size_t count, std::uint64_t seed);

}  // namespace keras_sequential
