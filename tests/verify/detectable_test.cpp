// What a report says it can detect, it detects.
#include <iostream>

#include <gtest/gtest.h>

#include "mutants/planted_op.hpp"
#include "verify/seeds.hpp"

namespace xgrad {
namespace {

using mutants::Case;
using mutants::Eager;
using mutants::Vars;

/// The case's function, one entry of an input's gradient off by `error`.
mutants::Function off_by(const Case& each, std::size_t input, Index entry, double error) {
  return [&each, input, entry, error](const Vars& in) {
    Vars changed = in;
    changed[input] = mutants::corrupt(
        in[input], [=](const Eager& g) { return g + error * Eager(mutants::unit_like(g, entry)); });
    return each.f(changed, 0);
  };
}

struct Tally {
  int planted = 0;
  int caught = 0;
  double largest = 0;  ///< of what was said to be detectable
};

Tally plant(bool fast, double times_detectable) {
  Tally tally;
  for (const std::uint64_t seed : verify::table_seeds()) {
    Generator random(seed + 1000);
    for (const Case& each : mutants::cases()) {
      if (each.order != 1) continue;
      const std::vector<NamedVar> inputs = mutants::inputs_of(each, seed);
      const GradcheckOptions options{.fast = fast, .seed = seed};
      const GradcheckReport clean = gradcheck(mutants::planted(each, 0), inputs, options);
      const std::size_t k = random.below(inputs.size());
      const GradcheckInput& input = clean.inputs[k];
      EXPECT_LT(input.detectable, 1e-6) << clean;
      const double error = times_detectable * input.detectable * input.scale;
      const auto entry =
          static_cast<Index>(random.below(static_cast<std::uint64_t>(input.entries)));
      const GradcheckReport report =
          gradcheck(off_by(each, k, entry, random.below(2) == 0 ? error : -error), inputs, options);
      ++tally.planted;
      tally.caught += report.verdict == Verdict::wrong;
      tally.largest = std::max(tally.largest, input.detectable);
    }
  }
  return tally;
}

TEST(Detectable, ByFastMode) {
  const Tally tally = plant(true, 1);
  std::cout << tally.caught << " of " << tally.planted
            << " errors of the size that is detectable were found; at most " << tally.largest
            << " of the largest entry was said to be detectable\n";
  EXPECT_GE(tally.caught, 0.99 * tally.planted);
}

TEST(Detectable, ByFullMode) {
  // Twice, since what was within the tolerance before may make up for the error.
  const Tally tally = plant(false, 2);
  EXPECT_GE(tally.caught, 0.99 * tally.planted);
}

TEST(Detectable, MuchSmallerErrorsPassAsARule) {
  // The report's number is that of the least accurate projection; another may see more.
  const Tally tally = plant(true, 1e-4);
  EXPECT_LE(tally.caught, 0.01 * tally.planted);
}

}  // namespace
}  // namespace xgrad
