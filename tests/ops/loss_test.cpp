#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/flight_recorder.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "ops/op_rows.hpp"
#include "ops/reference_case.hpp"
#include "reference/declarations.hpp"
#include "reference/reference.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

using Parameters = std::span<const Var>;
constexpr Reduction all_reductions[] = {Reduction::mean, Reduction::sum, Reduction::none};

Reduction reduction_of(const std::string& name) {
  const std::string text = reference("ops.json").at(name).at("options").at("reduction");
  if (text == "mean") return Reduction::mean;
  return text == "sum" ? Reduction::sum : Reduction::none;
}

/// A group of reference cases.
struct Group {
  const char* name;  ///< in ops.json
  OpRow op;
  bool complex;
  double magnitude;  ///< of the terms that cancel in the gradient or, in PyTorch, in the value
  /// The same for float32: probability and target, both of up to 1 and rounded, may nearly cancel.
  double float_magnitude;
  std::function<Var(const Arguments&, Reduction)> value;
};

void PrintTo(const Group& group, std::ostream* stream) { *stream << group.name; }

std::vector<Group> groups() {
  using A = const Arguments&;
  const auto row = [](const char* op) { return OpRow(op); };
  const auto huber_of = [](A a, Reduction r) {
    return huber(a["prediction"], a["target"], a.number("delta"), r);
  };
  return {
      {"mse", row("mse"), true, 0, 0,
       [](A a, Reduction r) { return mse(a["prediction"], a["target"], r); }},
      {"mae", row("mae"), false, 0, 0,
       [](A a, Reduction r) { return mae(a["prediction"], a["target"], r); }},
      {"huber", row("huber"), false, 0, 0, huber_of},
      {"huber_0.5", row("huber"), false, 0, 0, huber_of},
      {"huber_2.5", row("huber"), false, 0, 0, huber_of},
      {"binary_cross_entropy_with_logits", row("binary_cross_entropy_with_logits"), true, 1e-28,
       0.05,
       [](A a, Reduction r) {
         return binary_cross_entropy_with_logits(a["logits"], a["target"], r);
       }},
      {"cross_entropy", row("cross_entropy"), true, 1e-2, 0.05,
       [](A a, Reduction r) {
         return cross_entropy(a["logits"], a.indices.at("target"),
                              {.ignore_index = a.integer("ignore_index"),
                               .label_smoothing = a.number("label_smoothing"),
                               .reduction = r});
       }},
      {"cross_entropy_weighted", row("cross_entropy"), true, 1e-2, 0.05,
       [](A a, Reduction r) {
         return cross_entropy(a["logits"], a.indices.at("target"),
                              {.ignore_index = a.integer("ignore_index"),
                               .label_smoothing = a.number("label_smoothing"),
                               .reduction = r,
                               .class_weights = a.options.at("class_weights")});
       }},
      {"cross_entropy_soft", row("cross_entropy"), true, 1e-2, 0.05,
       [](A a, Reduction r) {
         return cross_entropy(
             a["logits"], a["target"],
             {.label_smoothing = a.number("label_smoothing"),
              .reduction = r,
              .class_weights =
                  a.has("class_weights") ? a.options.at("class_weights") : std::vector<double>()});
       }},
  };
}

class LossReference : public ::testing::TestWithParam<Group> {};

TEST_P(LossReference, ValuesAndGradients) {
  const Group& group = GetParam();
  const std::vector<std::string> cases = cases_of(group.name);
  ASSERT_FALSE(cases.empty());
  for (const std::string& name : cases) {
    // NaN there at infinite logits: see BinaryCrossEntropyOfInfiniteLogits.
    if (name == "binary_cross_entropy_with_logits/special") continue;
    check_case(name,
               [&](const Arguments& a) { return std::vector{group.value(a, reduction_of(name))}; },
               {.sums = 2,
                .magnitude = group.magnitude,
                .float_magnitude = group.float_magnitude,
                .complex = group.complex});
  }
}

INSTANTIATE_TEST_SUITE_P(All, LossReference, ::testing::ValuesIn(groups()), [](const auto& group) {
  std::string name = group.param.name;
  for (char& c : name) c = std::isalnum(c) ? c : '_';
  return name;
});

TEST(Loss, BinaryCrossEntropyOfInfiniteLogits) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = parameter(Tensor({6}, {-inf, -inf, -inf, inf, inf, inf}, dtype));
    const Var t = Tensor({6}, {0, 0.5, 1, 0, 0.5, 1}, dtype);
    Tape tape;
    const Var y = binary_cross_entropy_with_logits(x, t, Reduction::none);
    EXPECT_EQ(y.tensor().to_vector(), (std::vector<double>{0, inf, inf, inf, inf, 0}));
    tape.backward(sum(y));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{0, -0.5, -1, 1, 0.5, 0}));

    const double nan = std::nan("");
    const Var no_number = Tensor({3}, {nan, nan, 1}, dtype);
    const Var target = Tensor({3}, {0, 1, nan}, dtype);
    for (const double z : binary_cross_entropy_with_logits(no_number, target, Reduction::none)
                              .tensor()
                              .to_vector()) {
      EXPECT_TRUE(std::isnan(z));
    }
  }
}

// A loss, a reduction or an option without a reference fails, and so does a reference that no group
// compares with.
TEST(LossReference, EveryLossHasCasesOfAllItsOptions) {
  const std::filesystem::path root = std::filesystem::path(XGRAD_TESTS_DIR).parent_path();
  const std::regex detail("namespace detail[^]*// namespace detail");
  const std::string header = std::regex_replace(text_of(root / "ops" / "loss.hpp"), detail, "");
  Declarations declared;
  add_declarations(header, declared);
  std::set<std::string> losses;
  const std::regex function("\nVar (\\w+)\\(");
  for (std::sregex_iterator i(header.begin(), header.end(), function), none; i != none; ++i) {
    losses.insert((*i)[1]);
  }
  EXPECT_TRUE(losses.contains("mse") && losses.contains("cross_entropy"));
  std::set<std::string> compared;
  for (const Group& group : groups()) {
    for (const std::string& name : cases_of(group.name)) compared.insert(name);
  }
  std::map<std::string, std::map<std::string, std::set<nlohmann::json>>> values;
  for (const auto& [name, data] : reference("ops.json").items()) {
    const std::string op = data.at("options").at("op");
    if (!losses.contains(op)) continue;
    EXPECT_TRUE(compared.contains(name)) << "no group compares " << name;
    for (const auto& [option, value] : data.at("options").items()) values[op][option].insert(value);
    const auto axes = data.at("outputs").at("y").at("shape").size();
    if (data.at("options").at("reduction") == "none") values[op]["axes"].insert(axes);
  }
  for (const std::string& loss : losses) {
    EXPECT_GE(values[loss]["axes"].size(), 4u) << loss;
    for (const std::string& reduction : declared.enumerators.at("Reduction")) {
      EXPECT_TRUE(values[loss]["reduction"].contains(reduction))
          << loss << " has no case with the reduction " << reduction;
    }
  }
  for (const auto& [type, option] : declared.options.at("CrossEntropyOptions")) {
    EXPECT_GE(values["cross_entropy"][option].size(), 2u) << option;
  }
  EXPECT_GE(values["huber"]["delta"].size(), 2u);
}

TEST(Loss, DerivativesToTheThirdOrder) {
  const std::vector<Tensor> x{numbers({3, 4}, 1), numbers({3, 4}, 2)};
  for (const Reduction r : all_reductions) {
    SCOPED_TRACE(static_cast<int>(r));
    check_derivatives([&](Parameters p) { return mse(sin(p[0]), p[1], r); }, x);
    check_derivatives([&](Parameters p) { return mae(sin(p[0]), p[1], r); }, x);
    // No difference is near the kinks at +-delta.
    check_derivatives([&](Parameters p) { return huber(3.0 * sin(p[0]), p[1], 0.7, r); }, x);
    check_derivatives([&](Parameters p) { return binary_cross_entropy_with_logits(p[0], p[1], r); },
                      x);
  }
}

// As PyTorch: at the border the slope is that of the straight line.
TEST(Loss, HuberAtItsBorder) {
  const Var x = parameter(Tensor({4}, {1, -1, 0.5, 0}, DType::float64));
  Tape tape;
  const Var y = huber(x, Var(Tensor::zeros({4}, DType::float64)), 1, Reduction::sum);
  const Var first = grad(y, {x}, {.create_graph = true})[0];
  const Var second = grad(sum(first), {x})[0];
  EXPECT_EQ(first.tensor().to_vector(), (std::vector<double>{1, -1, 0.5, 0}));
  EXPECT_EQ(second.tensor().to_vector(), (std::vector<double>{0, 0, 1, 1}));
}

TEST(CrossEntropy, DerivativesToTheThirdOrder) {
  const std::vector<Tensor> x{numbers({2, 3, 5}, 1)};
  const Indices targets({2, 3}, {0, 4, -100, 2, 2, 1});
  for (const Reduction reduction : all_reductions) {
    for (const double smoothing : {0.0, 0.2}) {
      SCOPED_TRACE(smoothing);
      check_derivatives(
          [&](Parameters p) {
            return cross_entropy(p[0], targets,
                                 {.label_smoothing = smoothing, .reduction = reduction});
          },
          x);
    }
  }
  // One row, whose losses are a scalar even if they are not reduced.
  check_derivatives(
      [&](Parameters p) {
        return cross_entropy(p[0], Indices({}, {1}), {.reduction = Reduction::none});
      },
      {numbers({4}, 2)});
}

// Whatever an ignored row holds, and whatever gradient its loss is given.
TEST(CrossEntropy, IgnoredRowsLeaveNoTrace) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const Indices targets{0, -100, 2, -100};
  for (const Reduction reduction : all_reductions) {
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      const auto run = [&](const std::vector<double>& ignored, double loss_gradient) {
        std::vector<double> values{1, 2, 3};
        values.insert(values.end(), ignored.begin(), ignored.end());
        values.insert(values.end(), {-1, 0.5, 2});
        values.insert(values.end(), ignored.begin(), ignored.end());
        const Var x = parameter(Tensor({4, 3}, values));
        const FlightRecorder stops_at_nan_and_inf;
        Tape tape(mode);
        const Var y = cross_entropy(x, targets, {.label_smoothing = 0.1, .reduction = reduction});
        const bool per_row = reduction == Reduction::none;
        const Var seed =
            per_row ? Var(Tensor({4}, {1, loss_gradient, 2, loss_gradient}, DType::float64))
                    : Var(Tensor({}, {1}, DType::float64));
        const Var first = grad(y, seed, {x}, {.create_graph = true})[0];
        const Var second = grad(sum(first * first), {x})[0];
        std::vector<double> all = y.tensor().to_vector();
        for (const Var& g : {first, second}) {
          const std::vector<double> elements = g.tensor().to_vector();
          for (const std::size_t i : {3u, 4u, 5u, 9u, 10u, 11u}) EXPECT_EQ(elements[i], 0);
          all.insert(all.end(), elements.begin(), elements.end());
        }
        return all;
      };
      const std::vector<double> expected = run({0, 0, 0}, 1);
      EXPECT_EQ(run({nan, 0, 0}, 1), expected);
      EXPECT_EQ(run({inf, -inf, inf}, 1), expected);
    }
  }
  // A gradient that is not finite, too. No recorder: it would rightly stop at the seed.
  const Var x = parameter(numbers({2, 3}, 1));
  Tape tape;
  const Var y = cross_entropy(x, {1, -100}, {.reduction = Reduction::none});
  tape.backward(y, Tensor({2}, {1, nan}, DType::float64));
  for (std::size_t i = 3; i < 6; ++i) EXPECT_EQ(x.grad().to_vector()[i], 0);
}

// The size of a text model's step, against the formula in plain ops.
TEST(CrossEntropy, ManyRowsAgreeWithLogSoftmax) {
  const Tensor values = Generator(3).normal({512, 65}, 0, 4);
  std::vector<std::int64_t> classes(512);
  Generator generator(4);
  for (std::int64_t& c : classes) c = static_cast<std::int64_t>(generator.below(65));
  const Indices targets({512}, classes);
  const auto run = [&](DType dtype, const auto& loss) {
    const Var x = parameter(values.to(dtype));
    Tape tape;
    const Var y = loss(x);
    tape.backward(y);
    std::vector<double> result{y.item()};
    for (const double g : x.grad().to_vector()) result.push_back(g * 512);
    return result;
  };
  const auto fused = [&](const Var& x) { return cross_entropy(x, targets); };
  const auto plain = [&](const Var& x) { return Var(-mean(take_along(log_softmax(x), targets))); };
  const auto expected = run(DType::float64, plain);
  // Rows of 65 and the sum of 512; a probability takes over the rounding of its logit's distance
  // from the largest as a relative one.
  double largest = 0;
  for (const double x : values.to_vector()) largest = std::max(largest, std::abs(x));
  const double roundings = 2 * 65 + 512 + 4 * elementary + 2 * largest;
  expect_close(run(DType::float64, fused), expected, rounding_bound(DType::float64, 2 * roundings),
               1);
  expect_close(run(DType::float32, fused), expected, rounding_bound(DType::float32, roundings), 1);
}

TEST(CrossEntropy, IsFiniteForHugeLogits) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Var x = parameter(Tensor({2, 3}, {1e4, 0, -1e4, -1e4, -1e4, 1e4}, dtype));
    Tape tape;
    const Var y = cross_entropy(x, {2, 2}, {.reduction = Reduction::none});
    EXPECT_EQ(y.tensor().to_vector(), (std::vector<double>{2e4, 0}));
    tape.backward(y, Tensor({2}, {1, 1}, dtype));
    EXPECT_EQ(x.grad().to_vector(), (std::vector<double>{1, 0, -1, 0, 0, 0}));
  }
}

// One-hot probabilities are class numbers, weights of 1 are none, and two of them are four rows.
TEST(CrossEntropy, TheFormsAgree) {
  const Tensor x = numbers({3, 4}, 1);
  const Indices classes{2, 0, 3};
  const Var one_hot = Tensor({3, 4}, {0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1}, DType::float64);
  const auto run = [&](const auto& loss) {
    const Var logits = parameter(x);
    Tape tape;
    const Var y = loss(logits);
    tape.backward(sum(y));
    std::vector<double> result = y.tensor().to_vector();
    for (const double g : logits.grad().to_vector()) result.push_back(g);
    return result;
  };
  const std::vector<double> ones(4, 1.0);
  for (const Reduction r : all_reductions) {
    for (const double e : {0.0, 0.3}) {
      const auto expected = run([&](const Var& v) {
        return cross_entropy(v, classes, {.label_smoothing = e, .reduction = r});
      });
      const auto soft = run([&](const Var& v) {
        return cross_entropy(v, one_hot, {.label_smoothing = e, .reduction = r});
      });
      const auto weighted = run([&](const Var& v) {
        return cross_entropy(v, classes,
                             {.label_smoothing = e, .reduction = r, .class_weights = ones});
      });
      // Sums of 12 terms with two elementary functions, on both sides; losses of 3 rows below 3.
      const double tolerance = rounding_bound(DType::float64, 2 * (12 + 2 * elementary));
      expect_close(soft, expected, tolerance, 9);
      expect_close(weighted, expected, tolerance, 9);
    }
  }
}

TEST(CrossEntropy, DerivativesOfSoftTargetsAndWeights) {
  const std::vector<Tensor> x{numbers({2, 3, 5}, 1), numbers({2, 3, 5}, 2)};
  const Indices targets({2, 3}, {0, 4, -100, 2, 2, 1});
  const std::vector<double> weights{1, 0.5, 2, 0, 3};
  for (const Reduction r : all_reductions) {
    const CrossEntropyOptions options{
        .label_smoothing = 0.2, .reduction = r, .class_weights = weights};
    check_derivatives([&](Parameters p) { return cross_entropy(p[0], p[1], options); }, x);
    check_derivatives([&](Parameters p) { return cross_entropy(p[0], targets, options); }, {x[0]});
  }
}

// Masked logits of classes that the target does not have, and an ignored row that holds anything.
TEST(CrossEntropy, WhatHasNoWeightLeavesNoTrace) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::float32, DType::float64}) {
    const double bound = rounding_bound(dtype, 6 + 2 * elementary, 2);
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      const Var x = parameter(Tensor({2, 3}, {-inf, 1, 1, 2, -inf, 2}, dtype));
      const Var p = parameter(Tensor({2, 3}, {0, 0.5, 0.5, 1, 0, 0}, dtype));
      Tape tape(mode);
      const Var y = cross_entropy(x, p, {.reduction = Reduction::sum});
      EXPECT_NEAR(y.item(), 2 * std::log(2.0), bound);
      tape.backward(y);
      expect_close(x.grad().to_vector(), std::vector<double>{0, 0, 0, -0.5, 0, 0.5}, bound, 1);
      EXPECT_TRUE(std::isfinite(p.grad().to_vector()[0]));

      const Var z = parameter(Tensor({3, 2}, {0, 0, std::nan(""), inf, -inf, -inf}, dtype));
      Tape second(mode);
      const Var loss = cross_entropy(z, {1, -100, -100}, {.class_weights = {3, 5}});
      EXPECT_NEAR(loss.item(), std::log(2.0), bound);
      second.backward(loss);
      EXPECT_EQ(z.grad().to_vector(), (std::vector<double>{0.5, -0.5, 0, 0, 0, 0}));
    }
  }
}

// As softmax, which has no probabilities there either.
// Probabilities that are a view, beside a class that is impossible.
TEST(CrossEntropy, OfAViewOfProbabilities) {
  const double inf = std::numeric_limits<double>::infinity();
  const Var x = Tensor({2, 3}, {1, -inf, 3, 4, 5, -inf}, DType::float64);
  const Var p = Tensor({3, 2}, {0.25, 0.5, 0, 0.5, 0.75, 0}, DType::float64);  // transposed
  const double view = cross_entropy(x, transpose(p)).item();
  EXPECT_EQ(view, cross_entropy(x, Var(transpose(p).tensor().copy())).item());
  EXPECT_TRUE(std::isfinite(view));
}

TEST(CrossEntropy, OfOnlyMinusInfinityIsNan) {
  const double inf = std::numeric_limits<double>::infinity();
  const Var x = Tensor({1, 2}, {-inf, -inf});
  EXPECT_TRUE(std::isnan(cross_entropy(x, {0}).item()));
  EXPECT_TRUE(std::isnan(cross_entropy(x, {0}, {.class_weights = {1, 1}}).item()));
  EXPECT_TRUE(std::isnan(cross_entropy(x, Var(Tensor({1, 2}, {1, 0}))).item()));
  EXPECT_TRUE(std::isnan(softmax(x).tensor().to_vector()[0]));
  EXPECT_TRUE(std::isnan(log_softmax(x).tensor().to_vector()[0]));
}

TEST(CrossEntropy, TakesArraysOfNumbersAsClassesOrProbabilities) {
  const Var x = Tensor({2, 2}, {0, 0, 0, 0});
  const double bound = rounding_bound(DType::float32, 4 + 2 * elementary);
  const xt::xarray<int> classes{0, 1};
  EXPECT_NEAR(cross_entropy(x, classes).item(), std::log(2.0), bound);
  const xt::xarray<float> probabilities{{0.f, 1.f}, {0.5f, 0.5f}};
  EXPECT_NEAR(cross_entropy(x, probabilities).item(), std::log(2.0), bound);
  EXPECT_NEAR(cross_entropy(x, softmax(x)).item(), std::log(2.0), bound);
  EXPECT_NEAR(cross_entropy(x, x + 0.5).item(), std::log(2.0), bound);
  EXPECT_NEAR(cross_entropy(x, Tensor::full({2, 2}, 0.5)).item(), std::log(2.0), bound);
}

TEST(CrossEntropy, OfAViewIsThatOfItsCopy) {
  const Indices targets{1, 0, 2, 1};
  const auto run = [&](bool copied) {
    const Var base = parameter(numbers({3, 4}, 1));
    Tape tape;
    const Var view = transpose(base);
    tape.backward(cross_entropy(copied ? Var(view + 0.0) : view, targets));
    return base.grad().to_vector();
  };
  expect_close(run(false), run(true), 0);
}

// Terms are summed in parts of 65,536, the last of which may be any rest.
TEST(Loss, OfEverySize) {
  for (const Index n : {65'535, 65'536, 65'537, 100'000, 131'073}) {
    const Var y = Tensor::full({n}, 3);
    const Var target = Tensor::full({n}, 1);
    EXPECT_EQ(mse(y, target, Reduction::sum).item(), 4.0 * static_cast<double>(n));
    EXPECT_EQ(mae(y, target).item(), 2);
  }
}

TEST(Loss, OfNothing) {
  const Var none = parameter(Tensor::zeros({0, 3}));
  const Indices no_targets({0}, {});
  Tape tape;
  EXPECT_TRUE(std::isnan(mse(none, Tensor::zeros({0, 3})).item()));
  EXPECT_EQ(mse(none, Tensor::zeros({0, 3}), Reduction::sum).item(), 0);
  EXPECT_TRUE(std::isnan(cross_entropy(none, no_targets).item()));
  const Var losses = cross_entropy(none, no_targets, {.reduction = Reduction::none});
  EXPECT_TRUE(losses.shape() == Shape{0});
  tape.backward(sum(losses));
  EXPECT_TRUE(none.grad().shape() == (Shape{0, 3}));
}

TEST(Loss, Errors) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  const Var column = Tensor({2, 1}, {1, 2});
  const Var doubles = x.tensor().to(DType::float64);
  const std::string shapes = "prediction is (2,3), target is (2,1): they must have one shape";
  EXPECT_EQ(error_of([&] { mse(x, column); }), "mse: " + shapes);
  EXPECT_EQ(error_of([&] { mae(x, column); }), "mae: " + shapes);
  EXPECT_EQ(error_of([&] { huber(x, column); }), "huber: " + shapes);
  EXPECT_EQ(error_of([&] { binary_cross_entropy_with_logits(x, column); }),
            "binary_cross_entropy_with_logits: logits is (2,3), target is (2,1): they must have "
            "one shape");
  const std::string dtypes = "operands are float32 and float64: they must have one dtype";
  EXPECT_EQ(error_of([&] { mse(x, doubles); }), "mse: " + dtypes);
  EXPECT_EQ(error_of([&] { mae(x, doubles); }), "mae: " + dtypes);
  EXPECT_EQ(error_of([&] { huber(x, doubles); }), "huber: " + dtypes);
  EXPECT_EQ(error_of([&] { binary_cross_entropy_with_logits(x, doubles); }),
            "binary_cross_entropy_with_logits: " + dtypes);
  EXPECT_EQ(error_of([&] { huber(x, x, 0); }), "huber: delta is 0.000000: it must be above 0");
  EXPECT_EQ(error_of([&] { huber(x, x, std::nan("")); }),
            "huber: delta is nan: it must be above 0");
}

TEST(CrossEntropy, Errors) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  for (const double e : {-0.1, 1.1, std::nan("")}) {
    EXPECT_NE(error_of([&] {
                cross_entropy(x, {0, 1}, {.label_smoothing = e});
              }).find("label_smoothing"),
              std::string::npos);
  }
  EXPECT_EQ(error_of([&] {
              cross_entropy(x, {0, 1, 2});
            }),
            "cross_entropy: logits is (2,3), targets is (3): targets must have the shape of logits "
            "without its last axis");
  EXPECT_EQ(error_of([&] { cross_entropy(Tensor({}, {1}), Indices({}, {0})); }),
            "cross_entropy: logits is (), targets is (): targets must have the shape of logits "
            "without its last axis");
  EXPECT_EQ(error_of([&] {
              cross_entropy(x, {0, 3});
            }),
            "cross_entropy: logits is (2,3), a target is 3: it must be in [0, 3) or the "
            "ignore_index -100");
  EXPECT_EQ(error_of([&] {
              cross_entropy(x, {0, -100}, {.ignore_index = -1});
            }),
            "cross_entropy: logits is (2,3), a target is -100: it must be in [0, 3) or the "
            "ignore_index -1");
  EXPECT_EQ(error_of([&] {
              cross_entropy(x, {0, 1}, {.label_smoothing = 1.5});
            }),
            "cross_entropy: label_smoothing is 1.500000: it must be in [0, 1]");
  EXPECT_EQ(error_of([&] {
              cross_entropy(x, {0, 1}, {.class_weights = {1, 2}});
            }),
            "cross_entropy: logits is (2,3), there are 2 class_weights: there must be 3, or none");
  EXPECT_EQ(error_of([&] { cross_entropy(x, x, {.class_weights = {1}}); }),
            "cross_entropy: logits is (2,3), there are 1 class_weights: there must be 3, or none");
  EXPECT_EQ(error_of([&] { cross_entropy(x, x[0]); }),
            "cross_entropy: logits is (2,3), target is (3): they must have one shape");
  EXPECT_EQ(error_of([&] { cross_entropy(x, x.tensor().to(DType::float64)); }),
            "cross_entropy: operands are float32 and float64: they must have one dtype");
  EXPECT_EQ(error_of([&] { cross_entropy(Tensor({}, {1}), Var(Tensor({}, {1}))); }),
            "cross_entropy: logits is (): they must have an axis of classes");
  EXPECT_EQ(error_of([&] { cross_entropy(x, x, {.ignore_index = 0}); }),
            "cross_entropy: ignore_index is 0: it is for targets that are class numbers, not "
            "probabilities");
  EXPECT_EQ(error_of([&] { cross_entropy(x, x, {.label_smoothing = -1}); }),
            "cross_entropy: label_smoothing is -1.000000: it must be in [0, 1]");
}

}  // namespace
}  // namespace xgrad::testing
