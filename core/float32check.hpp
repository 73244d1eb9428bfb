#pragma once

#include <xgrad/core/gradcheck.hpp>

/// Verification of what trains: results and gradients in float32, from the fast tape with its
/// fused, packed and threaded kernels, against those of the same program in float64 from the naive
/// tape.
///
/// The bound on their difference is not chosen, but derived from the program. By the standard model
/// of rounding (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 2.2) each
/// elementary op gives z (1 + d), |d| <= u = 2^-24, and a sum of n terms is off by gamma_n =
/// n u / (1 - n u) times the sum of the terms' magnitudes at most; as errors are of either sign,
/// by lambda sqrt(n) u with probability 1 - 2 exp(-lambda^2 / 2) at least (Higham and Mary 2019,
/// "A new approach to probabilistic rounding error analysis"). To first order the error of a
/// result is the sum of such local errors, each times the derivative of the result by that
/// intermediate value. Bounding the sum by magnitudes would grow with the power of the steps of a
/// recurrent network; it is sampled instead: the float64 program runs a few times with local errors
/// of random sign and of size lambda u, lambda sqrt(n) u in reductions over n terms (Monte Carlo
/// arithmetic, Parker 1997), lambda = 8, forward and backward. With e_s the change of an entry in
/// sample s,
///
///     bound = max(max_s |e_s|, rms of e over the tensor, lambda u |value|) + 2^-126
///
/// Cancellation needs no special case, since it magnifies the samples' errors as it does those of
/// float32, and no float32 kernel takes part, so that a wrong one cannot raise its own bound.
namespace xgrad {

struct Float32Options {
  std::uint64_t seed = 0;  ///< of the covector and of the samples
  int samples = 6;
  /// A tensor is ill-conditioned unless an error of this size, relative to its largest entry, would
  /// be detected in every entry.
  double resolution = 1e-2;
  std::vector<Generator*> generators = {};  ///< as in GradcheckOptions
};

/// What was found for one result, or for the gradient of one input.
struct Float32Tensor {
  std::string name;
  Shape shape;
  /// correct, zero (exactly, in both), wrong, ill_conditioned, or vacuous
  Verdict verdict = Verdict::vacuous;
  std::string note;
  Index entries = 0;
  Index wrong = 0;
  double scale = 0;  ///< the largest magnitude in float64
  double ulp = 0;    ///< of a float32 number of that size
  // Of the entry that is furthest off in terms of its bound:
  Shape index;
  double float32 = 0;
  double float64 = 0;
  double error = 0;          ///< in ulps
  double bound = 0;          ///< in ulps
  double largest_bound = 0;  ///< of all entries, in ulps: a smaller error may not show
};

struct Float32Report {
  Verdict verdict = Verdict::vacuous;  ///< the worst of all
  std::string note;
  Index longest_reduction = 0;  ///< terms in the longest sum
  std::vector<Float32Tensor> results;
  std::vector<Float32Tensor> inputs;  ///< their gradients

  /// True if all results and gradients are within their bounds, and none is vacuous or
  /// ill-conditioned.
  explicit operator bool() const { return verdict <= Verdict::zero; }
  /// Throws if there is no such input.
  const Float32Tensor& operator[](std::string_view input) const;
};

/// A table with a line for each result and each gradient, for people.
std::ostream& operator<<(std::ostream& stream, const Float32Report& report);

namespace detail {

Float32Report float32check(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                           const Float32Options& options);
Float32Report float32check(const std::function<Results()>& f, const CheckedInputs& inputs,
                           const Float32Options& options);

}  // namespace detail

/// Verifies f, which is as for `gradcheck`, in float32 at the inputs rounded to float32:
///
///     auto report = float32check([](const auto& in) { return matmul(in[0], in[1]); },
///                                {{"a", a}, {"b", b}});
///     if (!report) std::cerr << report;
template <detail::Checkable F>
Float32Report float32check(F&& f, const std::vector<NamedVar>& inputs,
                           const Float32Options& options = {}) {
  return detail::float32check(detail::checked_function(f), inputs, options);
}

}  // namespace xgrad
