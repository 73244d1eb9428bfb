// What trains, in float32, against float64: ops and modules of the tables.
#include <gtest/gtest.h>

#include <xgrad/core/threads.hpp>
#include <xgrad/nn/float32check.hpp>

#include "verify/gradcheck_row.hpp"
#include "verify/module_row.hpp"
#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

/// No wrong number; what was vacuous in float64 is so here. A single entry may be close to zero
/// because its terms cancel, and is then ill-conditioned indeed.
bool good(const Float32Report& report) {
  for (const auto* list : {&report.results, &report.inputs}) {
    for (const Float32Tensor& tensor : *list) {
      if (tensor.verdict == Verdict::wrong) return false;
      if (tensor.verdict == Verdict::ill_conditioned && tensor.entries > 1) return false;
    }
  }
  return true;
}

TEST(Float32, Ops) {
  Index checks = 0;
  int failures = 0;
  for (const std::uint64_t seed : verify::table_seeds()) {
    for (const GradcheckRow& row : all_gradcheck_rows()) {
      if (!row.float32) continue;
      SCOPED_TRACE(row.op + ", " + row.what + ", seed " + std::to_string(seed));
      const Float32Report report = float32check(row.f, draw(row, seed), {.seed = seed});
      EXPECT_TRUE(good(report)) << report;
      failures += !good(report);
      if (failures >= 20) return;
      ++checks;
    }
  }
  std::cout << checks << " checks\n";
}

TEST(Float32, Modules) {
  Index checks = 0;
  int failures = 0;
  for (const std::uint64_t seed : verify::table_seeds()) {
    for (const ModuleRow& row : all_module_rows()) {
      SCOPED_TRACE(row.module + ", " + row.what + ", seed " + std::to_string(seed));
      ModuleCase made = row.make(seed);
      const Float32Report report =
          nn::detail::float32check(*made.module, made.f, made.inputs, {.seed = seed});
      EXPECT_TRUE(good(report)) << report;
      failures += !good(report);
      if (failures >= 5) return;
      ++checks;
    }
  }
  std::cout << checks << " checks\n";
}

}  // namespace
}  // namespace xgrad::testing
