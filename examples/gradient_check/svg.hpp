#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace gradient_check {

/// Text of an SVG file. Attributes are given as they stand in the file.
class Svg {
 public:
  using Points = std::vector<std::pair<double, double>>;

  Svg(double width, double height);

  void line(double x0, double y0, double x1, double y1, const std::string& attributes);
  void rectangle(double x, double y, double width, double height, const std::string& attributes);
  /// With a title, which viewers show under the pointer.
  void curve(const Points& points, const std::string& title, const std::string& attributes);
  void text(double x, double y, const std::string& words, const std::string& attributes = {});
  /// Upwards.
  void vertical_text(double x, double y, const std::string& words, const std::string& attributes);
  /// 10 to the power of `exponent`.
  void power_of_ten(double x, double y, int exponent, const std::string& attributes);

  /// The whole file.
  std::string finish();

 private:
  std::ostringstream out_;
};

}  // namespace gradient_check
