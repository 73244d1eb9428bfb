#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include <xgrad/core/var.hpp>

namespace xgrad {

struct NamedVar {
  std::string name;
  Var var;
};

struct GradcheckOptions {
  double tolerance = 1e-6;  ///< of |analytic - numeric|, relative to the larger of them and to 1
  std::uint64_t seed = 0;   ///< of the random covector
};

/// One entry of a gradient.
struct GradcheckEntry {
  std::string input;
  Shape index;
  double analytic = 0;
  double numeric = 0;
  double error = 0;  ///< |analytic - numeric| / max(1, |analytic|, |numeric|)
};

struct GradcheckReport {
  bool passed = false;
  Index entries = 0;     ///< checked, all inputs together
  Index failed = 0;      ///< of them
  GradcheckEntry worst;  ///< the largest error; NaN counts as larger than any number

  explicit operator bool() const { return passed; }
};

/// Compares the tape's gradient of f with central differences, in float64, for every entry of every
/// input. The results of f are contracted with a random covector, so that a symmetric mistake
/// cannot hide. The inputs are converted to float64 parameters, which f gets in their order; f must
/// be deterministic. Throws if there is no entry to check, or no result.
///
///     auto report = gradcheck([](const auto& in) { return matmul(in[0], in[1]); },
///                             {{"a", a}, {"b", b}});
///     if (!report) std::cerr << report;
GradcheckReport gradcheck(const std::function<Var(const std::vector<Var>&)>& f,
                          const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options = {});

/// "gradient of 'Wh' at (0,3): analytic 1.5, numeric 1.25, ..."
std::ostream& operator<<(std::ostream& stream, const GradcheckReport& report);

namespace detail {

/// The same for float64 parameters that f reads by itself, and any number of results.
GradcheckReport gradcheck_parameters(const std::function<std::vector<Var>()>& f,
                                     const std::vector<NamedVar>& parameters,
                                     const GradcheckOptions& options);

/// A float64 parameter with x's value.
Var float64_parameter(const Var& x, const std::string& name);

}  // namespace detail
}  // namespace xgrad
