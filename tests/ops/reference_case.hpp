// Checks of an op against tests/reference/ops.json and against differences of itself.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <xgrad/core/var.hpp>
#include <xgrad/ops/index.hpp>

namespace xgrad::testing {

/// The inputs and options of one case.
struct Arguments {
  std::map<std::string, Var> vars;  ///< those with a gradient are parameters
  std::map<std::string, Indices> indices;
  std::map<std::string, std::vector<double>> options;  ///< numbers, lists of them, and booleans

  const Var& operator[](const char* name) const { return vars.at(name); }
  double number(const char* name) const { return options.at(name).at(0); }
  Index integer(const char* name) const { return static_cast<Index>(number(name)); }
  Shape list(const char* name) const;
  bool has(const char* name) const { return options.count(name) + vars.count(name) > 0; }
};

/// The op; several outputs are those of the file that have a covector, in the order of their names.
using Evaluate = std::function<std::vector<Var>(const Arguments&)>;

/// The cases NAME and NAME/SITUATION of ops.json.
std::vector<std::string> cases_of(const std::string& name);

struct CaseOptions {
  double sums = 1;             ///< over all elements at most, one after the other
  double magnitude = 0;        ///< elements smaller than this are compared relative to it
  double float_magnitude = 0;  ///< the magnitude of float32, if that is larger
  double lost = 0;             ///< float64's roundings of results so much larger than what is left
  bool products = false;       ///< only products and their sums: compared relative to |a||b|
  /// Of the sizes of the inputs it has gradients as large as the terms of the op's: if these
  /// cancel, gradients are compared relative to that.
  Evaluate gradient_terms = {};
  bool complex = true;  ///< whether complex128 is supported, or an error
};

/// Outputs and gradients of the case: in float64, fast and naive, against the file, and in float32
/// against float64 with the same inputs; outputs in complex128 against float64 if all numbers are
/// finite. Rounding is bounded for the sums and four elementary functions.
void check_case(const std::string& name, const Evaluate& op, CaseOptions options = {});

/// NaN equals NaN, an infinity itself; else |a - b| <= tolerance * max(|b|, magnitude).
void expect_close(std::span<const double> actual, std::span<const double> expected,
                  double tolerance, double magnitude = 0);

/// The same with a magnitude for each element.
void expect_close(std::span<const double> actual, std::span<const double> expected,
                  double tolerance, std::span<const double> magnitudes);

/// The sum of all elements, recorded.
Var total(const Var& x);

/// Fixed numbers from [-1, 1) that depend on the seed.
Tensor numbers(const Shape& shape, int seed, DType dtype = DType::float64);

/// Derivatives up to the given order. With S_0 = sum(f(x) R) and S_k the sum of the gradient of
/// S_(k-1) times other fixed numbers, the gradient of each S_k along a direction must be the
/// difference quotient of S_k (of fourth order).
void check_derivatives(const std::function<Var(std::span<const Var>)>& f,
                       const std::vector<Tensor>& xs, int order = 3, double tolerance = 1e-8);

/// The text of the Error that f throws; fails if it does not.
std::string error_of(const std::function<void()>& f);

}  // namespace xgrad::testing
