// Every module goes through gradcheck: see module_row.hpp.
#include <gtest/gtest.h>

#include "verify/module_row.hpp"
#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

bool check(const ModuleRow& row, std::uint64_t seed) {
  ModuleCase made = row.make(seed);
  const GradcheckReport report = nn::detail::gradcheck(
      *made.module, made.f, made.inputs, {.fast = row.fast, .projections = 2, .seed = seed});
  bool good = true;
  for (const GradcheckInput& input : report.inputs) {
    const auto at = row.expected.find(input.name);
    good = good && input.verdict == (at == row.expected.end() ? Verdict::correct : at->second);
  }
  EXPECT_TRUE(good) << report;
  return good;
}

void check(const ModuleRows& rows) {
  Index checks = 0;
  int failures = 0;
  for (const std::uint64_t seed : verify::table_seeds()) {
    for (const ModuleRow& row : rows) {
      SCOPED_TRACE(row.module + ", " + row.what + ", seed " + std::to_string(seed));
      failures += !check(row, seed);
      if (failures >= 5) return;
      ++checks;
    }
  }
  std::cout << rows.size() << " rows, " << checks << " checks\n";
}

TEST(ModuleGradcheck, Layers) { check(layer_rows()); }
TEST(ModuleGradcheck, SequentialLayers) { check(sequential_rows()); }
TEST(ModuleGradcheck, Cells) { check(cell_rows()); }
TEST(ModuleGradcheck, Recurrent) { check(recurrent_rows()); }

}  // namespace
}  // namespace xgrad::testing
