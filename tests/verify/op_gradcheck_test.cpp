// Every op goes through gradcheck: see gradcheck_row.hpp.
#include <gtest/gtest.h>

#include "verify/gradcheck_row.hpp"
#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

/// A covector may cancel all that an input gets: by chance that is zero, and another one must tell.
template <class Check>
GradcheckReport with_some_covector(std::uint64_t seed, Check&& check) {
  for (std::uint64_t attempt = 0;; ++attempt) {
    const GradcheckReport report = check(seed + 1000000 * attempt);
    const bool cancelled =
        std::any_of(report.inputs.begin(), report.inputs.end(), [](const GradcheckInput& input) {
          return input.verdict == Verdict::zero && input.scale == 0;
        });
    if (!cancelled || attempt == 2) return report;
  }
}

void expect_verdicts(const GradcheckRow& row, const GradcheckReport& report) {
  std::size_t k = 0;
  for (const RowInput& input : row.inputs) {
    if (input.constant) continue;
    const GradcheckInput& found = report.inputs.at(k++);
    EXPECT_EQ(name(found.verdict), std::string(name(input.expected)))
        << "input '" << found.name << "'";
  }
}

/// Smooth ops agree with the complex step to rounding; others say that they have none.
void expect_complex_step(const GradcheckRow& row, const GradcheckReport& report) {
  if (report.entries == 0) return;
  if (!row.not_analytic.empty()) {
    EXPECT_FALSE(report.complex_step);
    EXPECT_NE(report.complex_step_note.find(row.not_analytic + ":"), std::string::npos)
        << report.complex_step_note;
    return;
  }
  EXPECT_TRUE(report.complex_step) << report.complex_step_note;
  for (const GradcheckInput& input : report.inputs) {
    if (input.verdict != Verdict::correct) continue;
    EXPECT_LE(std::abs(input.worst.complex_step - input.worst.analytic), 1e-12 * input.scale)
        << "input '" << input.name << "'";
  }
}

/// All inputs are verified, but for those that the gradient does not depend on.
bool verified(const GradcheckReport& second_order) {
  bool some = false;
  for (const GradcheckInput& input : second_order.inputs) {
    const bool linear = input.verdict == Verdict::vacuous && input.entries > 0;
    if (!linear && input.verdict > Verdict::zero) return false;
    some = some || input.verdict == Verdict::correct;
  }
  return some;
}

int parts_failed() {
  return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

void check_row(const GradcheckRow& row, std::uint64_t seed, int& failures) {
  const int before = parts_failed();
  const std::vector<NamedVar> inputs = draw(row, seed);
  const GradcheckReport report = with_some_covector(
      seed, [&](std::uint64_t covector) { return gradcheck(row.f, inputs, {.seed = covector}); });
  expect_verdicts(row, report);
  expect_complex_step(row, report);
  if (row.second_order) {
    const GradcheckReport second = with_some_covector(seed, [&](std::uint64_t covector) {
      return gradgradcheck(row.f, inputs, {.fast = true, .seed = covector});
    });
    EXPECT_TRUE(verified(second)) << "second order\n" << second;
  }
  const int failed = parts_failed() - before;
  if (failed > 0) {
    ++failures;
    ADD_FAILURE() << report;
  }
}

void check(const GradcheckRows& rows) {
  Index checks = 0;
  int failures = 0;
  for (const std::uint64_t seed : verify::table_seeds()) {
    for (const GradcheckRow& row : rows) {
      SCOPED_TRACE(row.op + ", " + row.what + ", seed " + std::to_string(seed));
      check_row(row, seed, failures);
      if (failures >= 5) return;
      ++checks;
    }
  }
  std::cout << rows.size() << " rows, " << checks << " checks\n";
}

TEST(OpGradcheck, Arithmetic) { check(arithmetic_rows()); }
TEST(OpGradcheck, Unary) { check(unary_rows()); }
TEST(OpGradcheck, PowExtremumAndClip) { check(pow_extremum_and_clip_rows()); }
TEST(OpGradcheck, Matmul) { check(matmul_rows()); }
TEST(OpGradcheck, Reduce) { check(reduce_rows()); }
TEST(OpGradcheck, Shape) { check(shape_rows()); }
TEST(OpGradcheck, Index) { check(index_rows()); }
TEST(OpGradcheck, Normalize) { check(normalize_rows()); }
TEST(OpGradcheck, Loss) { check(loss_rows()); }
TEST(OpGradcheck, Dropout) { check(dropout_rows()); }

}  // namespace
}  // namespace xgrad::testing
