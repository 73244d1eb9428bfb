#include "ops/reference_case.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/array.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/tape.hpp>

#include "reference/reference.hpp"
#include "rounding.hpp"

namespace xgrad::testing {
namespace {

using nlohmann::json;

struct Results {
  std::vector<std::vector<double>> outputs;
  std::map<std::string, std::vector<double>> gradients;
};

/// The names of the outputs with a covector.
std::vector<std::string> differentiable_outputs(const json& data) {
  std::vector<std::string> names;
  for (const auto& [name, output] : data.at("outputs").items()) {
    if (data.at("inputs").contains("R_" + name)) names.push_back(name);
  }
  return names;
}

Shape shape_of(const Array& array) { return Shape(array.shape.begin(), array.shape.end()); }

enum class Inputs { signed_numbers, sizes };

Arguments arguments(const json& data, DType dtype, DType rounded_to, Inputs inputs) {
  Arguments result;
  for (const auto& [name, value] : data.at("options").items()) {
    if (value.is_number()) result.options[name] = {value.get<double>()};
    if (value.is_boolean()) result.options[name] = {value.get<bool>() ? 1.0 : 0.0};
    if (value.is_array()) result.options[name] = value.get<std::vector<double>>();
  }
  for (const auto& [name, value] : data.at("inputs").items()) {
    Array array = testing::array(value);
    if (inputs == Inputs::sizes) {
      for (double& x : array.data) x = std::abs(x);
    }
    if (name == "index" || (name == "target" && !data.at("gradients").contains(name))) {
      result.indices.emplace(name,
                             Indices(shape_of(array), {array.data.begin(), array.data.end()}));
      continue;
    }
    const Tensor tensor = Tensor(shape_of(array), array.data).to(rounded_to).to(dtype);
    const bool differentiable = data.at("gradients").contains(name) && dtype != DType::complex128;
    result.vars[name] = differentiable ? parameter(tensor, name) : Var(tensor);
  }
  return result;
}

Results evaluate(const json& data, const Evaluate& op, DType dtype, DType rounded_to, TapeMode mode,
                 Inputs inputs = Inputs::signed_numbers) {
  const Arguments args = arguments(data, dtype, rounded_to, inputs);
  Results results;
  Tape tape(mode);
  const std::vector<Var> outputs = op(args);
  const std::vector<std::string> names = differentiable_outputs(data);
  EXPECT_EQ(outputs.size(), names.size());
  Var loss;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Var& covector = args.vars.at("R_" + names[i]);
    EXPECT_EQ(to_string(outputs[i].shape()), to_string(covector.shape()));
    EXPECT_EQ(outputs[i].dtype(), dtype);
    results.outputs.push_back(outputs[i].tensor().to_vector());
    if (dtype == DType::complex128) continue;  // forward only
    const Var term = total(outputs[i] * covector);
    loss = i == 0 ? term : Var(loss + term);
  }
  if (dtype == DType::complex128) return results;
  if (loss.requires_grad()) tape.backward(loss);
  for (const auto& [name, gradient] : data.at("gradients").items()) {
    const Var& x = args.vars.at(name);
    const Tensor value = x.has_grad() ? x.grad() : Tensor::zeros(x.shape(), dtype);
    results.gradients[name] = value.to_vector();
  }
  return results;
}

bool all_finite(const json& tensors) {
  for (const auto& [name, value] : tensors.items()) {
    for (const double x : array(value).data) {
      if (!std::isfinite(x)) return false;
    }
  }
  return true;
}

/// The number of elements of the largest tensor, and so a bound of every sum's terms.
double most_elements(const json& data) {
  std::size_t most = 0;
  for (const char* tensors : {"inputs", "outputs"}) {
    for (const auto& [name, value] : data.at(tensors).items()) {
      most = std::max(most, array(value).data.size());
    }
  }
  return static_cast<double>(most);
}

/// As a float would hold it.
std::vector<double> rounded(std::vector<double> values) {
  for (double& x : values) x = static_cast<double>(static_cast<float>(x));
  return values;
}

}  // namespace

Shape Arguments::list(const char* name) const {
  const std::vector<double>& values = options.at(name);
  return Shape(std::vector<Index>(values.begin(), values.end()));
}

std::vector<std::string> cases_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [key, value] : reference("ops.json").items()) {
    if (key == name || key.rfind(name + "/", 0) == 0) names.push_back(key);
  }
  return names;
}

void expect_close(std::span<const double> actual, std::span<const double> expected,
                  double tolerance, double magnitude) {
  expect_close(actual, expected, tolerance, std::vector<double>(expected.size(), magnitude));
}

void expect_close(std::span<const double> actual, std::span<const double> expected,
                  double tolerance, std::span<const double> magnitudes) {
  ASSERT_EQ(actual.size(), expected.size());
  ASSERT_EQ(magnitudes.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i] << ", not NaN";
    } else if (std::isinf(expected[i])) {
      EXPECT_EQ(actual[i], expected[i]) << "element " << i;
    } else {
      const double allowed = tolerance * std::max(std::abs(expected[i]), magnitudes[i]);
      EXPECT_LE(std::abs(actual[i] - expected[i]), allowed)
          << "element " << i << " is " << actual[i] << ", not " << expected[i];
    }
  }
}

void check_case(const std::string& name, const Evaluate& op, CaseOptions options) {
  SCOPED_TRACE(name);
  const json& data = reference("ops.json").at(name);
  const std::vector<std::string> names = differentiable_outputs(data);
  const double roundings =
      options.sums * most_elements(data) + (options.products ? 2 : 4 * elementary);
  const auto sizes_of = [&](const Evaluate& f, Inputs inputs) {
    return evaluate(data, f, DType::float64, DType::float64, TapeMode::naive, inputs);
  };
  Results sizes = sizes_of(op, options.products ? Inputs::sizes : Inputs::signed_numbers);
  if (!options.products) {
    for (auto& output : sizes.outputs) std::fill(output.begin(), output.end(), 0);
    for (auto& [input, gradient] : sizes.gradients) std::fill(gradient.begin(), gradient.end(), 0);
  }
  if (options.gradient_terms) {
    sizes.gradients = sizes_of(options.gradient_terms, Inputs::sizes).gradients;
  }
  const auto magnitudes = [](std::vector<double> sized, double least) {
    for (double& x : sized) x = std::max(std::abs(x), least);
    return sized;
  };
  // PyTorch's roundings count, too.
  const double tolerance = rounding_bound(DType::float64, 2 * (roundings + options.lost));
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    SCOPED_TRACE(mode == TapeMode::fast ? "float64, fast" : "float64, naive");
    const Results results = evaluate(data, op, DType::float64, DType::float64, mode);
    for (std::size_t i = 0; i < names.size(); ++i) {
      SCOPED_TRACE("output " + names[i]);
      expect_close(results.outputs.at(i), array(data.at("outputs").at(names[i])).data, tolerance,
                   magnitudes(sizes.outputs.at(i), options.magnitude));
    }
    for (const auto& [input, gradient] : data.at("gradients").items()) {
      SCOPED_TRACE("gradient of " + input);
      expect_close(results.gradients.at(input), array(gradient).data, tolerance,
                   magnitudes(sizes.gradients.at(input), options.magnitude));
    }
  }
  const Results exact = evaluate(data, op, DType::float64, DType::float32, TapeMode::naive);
  const double float_tolerance = rounding_bound(DType::float32, roundings);
  // Numbers of less than the smallest normal float may be zero.
  const double smallest = std::max({options.magnitude, options.float_magnitude,
                                    std::numeric_limits<float>::min() / float_tolerance});
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    SCOPED_TRACE(mode == TapeMode::fast ? "float32, fast" : "float32, naive");
    const Results results = evaluate(data, op, DType::float32, DType::float32, mode);
    for (std::size_t i = 0; i < names.size(); ++i) {
      SCOPED_TRACE("output " + names[i]);
      expect_close(results.outputs.at(i), rounded(exact.outputs.at(i)), float_tolerance,
                   magnitudes(sizes.outputs.at(i), smallest));
    }
    for (const auto& [input, gradient] : exact.gradients) {
      SCOPED_TRACE("gradient of " + input);
      expect_close(results.gradients.at(input), rounded(gradient), float_tolerance,
                   magnitudes(sizes.gradients.at(input), smallest));
    }
  }
  SCOPED_TRACE("complex128");
  const auto complex = [&] {
    return evaluate(data, op, DType::complex128, DType::float64, TapeMode::fast);
  };
  if (!options.complex) {
    EXPECT_THROW(complex(), Error);
  } else if (all_finite(data.at("inputs")) && all_finite(data.at("outputs"))) {
    const Results results = complex();
    for (std::size_t i = 0; i < names.size(); ++i) {
      expect_close(results.outputs.at(i), array(data.at("outputs").at(names[i])).data, tolerance,
                   magnitudes(sizes.outputs.at(i), options.magnitude));
    }
  }
}

Var total(const Var& x) { return detail::sum_to(x, Shape{}); }

Tensor numbers(const Shape& shape, int seed, DType dtype) {
  std::mt19937 generator(static_cast<unsigned>(seed));
  std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
  for (double& x : values) x = static_cast<double>(generator()) / 2147483648.0 - 1.0;
  return Tensor(shape, values).to(dtype);
}

void check_derivatives(const std::function<Var(std::span<const Var>)>& f,
                       const std::vector<Tensor>& xs, int order, double tolerance) {
  // S_0 to S_order at x; the last one's gradient is what S_(order - 1) changes by.
  const auto sums = [&](double step) {
    std::vector<Var> at;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const Var moved = Var(xs[i]) + step * Var(numbers(xs[i].shape(), 100 + static_cast<int>(i)));
      at.push_back(parameter(moved.tensor()));
    }
    Tape tape;
    const Var y = f(at);
    std::vector<double> values;       // S_k
    std::vector<double> derivatives;  // of S_k along the direction
    Var sum = total(y * Var(numbers(y.shape(), 1)));
    for (int k = 0; k < order; ++k) {
      values.push_back(sum.item());
      derivatives.push_back(0);
      if (!sum.requires_grad()) break;  // constant: all further derivatives are zero
      const std::vector<Var> gradients = grad(sum, at, {.create_graph = true});
      Var next;
      for (std::size_t i = 0; i < xs.size(); ++i) {
        const int seed = static_cast<int>(i);
        derivatives.back() += total(gradients[i] * Var(numbers(xs[i].shape(), 100 + seed))).item();
        const Var term = total(gradients[i] * Var(numbers(xs[i].shape(), 10 * (k + 2) + seed)));
        next = i == 0 ? term : Var(next + term);
      }
      sum = next;
    }
    return std::pair(values, derivatives);
  };
  const double h = 1e-3;
  const auto derivatives = sums(0).second;
  const auto plus = sums(h).first;
  const auto minus = sums(-h).first;
  const auto plus2 = sums(2 * h).first;
  const auto minus2 = sums(-2 * h).first;
  for (std::size_t k = 0; k < derivatives.size(); ++k) {
    const double quotient = (8 * (plus[k] - minus[k]) - (plus2[k] - minus2[k])) / (12 * h);
    EXPECT_NEAR(derivatives[k], quotient, tolerance * std::max(1.0, std::abs(quotient)))
        << "derivative of order " << k + 1;
  }
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

}  // namespace xgrad::testing
