#include "sparkline.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace gradient_check {
namespace {

constexpr int levels = 8;
constexpr double lowest = -12;  // the common logarithm of the error
constexpr double highest = 0;

const char* character(int level, bool utf8) {
  static constexpr std::array blocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array plain{".", ":", "-", "=", "+", "*", "#", "@"};
  static_assert(blocks.size() == levels && plain.size() == levels);
  return (utf8 ? blocks : plain)[static_cast<std::size_t>(level)];
}

}  // namespace

std::string sparkline(const std::vector<CurvePoint>& curve, bool utf8) {
  std::string text;
  for (const CurvePoint& point : curve) {
    if (std::isnan(point.error)) {
      text += '?';
      continue;
    }
    const double height = (std::log10(point.error) - lowest) / (highest - lowest);
    text += character(static_cast<int>(std::clamp(height, 0.0, 0.999) * levels), utf8);
  }
  return text;
}

std::string sparkline_levels(bool utf8) {
  std::string text;
  for (int level = 0; level < levels; ++level) text += character(level, utf8);
  return text;
}

}  // namespace gradient_check
