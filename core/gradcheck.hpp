#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include <xgrad/core/random.hpp>
#include <xgrad/core/var.hpp>

/// Numerical verification of gradients.
///
/// What the tape computes for f is compared with three oracles that do not know the tape:
///
/// - *differences*: central differences over a sweep of step sizes, extrapolated to step 0
///   (Richardson 1911; the choice in the tableau is Ridders' of 1982), with an error estimate of
///   their own;
/// - *complex step*: Im f(x + ih) / h, exact to rounding where all ops are analytic (Squire and
///   Trapp 1998); where an op is not, its own error says so and is the note in the report;
/// - *Taylor remainder*: |f(x + hv) - f(x) - h <g, v>| falls with h^2 if g is the gradient, with h
///   if not.
///
/// Outputs are contracted with a random covector, so that a symmetric mistake cannot hide. There is
/// no tolerance to choose: rounding in f, in the tape's gradient and in the complex step is
/// measured by the noise of their numbers (More and Wild 2011, "Estimating computational noise")
/// and by how they move when every op rounds at random (Parker 1997, Monte Carlo arithmetic), the
/// extrapolation estimates its own error, and a gradient is wrong where it differs by more than
/// these can explain, also when they are measured again, and where ever smaller steps confirm the
/// differences.
namespace xgrad {

struct NamedVar {
  std::string name;
  Var var;
  bool constant = false;  ///< given to the function, but not checked: whole numbers, masks
};

/// What the check found, from best to worst.
enum class Verdict : std::uint8_t {
  correct,
  zero,             ///< all oracles agree on zero, and a recorded path reaches the input
  kink,             ///< the one-sided derivatives differ here, and the gradient lies between them,
                    ///< as the sum of an entry's several kinks, each by convention, need not
  ill_conditioned,  ///< the oracles cannot decide; the note says why
  vacuous,          ///< nothing was tested: no entries, or no path from the input to a result
  wrong,
  not_deterministic,  ///< the function gives other results for the same inputs
};

/// "correct", "zero, confirmed", "kink", "ill-conditioned", "vacuous", "WRONG", ...
const char* name(Verdict verdict);

struct GradcheckOptions {
  /// Instead of every entry, random projections v^T J u of each input: a handful of evaluations for
  /// an input of any size. An error in any one entry shows, if it is above what the report says it
  /// can detect.
  bool fast = false;
  int projections = 4;     ///< of each input, if fast
  std::uint64_t seed = 0;  ///< of covectors and directions
  bool complex_step = true;
  /// An entry is ill-conditioned unless an error of this size, relative to the largest entry of its
  /// gradient, would be detected.
  double resolution = 1e-6;
  bool sweep = false;  ///< record the central differences of each input's worst entry
  /// Random generators that f draws from besides the default one: every evaluation starts from
  /// their present state, so that a dropout mask is the same each time.
  std::vector<Generator*> generators = {};
};

/// A central difference.
struct StepDifference {
  double step;
  double derivative;
};

/// An entry of a gradient (of the contraction of all results), or a projection.
struct GradcheckEntry {
  Shape index;  ///< empty for a projection
  Verdict verdict = Verdict::vacuous;
  double analytic = 0;   ///< the tape's
  double numeric = 0;    ///< the most accurate oracle's
  double tolerance = 0;  ///< the difference that rounding and extrapolation can explain
  double differences = 0;
  double differences_error = 0;  ///< as the extrapolation and the noise estimate have it
  double complex_step = 0;       ///< NaN if it could not be used
  std::string note;              ///< why it is ill-conditioned
  double error() const;          ///< |analytic - numeric|
};

/// |f(x + hv) - f(x) - h <g, v>| along a random direction v, over falling steps h.
struct TaylorRemainder {
  std::vector<double> steps;
  std::vector<double> remainders;
  double slope = 0;    ///< of log remainder over log step where it is above rounding; NaN: nowhere
  double decades = 0;  ///< the range of the remainder that the slope was taken over
  Verdict verdict = Verdict::ill_conditioned;  ///< correct, wrong, or undecided
};

/// What was found for one input.
struct GradcheckInput {
  std::string name;
  Shape shape;
  Verdict verdict = Verdict::vacuous;
  std::string note;   ///< why, where the verdict does not say it; always if ill-conditioned
  Index entries = 0;  ///< checked one by one; if fast, covered by the projections
  Index wrong = 0;    ///< of these, or of the projections
  Index kinks = 0;
  Index ill_conditioned = 0;
  double scale = 0;  ///< the largest |analytic| entry
  /// The smallest error that shows in one entry, relative to the scale; not of entries at kinks.
  double detectable = 0;
  GradcheckEntry worst;               ///< with the worst verdict, and of those the one furthest off
  std::vector<StepDifference> sweep;  ///< of `worst`, over a wide range of steps, if asked for
  TaylorRemainder taylor;
};

struct GradcheckReport {
  Verdict verdict = Verdict::vacuous;  ///< the worst of all inputs
  std::string note;
  bool fast = false;
  Index entries = 0;
  Index evaluations = 0;          ///< of f
  bool complex_step = false;      ///< whether that oracle could be used
  std::string complex_step_note;  ///< why not
  std::vector<GradcheckInput> inputs;

  /// True if no gradient is wrong and each was verified: all verdicts are correct, zero or kink.
  explicit operator bool() const { return verdict <= Verdict::kink; }
  /// Throws if there is no such input.
  const GradcheckInput& operator[](std::string_view input) const;
};

/// A table for people, with a line for each input: its worst entry, the difference there, how much
/// of one rounding and extrapolation can explain, the relative error that would be detected in any
/// entry, and the slope of the Taylor remainder. Below it more of what is not correct.
std::ostream& operator<<(std::ostream& stream, const GradcheckReport& report);

namespace detail {

using Results = std::vector<Var>;
using CheckedFunction = std::function<Results(const std::vector<Var>&)>;

/// A function with one result as one with several.
template <class F>
CheckedFunction checked_function(F& f) {
  return [&f](const std::vector<Var>& inputs) -> Results {
    if constexpr (std::convertible_to<std::invoke_result_t<F&, const std::vector<Var>&>, Results>) {
      return f(inputs);
    } else {
      return {Var(f(inputs))};
    }
  };
}

template <class F>
concept Checkable = std::invocable < F&,
        const std::vector<Var>
& > ;

GradcheckReport gradcheck(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options);
GradcheckReport gradgradcheck(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                              const GradcheckOptions& options);

/// What f reads: float64 parameters that are checked, and all that go to another dtype with them;
/// they are put back.
struct CheckedInputs {
  std::vector<NamedVar> checked;
  std::vector<Var> converted;

  void convert(DType dtype) const { detail::convert(converted, dtype); }
};

/// The check itself, of a function that reads its inputs by itself.
GradcheckReport gradcheck(const std::function<Results()>& f, const CheckedInputs& inputs,
                          const GradcheckOptions& options);
GradcheckReport gradgradcheck(const std::function<Results()>& f, const CheckedInputs& inputs,
                              const GradcheckOptions& options);

/// Copies of the inputs as float64 parameters: `vars` for the function, in the order of the inputs,
/// and what to check.
struct InputCopies {
  explicit InputCopies(const std::vector<NamedVar>& inputs);

  std::vector<Var> vars;
  std::vector<NamedVar> checked;
};

}  // namespace detail

/// Verifies the tape's gradient of f, which maps the list of its inputs to a Var or to a list of
/// them:
///
///     auto report = gradcheck([](const auto& in) { return matmul(in[0], in[1]); },
///                             {{"a", a}, {"b", b}});
///     if (!report) std::cerr << report;
///
/// The inputs are copied as parameters in float64, and in complex128 for the complex step; what f
/// captures must come in the dtype of its inputs. f must be deterministic but for its generators
/// (see the options), and it must be smooth somewhere near the inputs. Throws what f throws.
template <detail::Checkable F>
GradcheckReport gradcheck(F&& f, const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options = {}) {
  return detail::gradcheck(detail::checked_function(f), inputs, options);
}

/// The same for the gradient of the gradient: verifies what `grad(..., {.create_graph = true})`
/// records for f, differentiated by the inputs and by the covector of the first gradient.
template <detail::Checkable F>
GradcheckReport gradgradcheck(F&& f, const std::vector<NamedVar>& inputs,
                              const GradcheckOptions& options = {}) {
  return detail::gradgradcheck(detail::checked_function(f), inputs, options);
}

}  // namespace xgrad
