#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "reference/reference.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

using nlohmann::json;

const json& reference_case(const std::string& name) {
  return testing::reference("optim.json").at("schedule/" + name);
}

void expect_rates(const std::string& name, const optim::Schedule& schedule) {
  const std::vector<double> rates =
      testing::array(reference_case(name).at("outputs").at("lr")).data;
  ASSERT_GE(rates.size(), 24u);
  // A cosine or a power on both sides; rates are at most 1.
  const double bound = testing::rounding_bound(DType::float64, 2 * testing::elementary);
  for (std::size_t t = 0; t < rates.size(); ++t) {
    EXPECT_NEAR(schedule.rate(t), rates[t], bound) << name << ", step " << t;
  }
}

TEST(Schedule, IsConstant) {
  const optim::ConstantSchedule schedule(0.25);
  EXPECT_EQ(schedule.rate(0), 0.25);
  EXPECT_EQ(schedule.rate(1'000'000), 0.25);
}

TEST(Schedule, StepsAsInPyTorch) {
  const json& options = reference_case("step").at("options");
  expect_rates("step", optim::StepSchedule({.lr = options.at("base_lr"),
                                            .step_size = options.at("step_size"),
                                            .gamma = options.at("gamma")}));
}

TEST(Schedule, FollowsTheCosineAsInPyTorch) {
  for (const std::string name : {"cosine_with_warmup", "cosine_to_zero"}) {
    const json& options = reference_case(name).at("options");
    expect_rates(name, optim::CosineSchedule({.lr = options.at("base_lr"),
                                              .warmup = options.at("warmup"),
                                              .total = options.at("total"),
                                              .floor = options.at("floor")}));
  }
}

optim::PlateauScheduleOptions plateau_options(const json& options) {
  return {.lr = options.at("base_lr"),
          .factor = options.at("factor"),
          .patience = options.at("patience"),
          .threshold = options.at("threshold"),
          .absolute = options.at("threshold_mode") == "abs",
          .cooldown = options.at("cooldown"),
          .min_lr = options.at("min_lr")};
}

TEST(Plateau, ReducesAsInPyTorchAlsoWhenResumed) {
  int cases = 0;
  for (const auto& [name, value] : testing::reference("optim.json").items()) {
    if (!name.starts_with("schedule/plateau_")) continue;
    ++cases;
    const json& options = value.at("options");
    ASSERT_EQ(options.at("eps"), 1e-8);
    const std::vector<double> losses = testing::array(value.at("inputs").at("loss")).data;
    const std::vector<double> rates = testing::array(value.at("outputs").at("lr")).data;
    optim::PlateauSchedule whole(plateau_options(options));
    optim::PlateauSchedule resumed(plateau_options(options));
    for (std::size_t t = 0; t < losses.size(); ++t) {
      EXPECT_NEAR(whole.observe(losses[t]), rates[t],
                  testing::rounding_bound(DType::float64, 2 * static_cast<double>(t + 1)))
          << name << ", loss " << t;
      EXPECT_EQ(whole.rate(), resumed.observe(losses[t])) << name << ", loss " << t;
      optim::PlateauSchedule next(plateau_options(options));
      next.load_state(resumed.state());
      resumed = next;
    }
  }
  EXPECT_EQ(cases, 6);
}

TEST(Plateau, LeavesOutReductionsThatAreNone) {
  // Less than 1e-8, and below the least rate from the start.
  for (const optim::PlateauScheduleOptions& options :
       {optim::PlateauScheduleOptions{.lr = 1e-8, .factor = 0.5, .patience = 0},
        optim::PlateauScheduleOptions{.lr = 0.1, .patience = 0, .min_lr = 0.2}}) {
    optim::PlateauSchedule plateau(options);
    plateau.observe(1.0);
    EXPECT_EQ(plateau.observe(1.0), options.lr);
  }
}

TEST(Plateau, ItsOptions) {
  const auto losses_until_reduction = [](const optim::PlateauScheduleOptions& options,
                                         double loss) {
    optim::PlateauSchedule plateau(options);
    plateau.observe(100);
    for (int n = 1; n < 100; ++n) {
      if (plateau.observe(loss) < options.lr) return n;
    }
    return 0;
  };
  EXPECT_EQ(losses_until_reduction({}, 100), 11);
  EXPECT_EQ(losses_until_reduction({.patience = 2}, 100), 3);
  // Progress from 100 to 99.5, by the part of 1e-3 or by the whole of 1: then ten without any.
  EXPECT_EQ(losses_until_reduction({.threshold = 1e-3}, 99.5), 12);
  EXPECT_EQ(losses_until_reduction({.threshold = 1, .absolute = true}, 99.5), 11);
  EXPECT_EQ(losses_until_reduction({.threshold = 0.4, .absolute = true}, 99.5), 12);
}

TEST(Plateau, MayBeResumedBeforeItsFirstLoss) {
  const optim::PlateauSchedule fresh({.lr = 0.5});
  optim::PlateauSchedule resumed({.lr = 0.25});
  resumed.load_state(fresh.state());
  EXPECT_EQ(resumed.rate(), 0.5);
  EXPECT_EQ(resumed.observe(1e300), 0.5);  // any loss is the best so far
}

TEST(Plateau, RefusesAForeignState) {
  optim::PlateauSchedule plateau({.lr = 0.5});
  const auto refusal = [&](const Tensor& state) {
    return error_of([&] { plateau.load_state(state); });
  };
  EXPECT_EQ(refusal(Tensor::zeros({3}, DType::float64)),
            "PlateauSchedule: load_state: the state is float64(3): it must be float64(4)");
  EXPECT_EQ(refusal(Tensor::zeros({4}, DType::float32)),
            "PlateauSchedule: load_state: the state is float32(4): it must be float64(4)");
  const double nan = std::nan("");
  using Numbers = std::vector<double>;
  for (const Numbers& bad : {Numbers{nan, 1, 0, 0}, Numbers{-1, 1, 0, 0}, Numbers{1, nan, 0, 0},
                             Numbers{1, 1, -1, 0}, Numbers{1, 1, 0, 0.5}}) {
    EXPECT_EQ(refusal(Tensor({4}, bad)),
              "PlateauSchedule: load_state: the numbers are not those of a state");
  }
  EXPECT_EQ(plateau.rate(), 0.5);
}

TEST(Schedule, ChecksItsOptions) {
  using optim::ConstantSchedule, optim::CosineSchedule, optim::PlateauSchedule, optim::StepSchedule;
  EXPECT_EQ(error_of([] { ConstantSchedule(-1); }),
            "ConstantSchedule: lr is -1: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { StepSchedule({.lr = 1}); }),
            "StepSchedule: step_size is 0: it must be at least 1");
  EXPECT_EQ(error_of([] { StepSchedule({.lr = -1, .step_size = 1}); }),
            "StepSchedule: lr is -1: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { StepSchedule({.step_size = 1, .gamma = -1}); }),
            "StepSchedule: gamma is -1: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { CosineSchedule({.lr = INFINITY, .total = 1}); }),
            "CosineSchedule: lr is inf: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { CosineSchedule({.warmup = 5, .total = 5}); }),
            "CosineSchedule: total is 5: it must be above warmup, 5");
  EXPECT_EQ(error_of([] { CosineSchedule({.total = 5, .floor = 1.5}); }),
            "CosineSchedule: floor is 1.5: it must be in [0, 1]");
  EXPECT_EQ(error_of([] { CosineSchedule({.total = 5, .floor = -0.5}); }),
            "CosineSchedule: floor is -0.5: it must be in [0, 1]");
  EXPECT_EQ(error_of([] { PlateauSchedule({.lr = -1}); }),
            "PlateauSchedule: lr is -1: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { PlateauSchedule({.factor = 1}); }),
            "PlateauSchedule: factor is 1: it must be at least 0 and below 1");
  EXPECT_EQ(error_of([] { PlateauSchedule({.threshold = -1}); }),
            "PlateauSchedule: threshold is -1: it must be finite and at least 0");
  EXPECT_EQ(error_of([] { PlateauSchedule({.min_lr = std::nan("")}); }),
            "PlateauSchedule: min_lr is nan: it must be finite and at least 0");
}

}  // namespace
}  // namespace xgrad
