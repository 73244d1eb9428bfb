#pragma once

#include <xgrad/core/verify/plain_function.hpp>
#include <xgrad/core/verify/rounding_model.hpp>

/// How far rounding alone may move what `gradcheck` compares.
namespace xgrad::detail {

/// The rounding of results and gradients, found in two ways of which the larger counts.
///
/// *Probed*: the noise of the numbers at points close to x (More and Wild 2011). It sees whatever
/// rounds, but not errors that stay the same over that range, as where 1 - y^2 is a few multiples
/// of the unit roundoff.
///
/// *Modelled*: how the numbers move when every op of f and of the backward pass rounds at random
/// (`RoundingModel`). It sees each cancellation, and no fault: a gradient that is cut to float32 is
/// cut alike in every sample. A change that is the same where all roundings are larger, or NaN in
/// every sample, is not one by rounding: a pullback may compare the op's result with its input.
class MeasuredRounding {
 public:
  MeasuredRounding(Subject& subject, const std::vector<double>& covector,
                   const Subject::Gradients& at_x, Generator& random);

  /// Adds samples of the model.
  void sample(int samples);

  /// The standard deviation of the contraction's rounding error.
  double of_contraction() const;
  /// The largest rounding error of an entry of a gradient, or of the gradient along a direction,
  /// that is plausible; infinite where a rounding may make it NaN.
  double of_entry(std::size_t input, std::size_t entry) const;
  double along(std::size_t input, const std::vector<double>& direction) const;

  /// No entry of that input has more probed noise than this.
  void limit_probed(std::size_t input, double most);

 private:
  void probe(const Subject::Gradients& at_x);
  Subject::Gradients rounded(double reserve, std::uint64_t seed);

  Subject& subject_;
  const std::vector<double>& covector_;
  Generator& random_;
  double probed_contraction_ = 0;
  std::vector<std::vector<double>> probed_;  ///< of each input: standard deviations
  ReductionLengths lengths_;
  Subject::Gradients exact_;  ///< op by op, as the model has it, but not rounded
  /// Of each sample: changes of the contraction and of the gradients.
  std::vector<double> contractions_;
  std::vector<std::vector<std::vector<double>>> changes_;
};

}  // namespace xgrad::detail
