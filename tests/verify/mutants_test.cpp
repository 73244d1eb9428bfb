// Every planted fault is found, and no twin without a fault is accused.
#include "mutants/mutants.hpp"

#include <cctype>
#include <string>

#include <gtest/gtest.h>

#include "verify/seeds.hpp"

namespace xgrad {
namespace {

using mutants::Case;
using mutants::Fault;

bool is_caught(const GradcheckReport& report) {
  return report.verdict == Verdict::wrong || report.verdict == Verdict::vacuous;
}

std::string repeat(std::uint64_t seed) {
  return "; repeat with XGRAD_SEED=" + std::to_string(seed);
}

class Mutants : public ::testing::TestWithParam<const Case*> {};

TEST_P(Mutants, AreWrongOrVacuousAndTheTwinIsCorrect) {
  const Case& each = *GetParam();
  for (const std::uint64_t seed : verify::table_seeds()) {
    const GradcheckReport twin = mutants::check(each, 0, seed, {});
    EXPECT_EQ(twin.verdict, Verdict::correct) << twin << repeat(seed);
    for (std::size_t k = 0; k < each.faults.size(); ++k) {
      const GradcheckReport report = mutants::check(each, static_cast<int>(k) + 1, seed, {});
      EXPECT_TRUE(is_caught(report)) << each.faults[k].what << ": " << report << repeat(seed);
    }
  }
}

TEST_P(Mutants, AreCaughtInFastMode) {
  const Case& each = *GetParam();
  for (const std::uint64_t seed : verify::table_seeds()) {
    const GradcheckReport twin = mutants::check(each, 0, seed, {.fast = true});
    EXPECT_EQ(twin.verdict, Verdict::correct) << twin << repeat(seed);
    for (std::size_t k = 0; k < each.faults.size(); ++k) {
      const GradcheckReport report =
          mutants::check(each, static_cast<int>(k) + 1, seed, {.fast = true});
      EXPECT_TRUE(is_caught(report)) << each.faults[k].what << ": " << report << repeat(seed);
    }
  }
}

std::vector<const Case*> all_cases() {
  std::vector<const Case*> all;
  for (const Case& each : mutants::cases()) all.push_back(&each);
  return all;
}

INSTANTIATE_TEST_SUITE_P(, Mutants, ::testing::ValuesIn(all_cases()), [](const auto& tested) {
  std::string name;
  for (const char* c = tested.param->name; *c != '\0'; ++c) {
    name += std::isalnum(static_cast<unsigned char>(*c)) != 0 ? *c : '_';
  }
  return name;
});

TEST(MutantsList, HasEnoughOfEveryClass) {
  std::size_t mutants = 0;
  std::vector<int> of_class(mutants::fault_classes().size());
  for (const Case& each : mutants::cases()) {
    mutants += each.faults.size();
    for (const Fault& fault : each.faults) ++of_class[static_cast<std::size_t>(fault.fault_class)];
  }
  EXPECT_GE(mutants, 100U);
  for (const int count : of_class) EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace xgrad
