// Gradients that are right, at inputs of any size: what the checkers say of them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include <xgrad/nn/verify/float32check.hpp>

#include "verify/gradcheck_row.hpp"
#include "verify/module_row.hpp"

namespace xgrad::testing {

/// Inputs are offset + deviation * N(0, 1).
struct Range {
  double offset;
  double deviation;
  auto operator<=>(const Range&) const = default;
};

/// Deviations of 1e-8 to 1000, each with offsets of 0 to 1e6.
std::vector<Range> all_ranges();

enum class Checker : std::uint8_t { full, fast, second, second_fast, float32 };
inline constexpr Checker all_checkers[] = {Checker::full, Checker::fast, Checker::second,
                                           Checker::second_fast, Checker::float32};
const char* name(Checker checker);

/// A function of inputs that a checker takes, of one of the two tables.
struct Program {
  std::string what;
  const GradcheckRow* row = nullptr;
  const ModuleRow* module = nullptr;
};

/// Those of both tables whose inputs are not given number by number.
std::vector<Program> all_programs();

/// What one check found.
struct Outcome {
  bool wrong = false;
  int gradients = 0;         ///< of inputs to which a path leads
  int decided = 0;           ///< of these: correct, zero or kink
  int well_conditioned = 0;  ///< of these, as the reference has it
  int decided_well = 0;      ///< and decided
  int mute = 0;              ///< neither decided nor explained by a note
  std::string report;
};

/// The check of one program at inputs drawn from the seed. What is well-conditioned is found by a
/// reference that knows nothing of the checkers' verdicts; see the source.
Outcome check(const Program& program, const Range& range, Checker checker, std::uint64_t seed);

}  // namespace xgrad::testing
