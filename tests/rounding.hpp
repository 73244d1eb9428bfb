// How far rounding may carry a result from the exact one: every test that compares numbers takes
// its bound from here.
#pragma once

#include <xgrad/core/dtype.hpp>

namespace xgrad::testing {

/// The roundings that the result of an elementary function (exp, tanh, ...) counts for: 4 ulp, of
/// which each may be 2 u.
constexpr double elementary = 8;

/// The unit roundoff: the largest relative error of a sum or product rounded to nearest.
constexpr double unit_roundoff(DType dtype) { return dtype == DType::float32 ? 0x1p-24 : 0x1p-53; }

/// gamma_n times the magnitude, gamma_n = n u / (1 - n u), u the unit roundoff and n the number of
/// roundings that one after the other can reach the result (Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd ed. 2002, section 3.1).
///
/// A sum of n products is off by at most that, in whatever order and with or without fma, if the
/// magnitude is the sum of the products' sizes, |a||b| (equation 3.5); so is any expression of sums
/// and products, whose magnitude is the same expression of the operands' sizes. Where both sides of
/// a comparison are rounded, both count.
constexpr double rounding_bound(DType dtype, double roundings, double magnitude = 1) {
  const double relative = roundings * unit_roundoff(dtype);
  return relative / (1 - relative) * magnitude;
}

/// The roundings on the longest way through the steps of a recurrent net, and back: at each step a
/// product of so many terms, three elementary functions and six sums and products in sequence.
/// States are of size 1, and no step amplifies an error, as with weights of size 1 / sqrt(terms)
/// behind the slopes of sigmoid and tanh.
constexpr double recurrent_roundings(double steps, double terms) {
  return 2 * steps * (terms + 3 * elementary + 6);
}

}  // namespace xgrad::testing
