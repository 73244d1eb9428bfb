// Every planted fault is found, and no twin without a fault is accused.
#include "mutants/mutants.hpp"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>

#include <gtest/gtest.h>

#include <xgrad/core/verify/plain_function.hpp>

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

/// The case's inputs, moved and stretched.
std::vector<NamedVar> inputs_at(const Case& each, std::uint64_t seed, double offset,
                                double deviation) {
  std::vector<NamedVar> inputs = mutants::inputs_of(each, seed);
  for (NamedVar& input : inputs) {
    if (input.constant) continue;
    const Tensor x = input.var.tensor().to(DType::float64).copy();
    for (Index i = 0; i < x.size(); ++i) {
      x.mutable_data<double>()[i] = offset + deviation * x.data<double>()[i];
    }
    input.var = x;
  }
  return inputs;
}

/// The first gradients of a function, or the second ones, by the covector that a check with that
/// seed takes: whether a gradient is clipped depends on it.
std::vector<std::vector<double>> gradients_of(const mutants::Function& f,
                                              const std::vector<NamedVar>& inputs, int order,
                                              std::uint64_t seed) {
  const detail::InputCopies copies(inputs);
  const detail::CheckedInputs checked{copies.checked, copies.vars};
  const std::function<detail::Results()> first = [&] { return f(copies.vars); };
  Generator random(seed);
  const auto all = [&](const std::function<detail::Results()>& g, const detail::CheckedInputs& of) {
    detail::Subject subject(g, of, {});
    return subject.gradients(detail::random_covector(random, subject.values().size())).g;
  };
  if (order == 1) return all(first, checked);
  const detail::GradientFunction gradient(first, checked, {.seed = seed});
  return all([&] { return gradient(); }, gradient.inputs());
}

/// Whether two gradients of an input differ by more than the report of the right one says it needs.
bool shows(const GradcheckReport& right, const std::vector<std::vector<double>>& a,
           const std::vector<std::vector<double>>& b) {
  for (std::size_t k = 0; k < a.size(); ++k) {
    const GradcheckInput& input = right.inputs.at(k);
    double scale = 0;
    double apart = 0;
    for (std::size_t i = 0; i < a[k].size(); ++i) {
      scale = std::max(scale, std::abs(a[k][i]));
      const double difference = std::abs(a[k][i] - b[k][i]);
      if (!(difference <= apart)) apart = difference;
    }
    const double needed = 4 * input.detectable * (input.verdict == Verdict::zero ? 1 : scale);
    if (apart > 0 && !(apart <= needed)) return true;
  }
  return false;
}

/// Everywhere a fault is caught that is larger than what rounding explains there.
void check_at(double offset, double deviation) {
  int faults = 0;
  int showing = 0;
  int twins = 0;
  int decided = 0;
  const std::size_t seeds = std::getenv("XGRAD_THOROUGH") ? 20 : 1;
  std::vector<std::uint64_t> list = verify::table_seeds(1);
  list.resize(std::min(list.size(), seeds));
  for (const std::uint64_t seed : list) {
    for (const Case& each : mutants::cases()) {
      const std::vector<NamedVar> inputs = inputs_at(each, seed, offset, deviation);
      const GradcheckOptions options{.fast = true, .seed = seed};
      const auto report_of = [&](int fault) {
        const mutants::Function f = mutants::planted(each, fault);
        return each.order == 1 ? gradcheck(f, inputs, options) : gradgradcheck(f, inputs, options);
      };
      const GradcheckReport twin = report_of(0);
      EXPECT_NE(twin.verdict, Verdict::wrong) << twin << repeat(seed);
      ++twins;
      decided += static_cast<bool>(twin);
      const auto right = gradients_of(mutants::planted(each, 0), inputs, each.order, seed);
      for (std::size_t k = 0; k < each.faults.size(); ++k, ++faults) {
        const int fault = static_cast<int>(k) + 1;
        const auto wrong = gradients_of(mutants::planted(each, fault), inputs, each.order, seed);
        if (!shows(twin, right, wrong)) continue;
        ++showing;
        const GradcheckReport report = report_of(fault);
        EXPECT_TRUE(is_caught(report)) << each.faults[k].what << ": " << report << repeat(seed);
      }
    }
  }
  std::cout << showing << " of " << faults << " faults are larger than rounding; " << decided
            << " of " << twins << " right gradients are decided\n";
  EXPECT_GT(2 * showing, faults);
}

TEST(MutantsOfOtherSizes, AreCaughtAt1e_3) { check_at(0, 1e-3); }
TEST(MutantsOfOtherSizes, AreCaughtAt30) { check_at(0, 30); }
TEST(MutantsOfOtherSizes, AreCaughtAtAnOffsetOf20) { check_at(20, 1); }

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
