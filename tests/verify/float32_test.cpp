// What trains, in float32, against float64: ops and modules of the tables.
#include <gtest/gtest.h>

#include <xgrad/core/threads.hpp>
#include <xgrad/nn/verify/float32check.hpp>

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

TEST(Float32, LossesOfConfidentClassifiers) {
  // The logarithm of a sum just above 1.
  for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    for (const double margin : {5.0, 12.0, 20.0, 30.0}) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        Generator random(seed);
        const Tensor x = random.normal({4, 3}, 0, 1, DType::float64);
        const Indices targets{1, 0, 2, 1};
        for (Index row = 0; row < 4; ++row) {
          x.mutable_data<double>()[3 * row + targets.values()[static_cast<std::size_t>(row)]] +=
              margin;
        }
        const auto loss = [&](const auto& in) {
          return cross_entropy(in[0], targets, {.reduction = reduction});
        };
        const Float32Report report = float32check(loss, {{"x", parameter(x)}}, {.seed = seed});
        EXPECT_NE(report.verdict, Verdict::wrong) << report;
      }
    }
  }
}

}  // namespace
}  // namespace xgrad::testing
