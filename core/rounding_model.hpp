#pragma once

#include <functional>
#include <span>
#include <unordered_map>

#include <xgrad/core/random.hpp>
#include <xgrad/core/var.hpp>

/// What rounding may do to a program, measured in exact enough arithmetic.
namespace xgrad::detail {

/// Whether an op moves or selects numbers, so that its result is exact in every precision.
template <class Op>
constexpr bool is_exact() {
  if constexpr (requires { Op::exact; }) {
    return Op::exact;
  } else {
    return false;
  }
}

/// While it lives, ops in float64 on this thread round at random, as an arithmetic of unit
/// roundoff u may (Monte Carlo arithmetic, Parker 1997): by the standard model (Higham 2002,
/// section 2.2) every result is z (1 + d) with |d| <= u, and that of a reduction over n terms
/// behaves as if its terms and the result were off by relative sqrt(n) u (the probabilistic form
/// of gamma_n: Higham and Mary 2019). Here d is of random sign and of 1/2 to 1 times that size;
/// results of + - * / and sqrt that float32 can hold are exact. Pointwise expressions are
/// evaluated op by op. Sums of sums count as one sum of all their terms, since that is what the
/// engine makes of them.
class RoundingModel {
 public:
  RoundingModel(double unit, std::uint64_t seed);
  ~RoundingModel();
  RoundingModel(const RoundingModel&) = delete;
  RoundingModel& operator=(const RoundingModel&) = delete;

  /// The op's value, `evaluate` of its operands, rounded.
  Tensor rounded(const char* op, std::span<const Var> inputs,
                 const std::function<Tensor(std::span<const Var>)>& evaluate);
  /// The value of a pointwise op, rounded.
  Tensor rounded(const char* op, std::span<const Var> inputs, const Tensor& value);
  /// The value of an op that forms differences inside: `magnitude` is that of their terms.
  Tensor rounded(const Tensor& value, const Tensor& magnitude);
  /// A number as the model's arithmetic would hold it.
  double constant(double value);

  Index longest_reduction() const { return longest_; }

 private:
  /// x, each entry off by some of `amount` times the entry's magnitude.
  Tensor perturbed(const Tensor& x, double amount, const Tensor& magnitude);
  Index terms_of(const Var& x) const;
  void note_sum(const Tensor& value, Index terms);

  double unit_;
  Generator random_;
  Index longest_ = 1;
  /// A sum, which is kept so that nothing else comes to lie at its address.
  struct Sum {
    Tensor value;
    Index terms;
  };
  std::unordered_map<const std::byte*, Sum> sums_;
  RoundingModel* outer_;
};

/// The model that is in force on this thread, or null.
inline constinit thread_local RoundingModel* rounding_model = nullptr;

}  // namespace xgrad::detail
