// The numerical oracles of gradcheck against derivatives that are known.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/verify/oracles.hpp>

namespace xgrad::detail {
namespace {

constexpr double epsilon = 2.2e-16;

struct Known {
  std::string name;
  std::function<double(double)> f;
  std::function<double(double)> derivative;
  std::vector<double> at;
};

std::vector<Known> known_functions() {
  return {
      {"sin",
       [](double x) { return std::sin(x); },
       [](double x) { return std::cos(x); },
       {0, 1, 50}},
      {"exp",
       [](double x) { return std::exp(x); },
       [](double x) { return std::exp(x); },
       {-20, 1, 20}},
      {"log",
       [](double x) { return std::log(x); },
       [](double x) { return 1 / x; },
       {1e-8, 1e-3, 2, 1e6}},
      {"tanh",
       [](double x) { return std::tanh(x); },
       [](double x) { return 1 - std::tanh(x) * std::tanh(x); },
       {0, 0.3, 4}},
      {"1/x",
       [](double x) { return 1 / x; },
       [](double x) { return -1 / (x * x); },
       {1e-4, -0.1, 3}},
      {"sin(100 x)",
       [](double x) { return std::sin(100 * x); },
       [](double x) { return 100 * std::cos(100 * x); },
       {0, 0.7}},
      {"x^3", [](double x) { return x * x * x; }, [](double x) { return 3 * x * x; }, {0, 1, -7}},
      {"constant", [](double) { return 0.1; }, [](double) { return 0.0; }, {0, 3}},
      {"relu near its kink",
       [](double x) { return x > 0 ? x : 0; },
       [](double x) { return x > 0 ? 1.0 : 0.0; },
       {1e-5, -1e-5, 0.03}},
  };
}

Line line_through(const std::function<double(double)>& f, double x) {
  const auto at = [f, x](double t) -> Line::Point { return {(x + t) - x, {f(x + t)}}; };
  return {at, std::exp2(std::floor(std::log2(std::max(1.0, std::abs(x)))))};
}

/// Calls check(contraction of f alone at x).
template <class Check>
void with_contraction(const std::function<double(double)>& f, double x, Check&& check) {
  const std::vector<double> covector{1};
  const std::vector<double> origin{f(x)};
  check(Contraction{covector, origin, epsilon * std::max(std::abs(origin[0]), 1e-300)});
}

TEST(Oracles, ExtrapolatedDifferencesKnowTheirError) {
  for (const Known& known : known_functions()) {
    for (const double x : known.at) {
      SCOPED_TRACE(known.name + " at " + std::to_string(x));
      const double truth = known.derivative(x);
      with_contraction(known.f, x, [&](const Contraction& f) {
        const double goal = 1e-9 * std::abs(truth);
        const Estimate estimate = extrapolated_difference(line_through(known.f, x), f, goal);
        EXPECT_LE(std::abs(estimate.value - truth), 10 * estimate.error);
        EXPECT_LE(estimate.error, 1e-6 * std::max({std::abs(truth), std::abs(known.f(x)), 1e-9}));
        EXPECT_EQ(find_kink(line_through(known.f, x), f).place, Kink::Place::nowhere);
      });
    }
  }
}

TEST(Oracles, NothingConvergesWhereTheFunctionHasNoDerivative) {
  const auto root = [](double x) { return std::sqrt(x); };
  with_contraction(root, 0, [&](const Contraction& f) {
    EXPECT_FALSE(std::isfinite(extrapolated_difference(line_through(root, 0), f, 1e-9).error));
  });
}

TEST(Oracles, AKinkHasTheDerivativesOfBothSides) {
  const auto kinked = [](double x) { return x > 0.5 ? 3 * x : x + 1 + std::sin(x - 0.5); };
  with_contraction(kinked, 0.5, [&](const Contraction& f) {
    const Line line = line_through(kinked, 0.5);
    EXPECT_TRUE(extrapolated_difference(line, f, 1e-9).jump_stays);
    const Kink kink = find_kink(line, f);
    ASSERT_EQ(kink.place, Kink::Place::at_x);
    EXPECT_NEAR(kink.lower, 2, 0.01);
    EXPECT_NEAR(kink.upper, 3, 0.01);
  });
  const auto step = [](double x) { return x > 0 ? 1.0 : 0.0; };
  with_contraction(step, 0, [&](const Contraction& f) {
    EXPECT_EQ(find_kink(line_through(step, 0), f).place, Kink::Place::close_by);
  });
  const auto curved = [](double x) { return 1e3 * x * x; };
  with_contraction(curved, 0, [&](const Contraction& f) {
    EXPECT_EQ(find_kink(line_through(curved, 0), f).place, Kink::Place::nowhere);
  });
}

TEST(Oracles, AKinkIsOneWhateverItsSizeAndWhereverItStands) {
  for (int i = 0; i < 100; ++i) {
    const double scale = std::exp(0.1 * (i - 50)) * (i % 2 == 0 ? 1 : -1);
    for (const double offset : {0.0, 0.1, -1.0, 3.7, 20.0}) {
      const auto leaky = [=](double x) { return (x > 0 ? x : 0.01 * x) * scale + offset; };
      with_contraction(leaky, 0, [&](const Contraction& f) {
        const Kink kink = find_kink(line_through(leaky, 0), f);
        EXPECT_EQ(kink.place, Kink::Place::at_x) << scale << ", " << offset;
        const double reserve = 2 * (1e-3 + 1e-2) * std::abs(scale);  // as below
        EXPECT_NEAR(kink.lower, std::min(scale, 0.01 * scale), reserve);
        EXPECT_NEAR(kink.upper, std::max(scale, 0.01 * scale), reserve);
      });
    }
  }
}

TEST(Oracles, AKinkCloseToXLeavesTheStepsAndOneAtXStays) {
  for (const double d : {1e-5, 1e-7, 1e-9}) {
    const auto beside = [d](double x) { return 3 * std::abs(x - d); };
    with_contraction(beside, 0, [&](const Contraction& f) {
      EXPECT_EQ(find_kink(line_through(beside, 0), f).place, Kink::Place::nowhere) << d;
    });
    const auto both = [&](double x) { return std::abs(x) + beside(x); };
    with_contraction(both, 0, [&](const Contraction& f) {
      const Kink kink = find_kink(line_through(both, 0), f);
      EXPECT_EQ(kink.place, Kink::Place::at_x) << d;
      const double reserve = 2 * (1e-3 + 1e-2);  // of the jump: a part, and noise where it is seen
      EXPECT_NEAR(kink.lower, -4, reserve);
      EXPECT_NEAR(kink.upper, -2, reserve);
    });
  }
  // Rounding soon hides what remains when the one at 1e-7 is left behind.
  const auto hidden = [](double x) { return 1e4 + 1e-2 * std::abs(x) + std::abs(x - 1e-7); };
  with_contraction(hidden, 0, [&](const Contraction& f) {
    EXPECT_EQ(find_kink(line_through(hidden, 0), f).place, Kink::Place::hidden);
  });
}

TEST(Oracles, KinksOfSeveralResultsDoNotCancel) {
  const Line line{[](double t) -> Line::Point { return {t, {std::abs(t), std::abs(t)}}; }};
  const std::vector<double> covector{1, -1};
  const std::vector<double> origin{0, 0};
  const Kink kink = find_kink(line, Contraction{covector, origin, epsilon});
  EXPECT_EQ(kink.place, Kink::Place::at_x);
  EXPECT_LE(kink.lower, -2);
  EXPECT_GE(kink.upper, 2);
}

TEST(Oracles, StepsEndWhereTheyRoundToOthers) {
  const double x = 1e-6;
  const auto sign = [x](double y) { return y > x ? 1.0 : y < x ? -1.0 : 0.0; };
  with_contraction(sign, x, [&](const Contraction& f) {
    for (const double shrink : {1.0, 0x1p33, 3 * 0x1p33}) {
      const Estimate estimate = extrapolated_difference(line_through(sign, x), f, 1e-9, shrink);
      EXPECT_FALSE(estimate.error < 1e-3 * std::abs(estimate.value)) << shrink;
    }
  });
}

TEST(Oracles, TaylorRemainderFallsWithTheSquareOrNot) {
  for (const Known& known : known_functions()) {
    for (const double x : known.at) {
      SCOPED_TRACE(known.name + " at " + std::to_string(x));
      const double truth = known.derivative(x);
      const double rounding = epsilon * std::abs(truth);
      with_contraction(known.f, x, [&](const Contraction& f) {
        const Line line = line_through(known.f, x);
        EXPECT_NE(taylor_remainder(line, f, truth, rounding).verdict, Verdict::wrong);
      });
    }
  }
  const auto f = [](double x) { return std::sin(x); };
  with_contraction(f, 1, [&](const Contraction& sine) {
    const TaylorRemainder right = taylor_remainder(line_through(f, 1), sine, std::cos(1), 1e-16);
    EXPECT_EQ(right.verdict, Verdict::correct);
    EXPECT_NEAR(right.slope, 2, 0.05);
    EXPECT_GT(right.decades, 6);
    const TaylorRemainder wrong =
        taylor_remainder(line_through(f, 1), sine, 1.001 * std::cos(1), 1e-16);
    EXPECT_EQ(wrong.verdict, Verdict::wrong);
    EXPECT_NEAR(wrong.slope, 1, 0.1);
  });
}

TEST(Oracles, NoiseIsMeasured) {
  // A smooth function with an error of known size on top.
  for (const double size : {1e-15, 1e-10}) {
    std::vector<double> values;
    std::uint32_t state = 1;
    for (int i = 0; i < 200; ++i) {
      state = state * 1664525u + 1013904223u;
      const double uniform = state / 4294967296.0 - 0.5;  // of variance 1/12
      values.push_back(0.3 + 1e-12 * i + size * uniform * std::sqrt(12.0));
    }
    EXPECT_GT(rounding_noise(values), 0.7 * size);
    EXPECT_LT(rounding_noise(values), 1.4 * size);
  }
  EXPECT_EQ(rounding_noise(std::vector<double>{1, 2, 3, 4, 5, 6, 7}), 0);
}

}  // namespace
}  // namespace xgrad::detail
