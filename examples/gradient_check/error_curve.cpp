#include "error_curve.hpp"

#include <algorithm>
#include <cmath>

namespace gradient_check {
namespace {

/// A projection may be larger than every entry. 1 for a gradient that is zero.
double scale(const xgrad::GradcheckInput& input) {
  const double largest = std::max(input.scale, std::abs(input.worst.analytic));
  return largest == 0 ? 1 : largest;
}

}  // namespace

std::vector<CurvePoint> error_curve(const xgrad::GradcheckInput& input) {
  std::vector<CurvePoint> curve;
  for (const xgrad::StepDifference& each : input.sweep) {
    curve.push_back({each.step, std::abs(each.derivative - input.worst.analytic) / scale(input)});
  }
  std::reverse(curve.begin(), curve.end());
  return curve;
}

double explained(const xgrad::GradcheckInput& input) {
  return input.worst.tolerance / scale(input);
}

}  // namespace gradient_check
