#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <xgrad/core/verify/judge.hpp>
#include <xgrad/core/verify/measured_rounding.hpp>

namespace xgrad::detail {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();
/// How far the extrapolation may be off beyond its own estimate.
constexpr double extrapolation_reserve = 10;

/// The part of what f changes by over a unit that counts as zero.
constexpr double small = 1e-3;

constexpr const char* kinks_are_close = "the function has kinks close by";
constexpr const char* steps_are_too_coarse =
    "rounding hides differences whose steps are smaller than the inputs";

GradcheckEntry undecided(GradcheckEntry entry, const char* why) {
  entry.verdict = Verdict::ill_conditioned;
  entry.note = why;
  return entry;
}

/// What two sweeps agree on and smaller steps confirm. Columns of one tableau may be close to each
/// other by chance, and far from a singularity, or a kink, that is close to x, a function may look
/// as if it had another derivative there: |x| at 1e-8 looks flat to steps of 1e-3. What fits the
/// claimed value needs no smaller steps. If nothing is confirmed, `doubt` says why.
template <class Fits>
Estimate confirmed(const Line& line, const Contraction& f, double goal, const Estimate& first,
                   double claimed, const Fits& fits, const char*& doubt) {
  const Estimate none{std::nan(""), infinity, first.step, first.jump_stays};
  std::vector<Estimate> sweeps{first};
  for (int power = 8; power <= 33; power += 5) {
    const Estimate next = extrapolated_difference(line, f, goal, 3 * std::ldexp(1, power));
    for (const Estimate& other : sweeps) {
      const double apart = std::abs(next.value - other.value);
      if (!(apart <= extrapolation_reserve * (next.error + other.error))) continue;
      Estimate both = next.error < other.error ? next : other;
      both.error = std::max({next.error, other.error, apart});
      if (fits(both)) return both;
      const Confirmation smaller_steps = confirmation(line, f, both, claimed);
      if (smaller_steps == Confirmation::stays) return both;
      if (smaller_steps == Confirmation::kinked) {
        doubt = kinks_are_close;
        return none;
      }
      if (smaller_steps == Confirmation::too_coarse) doubt = steps_are_too_coarse;
      sweeps.clear();
      break;
    }
    sweeps.push_back(next);
  }
  return none;
}

/// How much f changes over a unit, which a derivative has to be small against to count as zero: by
/// the size of its values, at least 1, and by differences as long as that.
double steepness(const Line& line, const Contraction& f) {
  double size = 1;
  for (std::size_t i = 0; i < f.origin.size(); ++i) size += std::abs(f.covector[i] * f.origin[i]);
  double steepest = size / line.unit;
  const double h = line.unit / 8;
  for (const double t : {h, -h}) {
    const std::vector<double> y = line.at(t).y;
    double moved = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      moved += std::abs(f.covector[i] * (y[i] - f.origin[i]));
    }
    if (std::isfinite(moved)) steepest = std::max(steepest, moved / h);
  }
  return steepest;
}

}  // namespace

GradcheckEntry Judge::operator()(const Analytic& tape, const Line& line,
                                 const std::optional<ComplexStep::Derivative>& complex) const {
  const GradcheckEntry entry = weighed(f_, tape, line, complex);
  if (entry.verdict != Verdict::wrong || complex || !std::isfinite(tape.value)) return entry;
  // Differences alone accuse. If the results come in steps, neither the model of rounding (an op's
  // inside is closed to it) nor close neighbours have shown it: then a right gradient makes them
  // hide this change, and it is believed as far as the roundoff of numbers as large as x goes.
  const double hidden = std::min(std::abs(tape.value) * unnoticed_step(line, f_),
                                 8 * epsilon * std::max(1.0, line.unit));
  if (hidden <= f_.noise) return entry;
  Contraction coarse = f_;
  coarse.noise = hidden;
  return weighed(coarse, tape, line, complex);
}

GradcheckEntry Judge::weighed(const Contraction& f, const Analytic& tape, const Line& line,
                              const std::optional<ComplexStep::Derivative>& complex) const {
  const double analytic = tape.value;
  GradcheckEntry entry;
  entry.analytic = analytic;
  const bool analytic_step = complex && std::isfinite(complex->value);
  entry.complex_step = analytic_step ? complex->value : std::nan("");
  // Besides rounding: the step itself, where f is even in it, as (ih)^2 is.
  const double complex_tolerance =
      analytic_step
          ? tape.rounding + 64 * epsilon * complex->magnitude + complex->rounding + imaginary_step
          : 0;
  const double size = std::max(scale_, std::isfinite(analytic) ? std::abs(analytic) : 0);
  const double goal = std::max(1e-3 * resolution_ * size, tape.rounding / 10);
  if (!std::isfinite(f.noise)) {
    entry.tolerance = infinity;
    return undecided(entry, "the function is not finite beside the inputs");
  }
  if (!std::isfinite(tape.rounding) || !std::isfinite(complex_tolerance)) {
    entry.tolerance = infinity;
    return undecided(entry, "rounding alone may make the gradient infinite or NaN");
  }
  // A sweep ends where its error is at most the goal: how far below is luck, and the sweep that
  // has to confirm an accusation may not have it. Where differences are the only oracle it takes
  // no part, so that the report promises no more than will be found.
  const auto tolerance = [&](const Estimate& e) {
    const double error = analytic_step ? e.error : std::max(e.error, goal);
    return extrapolation_reserve * error + tape.rounding;
  };
  const auto fits = [&](const Estimate& e, double value, double reserve) {
    return std::abs(e.value - value) <= tolerance(e) + reserve;
  };
  Estimate differences = extrapolated_difference(line, f, goal);
  const bool inside_domain = std::isfinite(differences.value);
  const bool contradicts_complex =
      analytic_step && !fits(differences, complex->value, complex_tolerance);
  const bool doubtful = !fits(differences, analytic, 0) || contradicts_complex;
  const char* doubt = "the differences do not converge";
  if (doubtful) {
    const double claimed = contradicts_complex ? complex->value : analytic;
    const double reserve = contradicts_complex ? complex_tolerance : 0;
    const auto fits_claim = [&](const Estimate& e) { return fits(e, claimed, reserve); };
    differences = confirmed(line, f, goal, differences, claimed, fits_claim, doubt);
  }
  const bool converged = std::isfinite(differences.value);
  entry.differences = differences.value;
  entry.differences_error = differences.error;
  entry.numeric = differences.value;
  entry.tolerance = tolerance(differences);

  if (doubtful || differences.jump_stays || entry.tolerance > resolution_ * size) {
    const Kink kink = find_kink(line, f);
    if (kink.place == Kink::Place::hidden) return undecided(entry, kinks_are_close);
    if (kink.place != Kink::Place::nowhere) {
      entry.verdict = Verdict::kink;
      entry.numeric = std::midpoint(kink.lower, kink.upper);
      entry.tolerance = (kink.upper - kink.lower) / 2;
      if (analytic >= kink.lower && analytic <= kink.upper) return entry;
      if (kink.place == Kink::Place::close_by) return undecided(entry, kinks_are_close);
      // Along the line the kinks of several entries add up, those of opposite sign cancel, and a
      // gradient that is possible for each of them need not lie between the sides of the sum.
      if (!line.single_entry) {
        return undecided(entry, "entries at kinks can only be checked one by one");
      }
      if (line.leaps_over_zero(kink.step)) return undecided(entry, steps_are_too_coarse);
      entry.verdict = Verdict::wrong;
      return entry;
    }
  }
  if (analytic_step) {
    // The differences were not asked for more than the goal.
    if (converged && !fits(differences, complex->value, complex_tolerance + goal)) {
      return undecided(entry, "differences and complex step contradict each other");
    }
    entry.numeric = complex->value;
    entry.tolerance = complex_tolerance;
    // At the end of f's domain (sqrt at 0) there are no differences, and one opinion accuses
    // nobody.
    if (!inside_domain && !(entry.error() <= entry.tolerance)) {
      return undecided(entry, "the function is not finite beside the inputs");
    }
  } else if (!converged) {
    return undecided(entry, inside_domain ? doubt : "the function is not finite beside the inputs");
  }
  if (!(entry.error() <= entry.tolerance)) {
    entry.verdict = Verdict::wrong;
    return entry;
  }
  const bool hidden = entry.tolerance > resolution_ * size;
  const bool zero =
      std::abs(analytic) <= entry.tolerance && std::abs(entry.numeric) <= entry.tolerance;
  if (hidden && !(zero && entry.tolerance <= small * steepness(line, f))) {
    return undecided(entry, "rounding hides errors of the resolution that was asked for");
  }
  entry.verdict = zero ? Verdict::zero : Verdict::correct;
  return entry;
}

}  // namespace xgrad::detail
