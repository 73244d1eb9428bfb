#pragma once

#include <vector>

#include <xgrad/core/gradcheck.hpp>

namespace gradient_check {

/// How far a central difference with this step is from the analytic derivative.
struct CurvePoint {
  double step;
  double error;  ///< relative to the largest entry of the gradient
};

/// The errors over the step, from the smallest step to the largest, of the input's worst entry. Of
/// a correct gradient they fall with slope -1 while rounding rules and then rise with slope 2; of a
/// wrong one they stay on a plateau, which is the mistake.
std::vector<CurvePoint> error_curve(const xgrad::GradcheckInput& input);

/// The error of that entry that rounding in the check itself explains, on the same scale.
double explained(const xgrad::GradcheckInput& input);

}  // namespace gradient_check
