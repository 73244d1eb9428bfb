// Functions for which "correct" and "wrong" are not all there is to say.
#include <cmath>
#include <memory>
#include <numbers>
#include <sstream>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "error_of.hpp"
#include "mutants/planted_op.hpp"

namespace xgrad {
namespace {

using mutants::Eager;
using mutants::op;
using mutants::Vars;

Tensor vector(std::initializer_list<double> values) {
  return Tensor({static_cast<Index>(values.size())}, values, DType::float64);
}

Var draw(const Shape& shape) {
  static Generator random(5);
  return random.uniform(shape, -1, 1, DType::float64);
}

/// The verdict of the full and of the fast mode, which must agree.
template <class F>
Verdict verdict_of(F f, const std::vector<NamedVar>& inputs, GradcheckOptions options = {}) {
  const GradcheckReport report = gradcheck(f, inputs, options);
  options.fast = true;
  const GradcheckReport fast = gradcheck(f, inputs, options);
  EXPECT_EQ(report.verdict, fast.verdict) << report << fast;
  return report.verdict;
}

// ------------------------------------------------------------------------------------------ kinks

TEST(Verdicts, AKinkAtThePoint) {
  const auto with_relu = [](const Vars& in) { return relu(in[0]); };
  EXPECT_EQ(verdict_of(with_relu, {{"x", vector({-0.5, 0, 0.5})}}), Verdict::kink);
  const auto with_abs = [](const Vars& in) { return abs(in[0]); };
  EXPECT_EQ(verdict_of(with_abs, {{"x", vector({-0.5, 0, 0.5})}}), Verdict::kink);
  const auto tie = [](const Vars& in) { return maximum(in[0], in[1]); };
  EXPECT_EQ(verdict_of(tie, {{"a", vector({0.25, 1})}, {"b", vector({0.25, 2})}}), Verdict::kink);
  const auto row = [](const Vars& in) { return max(in[0]); };
  EXPECT_EQ(verdict_of(row, {{"x", vector({0.5, 0.125, 0.5})}}), Verdict::kink);
}

TEST(Verdicts, NothingIsConfirmedByNoProjectionsOrSamples) {
  const auto f = [](const Vars& in) { return Var(in[0] * in[0]); };
  const std::vector<NamedVar> x{{"x", vector({1, 2})}};
  EXPECT_EQ(error_of([&] { gradcheck(f, x, {.fast = true, .projections = 0}); }),
            "gradcheck: projections is 0: it must be at least 1");
  EXPECT_EQ(error_of([&] { gradgradcheck(f, x, {.fast = true, .projections = -1}); }),
            "gradcheck: projections is -1: it must be at least 1");
  EXPECT_EQ(error_of([&] { float32check(f, x, {.samples = 0}); }),
            "float32check: samples is 0: it must be at least 1");
}

TEST(Verdicts, AFunctionThatFailsInFloat32LeavesTheInputsAsTheyWere) {
  const Var c = vector({2, 3});
  const auto f = [&](const Vars& in) { return Var(in[0] * c); };
  EXPECT_THROW(float32check(f, {{"x", vector({1, 2})}}), Error);

  struct Scaled : nn::Module {
    explicit Scaled(Var by) : w(param("w", vector({1, 2}))), c(std::move(by)) {}
    Var operator()(const Var& x) const { return w * x * c; }
    Var w, c;
  } module(c);
  EXPECT_THROW(nn::float32check(module, vector({1, 2})), Error);
  EXPECT_EQ(module.w.dtype(), DType::float64);
  EXPECT_EQ(module.w.tensor().to_vector(), (std::vector<double>{1, 2}));
}

TEST(Verdicts, AKinkIsNamedEntryByEntry) {
  const auto report =
      gradcheck([](const Vars& in) { return relu(in[0]); }, {{"x", vector({-0.5, 0, 0.5, 0})}});
  EXPECT_TRUE(report);
  EXPECT_EQ(report["x"].kinks, 2);
  EXPECT_EQ(report["x"].worst.verdict, Verdict::kink);
}

TEST(Verdicts, AGradientThatIsNoneOfTheKinkIsWrong) {
  const auto relu_with = [](double at_zero) {
    return [at_zero](const Vars& in) {
      return op(
          {in[0]}, [](const Vars& x) { return Var(relu(x[0])); },
          [at_zero](Pullback& p) {
            p.add(0, mutants::numbers_like(p.gradient(), [at_zero](Index) { return at_zero; }) *
                         p.gradient());
          });
    };
  };
  const std::vector<NamedVar> at_kink{{"x", vector({0})}};
  EXPECT_EQ(verdict_of(relu_with(0.5), at_kink), Verdict::kink);
  EXPECT_EQ(verdict_of(relu_with(1.5), at_kink), Verdict::wrong);
  EXPECT_EQ(verdict_of(relu_with(-0.1), at_kink), Verdict::wrong);
}

TEST(Verdicts, AKinkCloseByIsNone) {
  for (const double x : {1e-1, 1e-3, 1e-5, 1e-7}) {
    for (const double sign : {1.0, -1.0}) {
      const auto f = [](const Vars& in) { return Var(relu(in[0]) + square(in[0])); };
      EXPECT_EQ(verdict_of(f, {{"x", vector({sign * x})}}), Verdict::correct) << sign * x;
      const auto half = [](const Vars& in) {
        return op(
            {in[0]}, [](const Vars& v) { return Var(relu(v[0])); },
            [](Pullback& p) { p.add(0, 0.5 * Eager(p.gradient())); });
      };
      EXPECT_EQ(verdict_of(half, {{"x", vector({sign * x})}}), Verdict::wrong) << sign * x;
    }
  }
}

/// A right gradient, with several seeds, full and fast: never wrong, and a reason where undecided.
template <class F>
void expect_never_wrong(F f, const Tensor& at) {
  const std::vector<NamedVar> x{{"x", at}};
  for (const bool fast : {false, true}) {
    for (std::uint64_t seed = 0; seed < (fast ? 8 : 2); ++seed) {
      const GradcheckReport report = gradcheck(f, x, {.fast = fast, .seed = seed});
      EXPECT_NE(report.verdict, Verdict::wrong) << report << "seed " << seed;
      EXPECT_TRUE(report || !report["x"].note.empty()) << report << "seed " << seed;
    }
  }
}

TEST(Verdicts, EntriesAtKinksBesideOthersThatAreCloseToOne) {
  const auto clipped = [](const Vars& in) { return Var(clip(in[0], -1, 1) * in[0]); };
  const auto total = [&](const Vars& in) { return sum(clipped(in)); };
  const auto size = [](const Vars& in) { return abs(in[0]); };
  const auto largest = [](const Vars& in) { return max(square(in[0])); };
  for (double d = 1e-4; d > 1e-15; d /= 10) {
    SCOPED_TRACE(d);
    expect_never_wrong(clipped, vector({1 + d, 1, -1 - d / 10, -1}));
    expect_never_wrong(total, vector({1 + d, 1, -1 - d / 10, -1}));
    expect_never_wrong(size, vector({d, 1, -d / 7, 0.3}));
    expect_never_wrong(size, vector({d, 0, -d / 7, 0.3}));
    expect_never_wrong(largest, vector({1, 1 + d, -1, -1 + d, 0.3}));
  }
  const auto half = [](const Vars& in) {
    return abs(mutants::corrupt(in[0], [](const Eager& g) { return 0.5 * g; }));
  };
  for (const double d : {1e-3, 1e-5, 1e-7}) {
    EXPECT_EQ(verdict_of(half, {{"x", vector({d, 1, -d / 7, 0.3})}}), Verdict::wrong) << d;
  }
}

TEST(Verdicts, AZeroHidesNoFaultOfOtherEntries) {
  std::vector<double> values;
  for (int i = 0; i < 64; ++i) values.push_back(std::sin(i));  // the first is 0
  const Tensor x({64}, values);
  const auto flipped = [](const Vars& in) {
    return relu(mutants::corrupt(in[0], [](const Eager& g) { return -g; }));
  };
  EXPECT_EQ(verdict_of(flipped, {{"x", x}}), Verdict::wrong);
  // Where the slope is infinite at the zero, rounding of all entries seems to be: no verdict then.
  const auto root = [](const Vars& in) {
    const Var v = mutants::corrupt(in[0], [](const Eager& g) { return -g; });
    return Var(where(abs(v) > 0.0, sqrt(abs(v)), 0.0));
  };
  const auto steep = [](const Vars& in) {
    const Var v = mutants::corrupt(in[0], [](const Eager& g) { return -g; });
    return Var(v / (abs(v) + 1e-12) + square(v));
  };
  const NamedVar few{"x", vector({0.5, 0, -0.3, 1.2})};
  EXPECT_FALSE(gradcheck(root, {few}));
  EXPECT_FALSE(gradcheck(steep, {few}));
}

TEST(Verdicts, AnEntryAtAKinkIsReportedWithinItsSides) {
  const auto report =
      gradcheck([](const Vars& in) { return relu(in[0]); }, {{"x", vector({0.5, 0, 1.2})}});
  const GradcheckInput& x = report["x"];
  EXPECT_EQ(x.verdict, Verdict::kink);
  EXPECT_LE(x.worst.error(), x.worst.tolerance);
  EXPECT_TRUE(std::isfinite(x.worst.tolerance)) << report;
  EXPECT_LT(x.detectable, 1e-6) << report;
}

TEST(Verdicts, KinksOfSeveralEntriesMayCancel) {
  // By what the tape takes at each kink, 0, which need not lie between the sides of their sum.
  const auto difference = [](const Vars& in) {
    return Var(sum(relu(slice(in[0], 0, 0, 2))) - sum(abs(slice(in[0], 0, 2, 4))));
  };
  expect_never_wrong(difference, vector({0, 0, 0, 0}));
  EXPECT_EQ(gradcheck(difference, {{"x", vector({0, 0, 0, 0})}}).verdict, Verdict::kink);
  for (double d = 1e-4; d > 1e-15; d /= 10) {
    SCOPED_TRACE(d);
    expect_never_wrong(difference, vector({d, 0, 0, -d / 3}));
  }
}

TEST(Verdicts, AKinkCloseByThatRoundingHidesAccusesNobody) {
  // Differences see the mean of both sides, clearly, as long as their steps leap over the kink.
  const auto steep = [](const Vars& in) {
    return Var(square(minimum(in[0], 1.0) + 1e6 * abs(in[0] - 0.5)));
  };
  const auto curved = [](const Vars& in) { return mean(square(in[0] + 1e6 * abs(in[0] - 2.0))); };
  const auto several = [](const Vars& in) {
    return Var(abs(in[0]) - relu(in[0] + 1.0) + abs(in[0] + 3.0));
  };
  for (const double d : {2e-7, 2e-8, 2e-9, 2e-10, 2e-11}) {
    SCOPED_TRACE(d);
    expect_never_wrong(steep, vector({1 - d}));
    expect_never_wrong(steep, vector({3e-13, 1 - d, -1, 0}));
    expect_never_wrong(curved, vector({-0.75, 0.5, 1, 2 - 150 * d, -1, 2 - d}));
    expect_never_wrong(several, vector({d / 1000, 2, -d * 100, -1, 0.5, -3 - d / 1000}));
  }
}

// --------------------------------------------------------------------------------- ill-conditioned

TEST(Verdicts, ADerivativeBelowRoundingIsIllConditioned) {
  const auto f = [](const Vars& in) { return Var(1e12 + abs(in[0])); };  // abs is not analytic
  EXPECT_EQ(verdict_of(f, {{"x", vector({0.5, 0.25})}}), Verdict::ill_conditioned);
  const auto analytic = [](const Vars& in) { return Var(1e12 + in[0]); };
  EXPECT_EQ(verdict_of(analytic, {{"x", vector({0.5, 0.25})}}), Verdict::correct);
}

TEST(Verdicts, AnInfiniteDerivativeIsNotCorrect) {
  const auto report =
      gradcheck([](const Vars& in) { return sqrt(in[0]); }, {{"x", vector({0, 1})}});
  EXPECT_EQ(report.verdict, Verdict::ill_conditioned) << report;
  // The second entry cannot be told from noise either: rounding is common to all entries.
  EXPECT_EQ(report["x"].ill_conditioned, 2);
}

TEST(Verdicts, ResultsThatAreNotFiniteCannotBeChecked) {
  const auto f = [](const Vars& in) { return log(in[0]); };
  EXPECT_EQ(verdict_of(f, {{"x", vector({-1, 1})}}), Verdict::ill_conditioned);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(verdict_of(f, {{"x", vector({nan})}}), Verdict::ill_conditioned);
}

TEST(Verdicts, AReportThatCannotDecideSaysWhy) {
  const auto hidden =
      gradcheck([](const Vars& in) { return Var(1e12 + abs(in[0])); }, {{"x", vector({0.5})}});
  EXPECT_EQ(hidden["x"].note, "rounding hides errors of the resolution that was asked for");
  const auto end = gradcheck([](const Vars& in) { return sqrt(in[0]); }, {{"x", vector({0})}});
  EXPECT_EQ(end["x"].note, "the function is not finite beside the inputs");
  std::ostringstream text;
  text << end;
  EXPECT_NE(text.str().find(end["x"].note), std::string::npos);
}

TEST(Verdicts, TheResolutionSaysWhatHasToBeSeen) {
  // What is left of x beside 1e6 is known to 1e-10.
  const auto cancels = [](const Vars& in) { return Var(((in[0] + 1e6) - 1e6) * in[0]); };
  const std::vector<NamedVar> x{{"x", vector({0.3, 0.7})}};
  EXPECT_EQ(verdict_of(cancels, x, {.resolution = 1e-3}), Verdict::correct);
  EXPECT_EQ(verdict_of(cancels, x, {.resolution = 1e-13}), Verdict::ill_conditioned);
  // In float32 beside 1000 to 1e-4.
  const auto less = [](const Vars& in) { return Var(((in[0] + 1e3) - 1e3) * in[0]); };
  EXPECT_EQ(float32check(less, x, {.resolution = 0.1}).verdict, Verdict::correct);
  EXPECT_EQ(float32check(less, x, {.resolution = 1e-6}).verdict, Verdict::ill_conditioned);
}

TEST(Verdicts, TheSeedDecidesWhatIsDrawn) {
  const auto f = [](const Vars& in) { return std::vector<Var>{tanh(in[0]), exp(in[0])}; };
  const std::vector<NamedVar> x{{"x", draw({3})}};
  const auto numeric = [&](std::uint64_t seed) {
    return gradcheck(f, x, {.seed = seed})["x"].worst.numeric;
  };
  EXPECT_EQ(numeric(1), numeric(1));
  EXPECT_NE(numeric(0), numeric(1));
  const auto bound = [&](std::uint64_t seed) {
    return float32check(f, x, {.seed = seed})["x"].largest_bound;
  };
  EXPECT_EQ(bound(1), bound(1));
  EXPECT_NE(bound(0), bound(1));
}

TEST(Verdicts, ASweepsStepsFollowTheSizeOfTheInput) {
  const auto f = [](const Vars& in) { return Var(in[0] * in[0]); };
  const auto first_step = [&](double x) {
    const auto report = gradcheck(f, {{"x", vector({x})}}, {.sweep = true});
    return report["x"].sweep.at(0).step;
  };
  EXPECT_EQ(first_step(1.5), 1);
  EXPECT_EQ(first_step(1e6), 0x1p19);
}

TEST(Verdicts, TheIndexOfAWrongEntryIsThatOfTheArray) {
  for (const Index entry : {1, 3, 5}) {
    const auto f = [entry](const Vars& in) {
      return mutants::corrupt(tanh(Eager(in[0])), [entry](const Eager& g) -> Var {
        return Var(g.var() + Var(mutants::unit_like(g.var(), entry)));
      });
    };
    const auto report = gradcheck(f, {{"x", draw({2, 3})}});
    ASSERT_EQ(report["x"].wrong, 1) << report;
    EXPECT_EQ(report["x"].worst.index, (Shape{entry / 3, entry % 3}));
  }
}

TEST(Verdicts, AGradientOfNaNIsTheWorst) {
  const auto f = [](const Vars& in) {
    return mutants::corrupt(tanh(Eager(in[0])), [](const Eager& g) -> Var {
      const Var off = vector({1e10, 0, std::nan(""), 1e20});
      return Var(g.var() + off);
    });
  };
  const auto report = gradcheck(f, {{"x", draw({4})}});
  EXPECT_EQ(report["x"].wrong, 3) << report;
  EXPECT_EQ(report["x"].worst.index, (Shape{2}));
  EXPECT_TRUE(std::isnan(report["x"].worst.analytic));
}

TEST(Verdicts, AFunctionWhoseResultsChangeIsRefused) {
  for (const Index second : {2, 4}) {
    int calls = 0;
    const auto f = [&](const Vars& in) {
      return Var(slice(in[0], 0, 0, ++calls == 1 ? 3 : second));
    };
    EXPECT_NE(error_of([&] {
                gradcheck(f, {{"x", draw({5})}});
              }).find("gave 3 numbers before and gives " + std::to_string(second) + " now"),
              std::string::npos);
  }
}

TEST(Verdicts, AReportSaysWhereThereAreKinks) {
  std::ostringstream text;
  text << gradcheck([](const Vars& in) { return Var(relu(in[0])); }, {{"x", vector({-1, 0, 2})}});
  EXPECT_NE(text.str().find("at a kink in 1 of 3 entries"), std::string::npos) << text.str();
}

TEST(Verdicts, SumsOfProductsCountTheirTerms) {
  const auto product = [](const Vars& in) { return matmul(in[0], in[1]); };
  const auto sum_onto = [](const Vars& in) { return affine(in[0], in[1], in[2]); };
  const NamedVar x{"x", draw({4, 1000})}, W{"W", draw({1000, 3})}, b{"b", draw({3})};
  EXPECT_EQ(float32check(product, {x, W}).longest_reduction, 1000);
  EXPECT_EQ(float32check(sum_onto, {x, W, b}).longest_reduction, 1000);
}

// ------------------------------------------------------------------------- right, but hard to see

/// A right gradient at one number, full and fast: never wrong.
template <class F>
void expect_not_wrong(F f, double at) {
  const std::vector<NamedVar> x{{"x", vector({at})}};
  for (const bool fast : {false, true}) {
    const GradcheckReport first = gradcheck(f, x, {.fast = fast});
    EXPECT_NE(first.verdict, Verdict::wrong) << at << '\n' << first;
    EXPECT_TRUE(first || !first["x"].note.empty()) << first;
    const GradcheckReport second = gradgradcheck(f, x, {.fast = fast});
    EXPECT_NE(second.verdict, Verdict::wrong) << at << '\n' << second;
  }
}

TEST(Verdicts, SaturatedUnitsAreNotWrong) {
  for (const double at : {15.0, 18.0, 20.0, -20.0, 30.0, 38.0, 40.0, 100.0}) {
    expect_not_wrong([](const Vars& in) { return Var(tanh(in[0])); }, at);
    expect_not_wrong([](const Vars& in) { return Var(sigmoid(in[0])); }, at);
    expect_not_wrong([](const Vars& in) { return Var(softplus(in[0])); }, at);
    expect_not_wrong([](const Vars& in) { return softmax(concat({in[0], vector({0})}), 0); }, at);
    expect_not_wrong(
        [](const Vars& in) {
          return log_softmax(concat({in[0], vector({0})}), 0);
        },
        at);
    expect_not_wrong(
        [](const Vars& in) {
          const Var one = Tensor::full({1}, 1, in[0].dtype());
          return binary_cross_entropy_with_logits(in[0], one);
        },
        at);
  }
}

TEST(Verdicts, SaturatedCellsAreNotWrong) {
  Generator random(3);
  for (const double deviation : {30.0, 100.0, 1000.0}) {
    for (int k = 0; k < 5; ++k) {
      const Var x = random.normal({2, 3}, 0, deviation);
      const Var h = random.normal({2, 4}, 0, 1);
      const Var c = random.normal({2, 4}, 0, 1);
      nn::LSTMCell lstm(3, 4);
      nn::GRUCell gru(3, 4);
      nn::RNNCell rnn(3, 4);
      EXPECT_NE(gradcheck(lstm, x, {h, c}).verdict, Verdict::wrong) << deviation;
      EXPECT_NE(gradcheck(gru, x, {h}).verdict, Verdict::wrong) << deviation;
      EXPECT_NE(gradcheck(rnn, x, {h}).verdict, Verdict::wrong) << deviation;
    }
  }
}

TEST(Verdicts, CloseToASingularityStepsThatLeapOverItProveNothing) {
  const auto logarithm = [](const Vars& in) { return Var(log(abs(in[0]))); };
  const auto power = [](const Vars& in) { return Var(pow(abs(in[0]), 0.3)); };
  const auto beside_1 = [](const Vars& in) { return Var(log(abs(in[0] - 1.0))); };
  for (const double at : {1e-3, 1e-5, 1e-7, 1e-8, -1e-8}) {
    EXPECT_EQ(verdict_of(logarithm, {{"x", vector({at})}}), Verdict::correct) << at;
    EXPECT_EQ(verdict_of(power, {{"x", vector({at})}}), Verdict::correct) << at;
  }
  for (const double at : {1e-3, 1e-6, 1e-9, 1e-12}) {
    expect_not_wrong(logarithm, at);
    expect_not_wrong(power, at);
    expect_not_wrong(beside_1, 1 + at);
  }
  // A wrong one is wrong there, too.
  const auto twice = [](const Vars& in) {
    return mutants::corrupt(in[0], [](const Eager& g) { return 2.0 * g; });
  };
  const auto wrong = [&](const Vars& in) { return Var(log(abs(twice(in)))); };
  EXPECT_EQ(verdict_of(wrong, {{"x", vector({1e-8})}}), Verdict::wrong);
}

TEST(Verdicts, StepsThatRoundingKeepsFromATinyInputProveNothing) {
  const auto root = [](const Vars& in) { return Var(sqrt(abs(in[0]))); };
  const auto power = [](const Vars& in) { return Var(pow(abs(in[0]), 0.3)); };
  const auto total = [&](const Vars& in) { return sum(root(in)); };
  for (const double tiny : {1e-150, 1e-40, 1e-20, 1e-14}) {
    for (const double huge : {1e150, 1e100, 1e10, 1.0}) {
      const Tensor at = vector({tiny, huge, -1, 1e-5});
      expect_never_wrong(root, at);
      expect_never_wrong(power, at);
      expect_never_wrong(total, at);
    }
  }
  const auto kinked = [](const Vars& in) { return Var(1.0 + abs(in[0]) - relu(in[0] - 1e-20)); };
  expect_never_wrong(kinked, vector({5e-21}));
  const auto report = gradcheck(root, {{"x", vector({1e-150, 1e150, -1, 1e-5})}});
  EXPECT_EQ(report["x"].note, "rounding hides differences whose steps are smaller than the inputs");
}

TEST(Verdicts, NoStepIsShorterThanAUnitInTheLastPlace) {
  // The second derivative of |sum| is that of a step, whose differences go on to grow.
  const auto f = [](const Vars& in) { return Var(sqrt(sum(square(in[0]))) + abs(sum(in[0]))); };
  for (const double d : {1e-2, 1e-3, 1e-5, 1e-6}) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const auto report = gradgradcheck(f, {{"x", vector({d, -d, d / 3, -d / 3})}}, {.seed = seed});
      EXPECT_NE(report.verdict, Verdict::wrong) << report;
    }
  }
}

TEST(Verdicts, StepsThatAreTooLargeForANumberEnd) {
  const auto angle = [](const Vars& in) {
    return Var(atan2(slice(in[0], 0, 0, 2), slice(in[0], 0, 2, 4)));
  };
  const std::vector<NamedVar> x{{"x", vector({1e300, -1e300, 2e300, 5e299})}};
  for (const bool fast : {false, true}) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      EXPECT_NE(gradcheck(angle, x, {.fast = fast, .seed = seed}).verdict, Verdict::wrong);
    }
  }
}

TEST(Verdicts, RoundingThatComesInSteps) {
  // 1 + x is a few multiples of the roundoff: its neighbours round alike.
  for (const double at : {1e-16, 3e-16, 1e-15, 1e-14, 1e-12}) {
    expect_not_wrong([](const Vars& in) { return Var(log(1.0 + in[0])); }, at);
    expect_not_wrong([](const Vars& in) { return Var(log(1.0 + abs(in[0]))); }, at);
    expect_not_wrong([](const Vars& in) { return Var(sqrt(1.0 - square(1.0 - in[0]))); }, at);
  }
}

/// Whose 1 + erf cancels where no model of rounding can see it.
struct NormalDistribution {
  static constexpr const char* name = "normal_distribution";
  static constexpr bool analytic = false;
  static auto value(auto x) { return 0.5 * (1.0 + erf(0.75 * x)); }
  static auto pullback(auto g, auto, auto x) {
    return g * (detail::number(x, 0.375 * 2 * std::numbers::inv_sqrtpi) * exp(-0.5625 * x * x));
  }
};

TEST(Verdicts, RoundingInsideOfAnOpThatComesInSteps) {
  const auto f = [](const Vars& in) { return Var(pointwise<NormalDistribution>(in[0])); };
  for (const double at : {-1.0, -3.0, -5.0, -5.5, -6.0, -6.5, -7.0, -7.5, -8.0, -8.2}) {
    const std::vector<NamedVar> x{{"x", vector({at})}};
    for (const bool fast : {false, true}) {
      const GradcheckReport report = gradcheck(f, x, {.fast = fast});
      EXPECT_NE(report.verdict, Verdict::wrong) << at << '\n' << report;
    }
  }
  // It excuses no fault where the results are flat.
  const auto leaky = [](const Vars& in) {
    return op(
        {in[0]}, [](const Vars& x) { return Var(relu(x[0])); },
        [](Pullback& p) { p.add(0, 1e-6 * Eager(p.gradient())); });
  };
  const auto twice = [&](const Vars& in) { return Var(clip(leaky(in), -1, 1)); };
  EXPECT_EQ(verdict_of(twice, {{"x", vector({-0.5})}}), Verdict::wrong);
}

TEST(Verdicts, APullbackMayCompareTheResultWithTheInput) {
  // The model of rounding moves the result: that is no rounding error of the gradient.
  const auto largest = [](const Vars& in) {
    return op(
        {in[0]}, [](const Vars& x) { return max(x[0]); },
        [](Pullback& p) {
          const Var chosen = equal(p.input(0), p.output());
          p.add(0, Eager(p.gradient()) * chosen / sum(chosen));
        });
  };
  EXPECT_EQ(verdict_of(largest, {{"x", vector({0.5, 0.25, -1})}}), Verdict::correct);
}

TEST(Verdicts, AnOpMayDrawRandomNumbers) {
  const auto masked = [](const Vars& in) {
    const auto random = std::make_shared<Generator>(3);
    return op(
        {in[0]},
        [=](const Vars& x) {
          return Eager(x[0]) *
                 mutants::numbers_like(x[0], [&](Index) { return random->uniform(); });
        },
        [](Pullback& p) {
          Generator again(3);
          p.add(0, Eager(p.gradient()) *
                       mutants::numbers_like(p.gradient(), [&](Index) { return again.uniform(); }));
        });
  };
  EXPECT_EQ(verdict_of(masked, {{"x", draw({7})}}), Verdict::correct);
  EXPECT_TRUE(float32check(masked, {{"x", draw({7})}}));
}

TEST(Verdicts, WhatFloat32CannotHoldIsIllConditionedThere) {
  const auto f = [](const Vars& in) { return exp(in[0]); };
  const std::vector<NamedVar> x{{"x", vector({100})}};
  EXPECT_EQ(gradcheck(f, x).verdict, Verdict::correct);
  EXPECT_EQ(float32check(f, x).verdict, Verdict::ill_conditioned);
  const auto inverse = [](const Vars& in) { return log(exp(in[0])); };
  EXPECT_NE(float32check(inverse, {{"x", vector({-88})}}).verdict, Verdict::wrong);
}

TEST(Verdicts, WhatIsNaNInFloat32IsTheWorstOfAll) {
  // Wrong in float32 alone: entry 0 by much, entry 2 NaN, entry 3 by more.
  const auto f = [](const Vars& in) {
    const bool float32 = in[0].dtype() == DType::float32;
    const Tensor off = float32 ? Tensor({4}, {1e10, 0.0, std::nan(""), 1e20}, DType::float32)
                               : Tensor::zeros({4}, DType::float64);
    return Var(tanh(in[0]) + off);
  };
  const auto report = float32check(f, {{"x", draw({4})}});
  ASSERT_EQ(report.results[0].verdict, Verdict::wrong) << report;
  EXPECT_EQ(report.results[0].wrong, 3);
  EXPECT_EQ(report.results[0].index, (Shape{2}));
  EXPECT_TRUE(std::isnan(report.results[0].float32));
  EXPECT_TRUE(std::isnan(report.results[0].error));
  EXPECT_FALSE(report);
}

TEST(Verdicts, DerivativesAlongTheAxesMayBeNoGradient) {
  // At 0 no entry changes this alone, but two of them together do: it has a kink along diagonals.
  const auto f = [](const Vars& in) {
    return Var(minimum(abs(in[0][0]), abs(in[0][1])) + 3.0 * in[0][0] + in[0][1]);
  };
  const auto report = gradcheck(f, {{"x", vector({0, 0})}});
  EXPECT_EQ(report["x"].wrong, 0) << report;
  EXPECT_EQ(report["x"].kinks, 0) << report;
  EXPECT_EQ(report["x"].verdict, Verdict::ill_conditioned) << report;
  EXPECT_EQ(report["x"].note, "the Taylor remainder contradicts the other oracles");
  EXPECT_FALSE(report);
}

// -------------------------------------------------------------------------------- zero and vacuous

TEST(Verdicts, ZeroIsConfirmedWhereAPathLeadsThere) {
  const auto flat = [](const Vars& in) { return Var(0.0 * in[0] + in[1]); };
  const auto report = gradcheck(flat, {{"x", draw({2})}, {"y", draw({2})}});
  EXPECT_EQ(report["x"].verdict, Verdict::zero) << report;
  EXPECT_EQ(report.verdict, Verdict::correct);
  EXPECT_TRUE(report);
  const auto step = [](const Vars& in) { return Var(clip(in[0], 5, 6)); };
  EXPECT_EQ(verdict_of(step, {{"x", draw({3})}}), Verdict::zero);
}

TEST(Verdicts, WithoutAPathNothingIsTested) {
  const auto ignores = [](const Vars& in) { return tanh(in[0]); };
  EXPECT_EQ(verdict_of(ignores, {{"x", draw({2})}, {"y", draw({2})}}), Verdict::vacuous);
  const auto constant = [](const Vars&) { return vector({1, 2}); };
  EXPECT_EQ(verdict_of(constant, {{"x", draw({2})}}), Verdict::vacuous);
  const auto no_results = [](const Vars&) { return Vars(); };
  EXPECT_EQ(verdict_of(no_results, {{"x", draw({2})}}), Verdict::vacuous);
  const auto no_entries = [](const Vars& in) { return sum(in[0]); };
  EXPECT_EQ(verdict_of(no_entries, {{"x", Tensor::zeros({0, 2})}}), Verdict::vacuous);
}

TEST(Verdicts, OneEmptyInputBesideAnotherIsVacuous) {
  const auto f = [](const Vars& in) { return concat({in[0], in[1]}); };
  const auto report = gradcheck(f, {{"x", draw({2})}, {"none", Tensor::zeros({0})}});
  EXPECT_EQ(report["x"].verdict, Verdict::correct);
  EXPECT_EQ(report["none"].verdict, Verdict::vacuous);
  EXPECT_FALSE(report);
}

// ------------------------------------------------------------------------------------- randomness

TEST(Verdicts, AFunctionThatCountsItsCallsIsNotDeterministic) {
  int calls = 0;
  const auto f = [&calls](const Vars& in) { return Var(static_cast<double>(++calls) * in[0]); };
  EXPECT_EQ(verdict_of(f, {{"x", draw({2})}}), Verdict::not_deterministic);
}

TEST(Verdicts, AGeneratorMustBeGivenUnlessItIsTheDefault) {
  Generator own(7);
  const auto f = [&own](const Vars& in) { return dropout(in[0], 0.5, own); };
  const std::vector<NamedVar> inputs{{"x", draw({4, 4})}};
  EXPECT_EQ(verdict_of(f, inputs), Verdict::not_deterministic);
  GradcheckOptions options;
  options.generators = {&own};
  EXPECT_EQ(verdict_of(f, inputs, options), Verdict::correct);
  EXPECT_EQ(float32check(f, inputs, {.generators = {&own}}).verdict, Verdict::correct);
  const auto by_default = [](const Vars& in) { return dropout(in[0], 0.5); };
  EXPECT_EQ(verdict_of(by_default, inputs), Verdict::correct);
  const auto curved = [](const Vars& in) { return dropout(tanh(in[0]), 0.5); };
  EXPECT_TRUE(gradgradcheck(curved, inputs));
}

TEST(Verdicts, GeneratorsGoOnWhereTheyWere) {
  default_generator() = Generator(9);
  const double expected = Generator(9).uniform();
  EXPECT_TRUE(gradcheck([](const Vars& in) { return dropout(in[0], 0.5); }, {{"x", draw({8})}}));
  EXPECT_EQ(default_generator().uniform(), expected);
}

// ------------------------------------------------------------------------------ inputs and results

TEST(Verdicts, IntegersAreCaptured) {
  const Indices words({2, 2}, {3, 0, 3, 1});
  const auto f = [&](const Vars& in) { return embedding(in[0], words); };
  const auto report = gradcheck(f, {{"table", draw({4, 3})}});
  EXPECT_TRUE(report);
  EXPECT_EQ(report["table"].entries, 12);  // row 2 is in no result
}

TEST(Verdicts, ConstantsAreGivenButNotChecked) {
  const auto f = [](const Vars& in) { return Var(where(in[1], in[0], 2.0 * in[0])); };
  const auto report = gradcheck(f, {{"x", draw({3})}, {"mask", vector({0, 1, 1}), true}});
  EXPECT_EQ(report.verdict, Verdict::correct) << report;
  EXPECT_EQ(report.inputs.size(), 1U);
  EXPECT_EQ(gradgradcheck(f, {{"x", draw({3})}, {"mask", vector({0, 1, 1}), true}}).inputs.size(),
            2U);  // x and the covector
}

TEST(Verdicts, SeveralInputsAndResultsOfDifferentShapes) {
  const auto f = [](const Vars& in) -> Vars {
    const Var product = matmul(in[0], in[1]);
    return {product, sum(product, {0}), Var(in[2] * mean(product))};
  };
  const std::vector<NamedVar> inputs{{"a", draw({2, 3})}, {"b", draw({3, 2})}, {"c", draw({})}};
  EXPECT_EQ(verdict_of(f, inputs), Verdict::correct);
  const auto one_cut = [&](const Vars& in) -> Vars {  // only through the third result
    Vars results = f(in);
    results[2] = detach(results[2]);
    return results;
  };
  EXPECT_EQ(verdict_of(one_cut, inputs), Verdict::wrong);
}

TEST(Verdicts, AScalarAndASingleEntry) {
  EXPECT_EQ(verdict_of([](const Vars& in) { return exp(in[0]); }, {{"x", draw({})}}),
            Verdict::correct);
  EXPECT_EQ(verdict_of([](const Vars& in) { return exp(in[0]); }, {{"x", draw({1, 1})}}),
            Verdict::correct);
}

TEST(Verdicts, InputsOfAnySize) {
  const auto f = [](const Vars& in) { return Var(in[0] * in[0]); };
  EXPECT_EQ(verdict_of(f, {{"x", vector({1e-12, 1e-6, 1, 1e6, 1e12})}}), Verdict::correct);
}

TEST(Verdicts, NoiseIsNoExcuseForFloat32) {
  // An entry's last bit as float32 changes while rounding is measured.
  const auto f = [](const Vars& in) {
    return mutants::corrupt(tanh(Eager(in[0])), [](const Eager& g) -> Var {
      return g.var().tensor().to(DType::float32).to(g.var().dtype());
    });
  };
  Generator random(21);
  for (int i = 0; i < 5; ++i) {
    const Var x = random.uniform({400}, -1, 1, DType::float64);
    EXPECT_EQ(verdict_of(f, {{"x", x}}), Verdict::wrong);
  }
}

}  // namespace
}  // namespace xgrad
