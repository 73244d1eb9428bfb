// Every trajectory of tests/reference/optim.json: 100 steps of PyTorch's optimisers on one problem,
// with clipping and changing rates.
#include "reference/reference.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad {
namespace {

using nlohmann::json;

Tensor tensor(const json& value, DType dtype) {
  const testing::Array array = testing::array(value);
  return Tensor(Shape(array.shape.begin(), array.shape.end()), array.data).to(dtype);
}

std::unique_ptr<optim::Optimizer> make_optimizer(const json& options,
                                                 const std::vector<Var>& parameters) {
  const auto number = [&](const char* name) { return options.at(name).get<double>(); };
  const std::string kind = options.at("optimizer");
  if (kind == "SGD") {
    return std::make_unique<optim::SGD>(
        parameters, optim::SGDOptions{.lr = number("lr"),
                                      .momentum = number("momentum"),
                                      .nesterov = options.at("nesterov").get<bool>(),
                                      .weight_decay = number("weight_decay")});
  }
  if (kind == "RMSprop") {
    return std::make_unique<optim::RMSprop>(
        parameters, optim::RMSpropOptions{.lr = number("lr"),
                                          .alpha = number("alpha"),
                                          .eps = number("eps"),
                                          .momentum = number("momentum"),
                                          .centered = options.at("centered").get<bool>(),
                                          .weight_decay = number("weight_decay")});
  }
  const std::array<double, 2> betas = options.at("betas");
  if (kind == "Adam") {
    return std::make_unique<optim::Adam>(
        parameters, optim::AdamOptions{.lr = number("lr"),
                                       .betas = betas,
                                       .eps = number("eps"),
                                       .weight_decay = number("weight_decay")});
  }
  if (kind == "AdamW") {
    return std::make_unique<optim::AdamW>(
        parameters, optim::AdamWOptions{.lr = number("lr"),
                                        .betas = betas,
                                        .eps = number("eps"),
                                        .weight_decay = number("weight_decay")});
  }
  throw std::runtime_error("unknown optimizer " + kind);
}

/// The largest differences from PyTorch over one run of a case.
struct Differences {
  double parameters = 0;
  double loss = 0;
  double norm = 0;
  std::size_t compared = 0;
};

// Counts a NaN as infinitely wrong.
void raise(double& worst, double difference) {
  const double size = std::isnan(difference) ? INFINITY : std::abs(difference);
  worst = std::max(worst, size);
}

Differences run(const json& reference, DType dtype) {
  const json& options = reference.at("options");
  const json& inputs = reference.at("inputs");
  const json& outputs = reference.at("outputs");
  const auto names = options.at("parameters").get<std::vector<std::string>>();
  const int every = options.at("every");
  const int steps = options.at("steps");

  std::vector<Var> parameters;
  for (const std::string& name : names) {
    parameters.push_back(parameter(tensor(inputs.at(name), dtype), name));
  }
  const Var A = tensor(inputs.at("A"), dtype);
  const Var b = tensor(inputs.at("b"), dtype);
  const auto optimizer = make_optimizer(options, parameters);

  Differences result;
  for (int t = 0; t <= steps; ++t) {
    Tape tape;
    const Var x = concat(parameters);
    const Var error = reshape(matmul(A, reshape(x, {-1, 1})), b.shape()) - b;
    const Var loss = sum(error * error) + 0.1 * sum(x * x * x * x);
    tape.backward(loss);
    if (t % every == 0) {
      const auto row = static_cast<std::size_t>(t / every);
      for (std::size_t i = 0; i < names.size(); ++i) {
        const testing::Array expected = testing::array(outputs.at(names[i]));
        const std::vector<double> actual = parameters[i].tensor().to_vector();
        for (std::size_t k = 0; k < actual.size(); ++k) {
          raise(result.parameters, actual[k] - expected.data[row * actual.size() + k]);
          ++result.compared;
        }
      }
      raise(result.loss, loss.item() - testing::array(outputs.at("loss")).data[row]);
    }
    if (t == steps) break;
    const auto step = static_cast<std::size_t>(t);
    if (options.contains("clip")) {
      const json& clip = options.at("clip");
      const double limit = clip.at("limit");
      if (clip.at("by") == "norm") {
        const double norm = optim::clip_norm(optimizer->parameters(), limit);
        raise(result.norm, norm - testing::array(outputs.at("norm")).data[step]);
      } else {
        optim::clip_value(optimizer->parameters(), limit);
      }
    }
    if (inputs.contains("lr")) {
      optimizer->set_learning_rate(testing::array(inputs.at("lr")).data[step]);
    }
    optimizer->step();
  }
  return result;
}

/// At each of 100 steps parameters of size 1 are rounded twice, and an update of at most a tenth of
/// that in a gradient's sums of 8 and 6 terms, the moments and a root. The loss and the norm of the
/// gradient are sums of squares with slopes of up to 4.
void expect_rounded(const Differences& difference, DType dtype) {
  const double gradient = 8 + 6 + 4;
  const double trajectory = 100 * (2 + 0.1 * (gradient + 16));
  const double sides = dtype == DType::float64 ? 2 : 1;  // PyTorch's roundings count, too
  EXPECT_LE(difference.parameters, testing::rounding_bound(dtype, sides * trajectory));
  const double of_sums = testing::rounding_bound(dtype, sides * (trajectory + gradient), 4);
  EXPECT_LE(difference.loss, of_sums);
  EXPECT_LE(difference.norm, of_sums);
}

std::vector<std::string> trajectories() {
  std::vector<std::string> names;
  for (const auto& [name, value] : testing::reference("optim.json").items()) {
    if (!name.starts_with("schedule/")) names.push_back(name);
  }
  return names;
}

class OptimReference : public ::testing::TestWithParam<std::string> {};

TEST_P(OptimReference, AgreesWithPyTorchInFloat64) {
  const Differences difference =
      run(testing::reference("optim.json").at(GetParam()), DType::float64);
  EXPECT_EQ(difference.compared, 66u);  // 6 numbers after 0, 10, ..., 100 steps
  expect_rounded(difference, DType::float64);
}

TEST_P(OptimReference, AgreesWithPyTorchInFloat32) {
  const Differences difference =
      run(testing::reference("optim.json").at(GetParam()), DType::float32);
  expect_rounded(difference, DType::float32);
}

INSTANTIATE_TEST_SUITE_P(All, OptimReference, ::testing::ValuesIn(trajectories()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(OptimReference, CoversEveryOptimizer) { EXPECT_EQ(trajectories().size(), 27u); }

}  // namespace
}  // namespace xgrad
