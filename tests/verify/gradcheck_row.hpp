// The table of gradient checks: every op, on every shape that it takes another path for, with the
// verdict that is expected.
#pragma once

#include <string>
#include <vector>

#include <xgrad/core/gradcheck.hpp>

namespace xgrad::testing {

/// An input of a row: uniform random numbers, or given ones.
struct RowInput {
  Shape shape;
  double low = -1;
  double high = 1;
  std::vector<double> values = {};
  bool constant = false;
  Verdict expected = Verdict::correct;
};

struct GradcheckRow {
  std::string op;    ///< the function's name, `operator+` for an operator
  std::string what;  ///< the situation
  detail::CheckedFunction f;
  std::vector<RowInput> inputs;
  /// The op that the complex step must name as not analytic; empty: the complex step must agree.
  std::string not_analytic = {};
  bool second_order = false;  ///< also checked by gradgradcheck
  bool float32 = true;        ///< also checked in float32
};

using GradcheckRows = std::vector<GradcheckRow>;

// One function a header.
GradcheckRows arithmetic_rows();
GradcheckRows unary_rows();
GradcheckRows pow_extremum_and_clip_rows();
GradcheckRows matmul_rows();
GradcheckRows reduce_rows();
GradcheckRows shape_rows();
GradcheckRows index_rows();
GradcheckRows normalize_rows();
GradcheckRows loss_rows();
GradcheckRows dropout_rows();

/// All of them.
GradcheckRows all_gradcheck_rows();

using UnaryOp = Var (*)(const Var& x);
using BinaryOp = Var (*)(const Var& a, const Var& b);

/// f as a function with one result.
inline detail::CheckedFunction of_one(UnaryOp f) {
  return [f](const std::vector<Var>& in) { return detail::Results{f(in[0])}; };
}
inline detail::CheckedFunction of_two(BinaryOp f) {
  return [f](const std::vector<Var>& in) { return detail::Results{f(in[0], in[1])}; };
}

/// One op on scalars, vectors, matrices, views, overlapping views, twice, and on nothing.
GradcheckRows unary_patterns(const std::string& op, UnaryOp f, double low, double high,
                             const std::string& not_analytic = "");

/// The same for two operands, with all the ways they broadcast.
GradcheckRows binary_patterns(const std::string& op, BinaryOp f, const RowInput& a,
                              const RowInput& b, const std::string& not_analytic = "");

/// The inputs of a row, drawn from the seed.
std::vector<NamedVar> draw(const GradcheckRow& row, std::uint64_t seed);

}  // namespace xgrad::testing
