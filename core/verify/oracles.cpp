#include <algorithm>
#include <cmath>
#include <limits>

#include <xgrad/core/verify/oracles.hpp>

namespace xgrad::detail {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int most_levels = 44;
constexpr std::size_t most_columns = 7;

/// Both one-sided differences of one step.
struct Sides {
  Line::Point right;
  Line::Point left;
  double rise;  ///< f(x + h) - f(x)
  double fall;  ///< f(x) - f(x - h)
  double step;  ///< h as asked for; right.t and left.t are what rounding of x + h made of it

  Sides(const Line& line, const Contraction& f, double h)
      : right(line.at(h)),
        left(line.at(-h)),
        rise(f.change(right.y)),
        fall(-f.change(left.y)),
        step(h) {}
  double central() const { return (rise + fall) / (right.t - left.t); }
  double jump() const { return rise / right.t - fall / -left.t; }
  /// Whether x + h is close to what it should be: below a few units in the last place of x steps
  /// become no smaller, and differences that stay the same prove nothing.
  bool exact() const {
    return std::abs(right.t - step) <= step / 16 && std::abs(left.t + step) <= step / 16;
  }
};

/// The rounding error of a one-sided difference, with some reserve.
double difference_noise(const Contraction& f, double h) { return 4 * f.noise / h; }

/// Below, x + t u is no longer on the line, or is x.
double smallest_step(const Line& line) { return std::max(128 * line.blur, 0x1p-200); }

}  // namespace

double Contraction::change(std::span<const double> y) const {
  long double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    sum += static_cast<long double>(covector[i]) * (static_cast<long double>(y[i]) - origin[i]);
  }
  return static_cast<double>(sum);
}

Estimate extrapolated_difference(const Line& line, const Contraction& f, double goal,
                                 double shrink) {
  Estimate best{std::nan(""), infinity, 0, false};
  std::vector<double> previous;
  std::vector<double> current;
  double previous_jump = infinity;
  double h = line.unit / 8 / shrink;
  for (int level = 0; level < most_levels; ++level, h /= 2) {
    const Sides sides(line, f, h);
    const double noise = difference_noise(f, h);
    current.assign(1, sides.central());
    if (!std::isfinite(current[0]) || !std::isfinite(sides.right.t - sides.left.t)) {
      previous.clear();  // the step leaves the domain of f
      continue;
    }
    if (!sides.exact()) break;
    double power = 1;
    for (std::size_t j = 1; j <= std::min(previous.size(), most_columns); ++j) {
      power *= 4;
      current.push_back(current[j - 1] + (current[j - 1] - previous[j - 1]) / (power - 1));
      const double error =
          std::max(std::abs(current[j] - current[j - 1]), std::abs(current[j] - previous[j - 1])) +
          noise + std::abs(current[j]) * line.blur / h;
      if (error < best.error) best = {current[j], error, h, false};
    }
    const double jump = std::abs(sides.jump());
    // Of a smooth function it halves with the step.
    best.jump_stays = jump > 0.7 * previous_jump && jump > 30 * noise;
    previous_jump = jump;
    if (best.error <= goal && !best.jump_stays) break;
    if (noise > best.error) break;
    previous.swap(current);
  }
  return best;
}

Confirmation confirmation(const Line& line, const Contraction& f, const Estimate& estimate,
                          double claimed) {
  if (!std::isfinite(estimate.value) || !std::isfinite(estimate.step)) return Confirmation::moves;
  const double apart = std::abs(estimate.value - claimed);
  if (!std::isfinite(apart)) return Confirmation::stays;
  double smallest = estimate.step;
  for (double h = smallest / 8; 4 * difference_noise(f, h) < apart / 4 && h > smallest_step(line);
       h /= 8) {
    const Sides sides(line, f, h);
    if (!sides.exact()) break;
    const double moved = std::abs(sides.central() - estimate.value);
    if (!(moved <= apart / 4 + 4 * difference_noise(f, h))) return Confirmation::moves;
    smallest = h;
  }
  if (line.leaps_over_zero(smallest)) return Confirmation::too_coarse;
  // What the sides are apart at step 0: of a smooth function that is proportional to the step.
  const double jump = Sides(line, f, smallest).jump();
  const double apart_at_zero = jump + (jump - Sides(line, f, 8 * smallest).jump()) / 7;
  return std::abs(apart_at_zero) > apart / 2 ? Confirmation::kinked : Confirmation::stays;
}

double unnoticed_step(const Line& line, const Contraction& f) {
  const auto unnoticed = [&](int power) {
    for (const double sign : {1.0, -1.0}) {
      const std::vector<double> y = line.at(sign * std::ldexp(line.unit, power)).y;
      if (!std::equal(y.begin(), y.end(), f.origin.begin())) return false;
    }
    return true;
  };
  int longest = -40;
  if (!unnoticed(longest)) return 0;
  while (longest < -3 && unnoticed(longest + 1)) ++longest;
  return std::ldexp(line.unit, longest);
}

Kink find_kink(const Line& line, const Contraction& f) {
  const double root = std::sqrt(static_cast<double>(f.origin.size()));
  Kink kink;
  bool stayed = false;  // from some step to the next
  int stays = 0;        // in a row, up to the last step
  int falls = 0;
  double previous = infinity;
  for (double h = line.unit * 0x1p-16; h >= smallest_step(line); h /= 16) {
    const Sides sides(line, f, h);
    if (!sides.exact()) break;
    // Every result may have a kink of its own, and each its own gradient between the sides.
    Kink now{Kink::Place::close_by, 0, 0, h};
    double spread = 0;
    for (std::size_t i = 0; i < f.origin.size(); ++i) {
      const double right = f.covector[i] * (sides.right.y[i] - f.origin[i]) / sides.right.t;
      const double left = f.covector[i] * (sides.left.y[i] - f.origin[i]) / sides.left.t;
      now.lower += std::min(left, right);
      now.upper += std::max(left, right);
      spread += std::abs(right - left);
    }
    // Those of several results may cancel in their sum, while the rounding of all adds up.
    const double jump = std::max(std::abs(sides.jump()), spread / root);
    if (!std::isfinite(jump)) continue;  // the step leaves the domain of f
    const double hidden = 100 * difference_noise(f, h);
    if (!(jump > hidden)) {
      if (0.5 * previous > hidden) falls = 2;  // it would be seen
      break;
    }
    const bool falling = jump < 0.5 * previous;
    falls = falling ? falls + 1 : 0;
    stays = falling ? 0 : stays + 1;
    stayed = stayed || !falling;
    previous = jump;
    const double reserve = 1e-3 * spread + difference_noise(f, h);
    now.lower -= reserve;
    now.upper += reserve;
    if (std::abs(now.lower - kink.lower) <= 0.1 * spread &&
        std::abs(now.upper - kink.upper) <= 0.1 * spread) {
      now.place = Kink::Place::at_x;
    }
    kink = now;
  }
  // Of a smooth function it falls with every step: where it stayed before, that has to be seen.
  if (!stayed || falls > 1) return {};
  // Settled are three steps in a row that agree; of two, smaller ones might show the sides change.
  if (stays < 2) {
    const bool agree = stays == 1 && kink.place == Kink::Place::at_x;
    kink.place = agree ? Kink::Place::close_by : Kink::Place::hidden;
  }
  return kink;
}

std::vector<StepDifference> step_sweep(const Line& line, const Contraction& f) {
  std::vector<StepDifference> sweep;
  for (int k = 0; k <= 40; k += 2) {
    const double h = std::ldexp(line.unit, -k);
    sweep.push_back({h, Sides(line, f, h).central()});
  }
  return sweep;
}

TaylorRemainder taylor_remainder(const Line& line, const Contraction& f, double slope,
                                 double slope_error) {
  TaylorRemainder result;
  std::vector<double> x;  // log2 of step and remainder, where the remainder is above rounding
  std::vector<double> y;
  bool falls_faster = false;  // than with h, from the last of these to the next
  bool above = true;
  // Beyond the usual range steps go on while a remainder is left: larger ones may leap over a
  // singularity, or a kink, close to x.
  for (int k = 3; k <= 33 || (above && k <= 101); k += 2) {
    const Line::Point point = line.at(std::ldexp(line.unit, -k));
    const double change = f.change(point.y);
    const double remainder = std::abs(change - point.t * slope);
    result.steps.push_back(point.t);
    result.remainders.push_back(remainder);
    const double rounding = 10 * (4 * f.noise + point.t * slope_error);
    above = point.t > 0 && std::isfinite(remainder) && remainder > rounding;
    if (above) {
      x.push_back(std::log2(point.t));
      y.push_back(std::log2(remainder));
      falls_faster = false;
    } else if (!y.empty() && std::isfinite(remainder)) {
      const double expected = std::exp2(y.back()) * point.t / std::exp2(x.back());
      falls_faster = falls_faster || expected > 4 * rounding;
    }
  }
  const bool finite = std::any_of(result.remainders.begin(), result.remainders.end(),
                                  [](double r) { return std::isfinite(r); });
  if (x.size() < 2) {
    result.slope = std::nan("");
    if (finite) result.verdict = Verdict::correct;  // a linear function: nothing remains
    return result;
  }
  // The slope at the small end, where the leading term rules: over the last three decades or so.
  // It is the median of those from step to step, since where terms of different order cancel the
  // remainder has a dip.
  const std::size_t last = x.size() - 1;
  const std::size_t first = last > 5 ? last - 5 : 0;
  std::vector<double> slopes;
  for (std::size_t i = first; i < last; ++i) {
    slopes.push_back((y[i] - y[i + 1]) / (x[i] - x[i + 1]));
  }
  const auto middle = slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() / 2);
  std::nth_element(slopes.begin(), middle, slopes.end());
  result.slope = *middle;
  result.decades = (y[0] - y[last]) * std::log10(2.0);
  const double decades_of_steps = (x[first] - x[last]) * std::log10(2.0);
  if (result.slope > 1.7 || falls_faster) {
    result.verdict = Verdict::correct;
  } else if (result.slope > 0.7 && result.slope < 1.3 && decades_of_steps >= 2) {
    result.verdict = Verdict::wrong;
  }
  return result;
}

double rounding_noise(std::span<const double> values) {
  constexpr double factor = 36.0 / 720.0;  // (3!)^2 / 6!
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i + 3 < values.size(); ++i, ++count) {
    const double third = (values[i + 3] - values[i]) - 3 * (values[i + 2] - values[i + 1]);
    sum += third * third;
  }
  return std::sqrt(factor * sum / count);
}

}  // namespace xgrad::detail
