#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include <xgrad/core/engine/rounding.hpp>
#include <xgrad/core/random.hpp>

/// What rounding may do to a program, measured in exact enough arithmetic.
namespace xgrad::detail {

/// How many terms each element of an op's result is a sum of, for each op of a program that is not
/// pointwise, in the order of their evaluation.
struct ReductionLength {
  const char* op;
  Index terms;
};
using ReductionLengths = std::vector<ReductionLength>;

/// While it lives, ops in float64 and complex128 on this thread round at random, as an arithmetic
/// of unit roundoff u may (Monte Carlo arithmetic, Parker 1997): by the standard model (Higham
/// 2002, section 2.2) every result is z (1 + d) with |d| <= u, and that of a reduction over n terms
/// behaves as if its terms and the result were off by relative sqrt(n) u (the probabilistic form
/// of gamma_n: Higham and Mary 2019). Here d is of random sign and of 1/2 to 1 times that size. Of
/// a complex number either part is off by itself. Pointwise expressions are evaluated op by op.
/// Sums of sums count as one sum of all their terms, since that is what the engine makes of them.
///
/// As float32, results of + - * / and sqrt that float32 can hold are exact, what is too large for
/// it is infinite, and what is below its normal numbers may be flushed to zero.
class RoundingModel final : public Rounding {
 public:
  /// Rounds nothing, and notes the lengths of the program's reductions: their results are not known
  /// before they are evaluated, and an op may have to be evaluated once only.
  explicit RoundingModel(ReductionLengths& noted);
  /// Rounds as float32 or float64 may, the roundoff times `reserve`, a program that was noted.
  RoundingModel(DType arithmetic, double reserve, std::uint64_t seed,
                const ReductionLengths& lengths);
  ~RoundingModel() override;

  Tensor rounded(const char* op, std::span<const Var> inputs, const Evaluation& evaluate) override;
  Tensor rounded(const char* op, std::span<const Var> inputs, const Tensor& value) override;
  Tensor rounded(const Tensor& value, const Tensor& magnitude) override;
  double constant(double value) const override;

  Index longest_reduction() const { return longest_; }

 private:
  /// x, each entry off by some of `amount` times the entry's magnitude.
  Tensor perturbed(const Tensor& x, double amount, const Tensor& magnitude);
  /// As float32 has it if x is out of its range.
  double in_range(double x, bool flush) const;
  Index length_of(const char* op, std::span<const Var> inputs);
  Index terms_of(const Var& x) const;
  void note_sum(const Tensor& value, Index terms);

  bool float32_;
  double unit_;
  ReductionLengths* noted_;
  const ReductionLengths& lengths_;
  std::size_t next_ = 0;  ///< of the lengths
  Generator random_;
  Index longest_ = 1;
  /// A sum, which is kept so that nothing else comes to lie at its address.
  struct Sum {
    Tensor value;
    Index terms;
  };
  std::unordered_map<const std::byte*, Sum> sums_;
  Rounding* outer_;
};

}  // namespace xgrad::detail
