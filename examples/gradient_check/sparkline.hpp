#pragma once

#include <string>
#include <vector>

#include "error_curve.hpp"

namespace gradient_check {

/// A curve as a row of characters, one for each step; their height is the logarithm of the error,
/// from 1e-12 to 1. Block elements if `utf8`, else ASCII characters of rising weight. `?` is NaN.
std::string sparkline(const std::vector<CurvePoint>& curve, bool utf8);

/// The characters from low to high.
std::string sparkline_levels(bool utf8);

}  // namespace gradient_check
