#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/core/random.hpp>

/// Functions whose gradients are wrong on purpose, to verify the verifier. They are written with
/// what every user has: `pointwise`, `apply_all` and cells; the library knows nothing of them.
namespace xgrad::mutants {

using Vars = std::vector<Var>;
using Function = std::function<Vars(const Vars&)>;

/// What went wrong, in the words of somebody who searches for the bug.
enum class FaultClass : std::uint8_t {
  sign,
  missing_term,
  factor,
  operand,
  broadcast,
  accumulation,
  index,
  time,
  state,
  saved_value,
  vanished,
  partial,
  precision,
  second_order,
};
const char* name(FaultClass fault_class);
std::vector<FaultClass> fault_classes();

struct Fault {
  FaultClass fault_class;
  const char* what;
};

/// A function and the faults that can be planted in it.
struct Case {
  const char* name;
  std::function<std::vector<NamedVar>(Generator&)> inputs;
  /// With fault 0 it is the twin, whose gradient is right; with k it has faults[k - 1]. The code is
  /// the same but for the fault.
  std::function<Vars(const Vars& in, int fault)> f;
  std::vector<Fault> faults;
  int order =
      1;  ///< 2: the first gradient is right, and the fault shows in the gradient's gradient
};

/// All of them; the numbers of faults add up to the number of mutants.
const std::vector<Case>& cases();

/// The case's function with a fault, or without (0).
Function planted(const Case& each, int fault);

/// The case's inputs for a seed, in float64.
std::vector<NamedVar> inputs_of(const Case& each, std::uint64_t seed);

/// What gradcheck, or gradgradcheck where the case is of second order, finds.
GradcheckReport check(const Case& each, int fault, std::uint64_t seed, GradcheckOptions options);

/// For checkers that know of first gradients only: the gradient of f as a function of the inputs
/// that are not constant and of one covector for each result.
struct GradientFunction {
  GradientFunction(const Function& f, const std::vector<NamedVar>& inputs, Generator& random);
  Function f;
  std::vector<NamedVar> inputs;
};

/// Random numbers in float64, uniform in [low, high).
Tensor draw(Generator& random, const Shape& shape, double low = -1, double high = 1);
/// Of magnitude 0.2 to 1 and of alternating sign, so that both occur and none is close to 0.
Tensor draw_signs(Generator& random, const Shape& shape);

namespace detail {
std::vector<Case> pointwise_cases();
std::vector<Case> product_cases();
std::vector<Case> reduction_cases();
std::vector<Case> shape_cases();
std::vector<Case> normalize_cases();
std::vector<Case> recurrent_cases();
std::vector<Case> small_cases();
std::vector<Case> second_order_cases();
}  // namespace detail

}  // namespace xgrad::mutants
