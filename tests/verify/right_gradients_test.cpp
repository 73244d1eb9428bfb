// No right gradient is called wrong, however large or small the inputs: see right_gradients.hpp.
#include "verify/right_gradients.hpp"

#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include <gtest/gtest.h>

#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

struct Tally {
  int checks = 0;
  int wrong = 0;
  Outcome sum;

  void add(const Outcome& outcome) {
    ++checks;
    wrong += outcome.wrong;
    sum.gradients += outcome.gradients;
    sum.decided += outcome.decided;
    sum.well_conditioned += outcome.well_conditioned;
    sum.decided_well += outcome.decided_well;
  }
};

std::string percent(int part, int whole) {
  if (whole == 0) return "-";
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << 100.0 * part / whole;
  return text.str();
}

void print(const std::string& what, const Tally& tally) {
  std::cout << std::left << std::setw(26) << what << std::right << std::setw(8) << tally.checks
            << std::setw(7) << tally.wrong << std::setw(9)
            << percent(tally.sum.decided, tally.sum.gradients) << std::setw(18)
            << percent(tally.sum.decided_well, tally.sum.well_conditioned) << '\n';
}

/// Where most gradients that are well-conditioned have to be decided.
bool is_usual(const Range& range) { return range.deviation >= 1e-3 && range.deviation <= 30; }

TEST(RightGradients, AreNeverCalledWrong) {
  const bool thorough = std::getenv("XGRAD_THOROUGH") != nullptr;
  const std::uint64_t seed = verify::seeds(1).front();
  // Of 120 checks for each program, so many are drawn.
  const std::uint64_t one_of = thorough ? 4 : verify::sanitized ? 3000 : 300;
  Generator random(seed);
  std::map<Range, Tally> by_range;
  std::map<Checker, Tally> by_checker;
  Tally usual;
  Tally all;
  for (const Program& program : all_programs()) {
    for (const Range& range : all_ranges()) {
      for (const Checker checker : all_checkers) {
        const std::uint64_t draw = random.next();
        if (draw % one_of != 0) continue;
        const Outcome outcome = check(program, range, checker, draw);
        const auto where = [&] {
          std::ostringstream text;
          text << program.what << ", offset " << range.offset << ", deviation " << range.deviation
               << ", " << name(checker) << ":\n"
               << outcome.report << "; repeat with XGRAD_SEED=" << seed;
          return text.str();
        };
        EXPECT_FALSE(outcome.wrong) << where();
        EXPECT_EQ(outcome.mute, 0) << where();
        for (Tally* tally : {&by_range[range], &by_checker[checker], &all}) tally->add(outcome);
        if (is_usual(range) && checker != Checker::float32) usual.add(outcome);
      }
    }
  }
  std::cout << "of right gradients           checks  WRONG  % decided  % of well-conditioned\n";
  for (const auto& [range, tally] : by_range) {
    std::ostringstream what;
    what << "offset " << range.offset << ", deviation " << range.deviation;
    print(what.str(), tally);
  }
  for (const auto& [checker, tally] : by_checker) print(name(checker), tally);
  print("gradcheck, 1e-3 to 30", usual);
  print("all", all);
  // 95 %; of a thin sweep's few draws six standard deviations less.
  const double scatter = thorough ? 0 : 6 * std::sqrt(0.05 * 0.95 / usual.sum.well_conditioned);
  EXPECT_GE(usual.sum.decided_well, (0.95 - scatter) * usual.sum.well_conditioned);
  EXPECT_GE(all.checks, thorough ? 20000 : 1);
}

}  // namespace
}  // namespace xgrad::testing
