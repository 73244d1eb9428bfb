// Every op goes through gradcheck: see gradcheck_row.hpp.
#include <gtest/gtest.h>

#include "seeds.hpp"
#include "verify/gradcheck_row.hpp"

namespace xgrad::testing {
namespace {

/// The covector may cancel all that an input of one element gets: then nothing is wrong.
bool cancelled(const GradcheckInput& input, Verdict expected) {
  return expected == Verdict::correct && input.verdict == Verdict::zero && input.scale == 0 &&
         input.entries == 1;
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

void check(const GradcheckRow& row, std::uint64_t seed) {
  const std::vector<NamedVar> inputs = draw(row, seed);
  GradcheckReport report = gradcheck(row.f, inputs, {.seed = seed});
  std::size_t k = 0;
  for (const RowInput& input : row.inputs) {
    if (input.constant || !cancelled(report.inputs.at(k++), input.expected)) continue;
    report = gradcheck(row.f, inputs, {.seed = seed + 1});
    break;
  }
  expect_verdicts(row, report);
  expect_complex_step(row, report);
  if (row.second_order) {
    const GradcheckReport second = gradgradcheck(row.f, inputs, {.fast = true, .seed = seed});
    EXPECT_TRUE(verified(second)) << "second order\n" << second;
  }
  if (::testing::Test::HasFailure()) FAIL() << report;
}

void check(const GradcheckRows& rows) {
  Index checks = 0;
  for (const std::uint64_t seed : seeds()) {
    for (const GradcheckRow& row : rows) {
      SCOPED_TRACE(row.op + ", " + row.what + ", seed " + std::to_string(seed));
      check(row, seed);
      if (::testing::Test::HasFailure()) return;
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
