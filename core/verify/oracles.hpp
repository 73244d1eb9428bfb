#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <xgrad/core/gradcheck.hpp>

/// The numerical side of `gradcheck`: derivatives of a function along a line that know nothing of
/// the tape.
namespace xgrad::detail {

/// The results of f at x + t u for a direction u.
struct Line {
  struct Point {
    double t;               ///< as rounding of x + t u made it
    std::vector<double> y;  ///< all results, one after the other
  };
  std::function<Point(double t)> at;
  double unit = 1;  ///< the step over which f may be expected to change its shape; a power of 2
  double blur = 0;  ///< how far rounding may lead x + t u off the line, in units of t
  /// The smallest |t| that leads an entry of x to 0, where many functions have a singularity or a
  /// kink; entries that are 0 have none.
  double nearest_zero = std::numeric_limits<double>::infinity();
  bool single_entry = true;  ///< no other entry of x moves

  /// Whether differences of that step tell nothing of f between an entry of x and 0.
  bool leaps_over_zero(double step) const { return 2 * step > nearest_zero; }
};

/// Results contracted with a covector, relative to the results at x.
struct Contraction {
  std::span<const double> covector;
  std::span<const double> origin;
  double noise;  ///< standard deviation of the contraction's rounding error

  /// <covector, y - origin>: what did not change takes no part.
  double change(std::span<const double> y) const;
};

/// A derivative with an estimate of its error.
struct Estimate {
  double value;
  double error;     ///< infinite if nothing converged
  double step;      ///< the smallest that took part
  bool jump_stays;  ///< the one-sided differences did not approach each other
};

/// Central differences with steps unit / 8, unit / 16, ..., extrapolated to 0 in powers of the
/// squared step, until the estimated error is at most `goal` or only rounding would be left.
/// `shrink` divides the steps.
Estimate extrapolated_difference(const Line& line, const Contraction& f, double goal,
                                 double shrink = 1);

/// What differences say of an estimate when their steps become ever smaller, down to where rounding
/// would hide it.
enum class Confirmation : std::uint8_t {
  stays,       ///< they stay with the estimate
  moves,       ///< they move away, as towards another value that is claimed
  too_coarse,  ///< they stay, but their steps leap over zero
  kinked,      ///< they stay, but those of both sides are as far apart as the claimed value
};
Confirmation confirmation(const Line& line, const Contraction& f, const Estimate& estimate,
                          double claimed);

/// The largest step, a power of 2 times the line's unit, that leaves all results as they are: they
/// come in steps, as those of 1 + erf(x) do, or f is constant. 0 if it is below 2^-40.
double unnoticed_step(const Line& line, const Contraction& f);

/// The derivatives from the left and from the right where they differ.
struct Kink {
  enum class Place : std::uint8_t {
    nowhere,   ///< the sides agree in the end
    hidden,    ///< rounding hides whether they do, and what they are
    close_by,  ///< they differ, but go on to change as the step becomes smaller, or might
    at_x,      ///< they have settled
  };
  Place place = Place::nowhere;
  double lower = 0;  ///< a gradient is possible if it lies between these
  double upper = 0;
  double step = 0;  ///< the smallest that showed it
};

/// Looks for a kink, or a jump, at x: whether the difference of the one-sided differences stays
/// when the step is divided by 16, again and again for as long as rounding lets it be seen. Those
/// of several kinks add up, and one that is close to x leaves the sum when the step becomes too
/// short for it.
Kink find_kink(const Line& line, const Contraction& f);

/// Central differences over the whole range of steps.
std::vector<StepDifference> step_sweep(const Line& line, const Contraction& f);

/// The remainder against the slope that the gradient gives, with verdict. `slope_error` is the
/// rounding error of the slope.
TaylorRemainder taylor_remainder(const Line& line, const Contraction& f, double slope,
                                 double slope_error);

/// The standard deviation of the rounding error in a function, from its values at equally spaced
/// points so close to each other that third differences of the function itself vanish
/// (More and Wild 2011, equation 2.5).
double rounding_noise(std::span<const double> values);

}  // namespace xgrad::detail
