#pragma once

#include <complex>

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/core/verify/oracles.hpp>

/// The function that `gradcheck` examines, as a function of plain numbers.
namespace xgrad::detail {

/// How many standard deviations of rounding a difference may show. Rounding errors are no normal
/// distribution, and the deviation is itself an estimate from a few samples.
inline constexpr double noise_reserve = 100;

/// By how much more than half a unit in the last place a modelled rounding is off: an error of
/// either sign exceeds this many deviations with probability 2 exp(-lambda^2 / 2) (Higham and Mary
/// 2019).
inline constexpr double rounding_reserve = 8;

/// The position of the entry with that number, in row-major order.
Shape position_of(std::size_t entry, const Shape& shape);

/// Numbers of magnitude 1/2 to 1 and of random sign: none hides what it is multiplied with, and no
/// two are the same, behind which a transposed term could hide. They have all 53 bits, so that a
/// gradient that is cut to fewer shows.
std::vector<double> random_covector(Generator& random, std::size_t n);

/// The same with 12 bits, so that x + t u is exact unless t is tiny.
std::vector<double> random_direction(Generator& random, std::size_t n);

/// Rewinds random generators to where they were.
class ReplayedGenerators {
 public:
  explicit ReplayedGenerators(const std::vector<Generator*>& besides_default);
  ~ReplayedGenerators() { rewind(); }
  ReplayedGenerators(const ReplayedGenerators&) = delete;
  ReplayedGenerators& operator=(const ReplayedGenerators&) = delete;
  void rewind() const;

 private:
  std::vector<Generator*> generators_;
  std::vector<Generator> states_;
};

/// While it lives, the inputs' values may change.
class Subject {
 public:
  Subject(const std::function<Results()>& f, const CheckedInputs& inputs,
          const std::vector<Generator*>& generators);
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  std::size_t inputs() const { return origin_.size(); }
  const std::vector<double>& origin(std::size_t input) const { return origin_[input]; }
  Index evaluations() const { return evaluations_; }

  void assign(std::size_t input, const std::vector<double>& values) const;
  void restore(std::size_t input) const { assign(input, origin_[input]); }

  std::vector<Shape> result_shapes();
  /// All results, one after the other.
  std::vector<double> values();

  /// The results, and the tape's gradient of their contraction.
  struct Gradients {
    std::vector<double> y;
    std::vector<std::vector<double>> g;  ///< for each input
    std::vector<bool> reached;           ///< a recorded path leads from the input to a result
  };
  Gradients gradients(const std::vector<double>& covector, TapeMode mode = TapeMode::fast);

  /// The line through x along one entry, or along a direction of one input.
  Line along_entry(std::size_t input, std::size_t entry);
  Line along(std::size_t input, std::vector<double> direction);

 private:
  friend class ComplexStep;

  Results run();
  std::vector<bool> reached_inputs(const Results& results) const;

  const std::function<Results()>& f_;
  const CheckedInputs& inputs_;
  ReplayedGenerators generators_;
  KeptParameters kept_;
  std::vector<std::vector<double>> origin_;
  Index evaluations_ = 0;
};

/// The gradient of f, as `create_graph` records it, as a function of f's inputs and of the
/// covectors of f's results.
class GradientFunction {
 public:
  GradientFunction(const std::function<Results()>& f, const CheckedInputs& inputs,
                   const GradcheckOptions& options);
  GradientFunction(const GradientFunction&) = delete;
  GradientFunction& operator=(const GradientFunction&) = delete;

  const CheckedInputs& inputs() const { return all_; }
  Results operator()() const;

 private:
  const std::function<Results()>& f_;
  CheckedInputs all_;
  std::vector<Var> xs_;
  std::vector<Var> covectors_;
};

/// The length of a complex step: its square vanishes beside it.
inline constexpr double imaginary_step = 0x1p-500;

/// The derivatives of the contraction along directions u, Im f(x + ihu) / h; while it lives, the
/// inputs are complex128. Throws where an op has no complex form.
class ComplexStep {
 public:
  ComplexStep(Subject& subject, const std::vector<double>& covector);
  ComplexStep(const ComplexStep&) = delete;
  ComplexStep& operator=(const ComplexStep&) = delete;

  struct Derivative {
    double value;
    double magnitude;     ///< the sum of the absolute values of what was added
    double noise = 0;     ///< standard deviation of rounding that depends on the step, if measured
    double rounding = 0;  ///< the largest error by rounding that is plausible, if measured
  };
  Derivative along(std::size_t input, const std::vector<double>& direction,
                   double step = imaginary_step);
  /// Measures the rounding of that derivative: the exact one does not depend on the step, but what
  /// rounding does to it; and how far it moves when every op rounds at random.
  void measure_rounding(std::size_t input, const std::vector<double>& direction,
                        Derivative& derivative, Generator& random, int samples = 3);

 private:
  void set_imaginary(std::size_t input, const std::vector<double>& direction, double step) const;

  Subject& subject_;
  const std::vector<double>& covector_;
  KeptParameters kept_;
};

}  // namespace xgrad::detail
