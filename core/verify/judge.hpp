#pragma once

#include <optional>

#include <xgrad/core/verify/plain_function.hpp>

/// The judgement of `gradcheck` on one derivative.
namespace xgrad::detail {

/// What the tape found, and by how much rounding may have moved it.
struct Analytic {
  double value;
  double rounding;
};

/// Weighs the oracles against the tape. Each has a tolerance, which is what rounding (and for
/// differences the extrapolation) explains; where they contradict each other nobody is accused.
class Judge {
 public:
  /// `scale` is that of the whole gradient, of which `resolution` is a part.
  Judge(const Contraction& f, double scale, double resolution)
      : f_(f), scale_(scale), resolution_(resolution) {}

  GradcheckEntry operator()(const Analytic& analytic, const Line& line,
                            const std::optional<ComplexStep::Derivative>& complex) const;

 private:
  GradcheckEntry weighed(const Contraction& f, const Analytic& analytic, const Line& line,
                         const std::optional<ComplexStep::Derivative>& complex) const;

  Contraction f_;
  double scale_;
  double resolution_;
};

}  // namespace xgrad::detail
