#include "windows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>
#include <string>

#include <xgrad/core/error.hpp>

namespace keras_sequential {
namespace {

/// The root of the mean square of the changes from one value to the next.
double change(const std::vector<double>& values) {
  double sum = 0;
  for (std::size_t t = 1; t < values.size(); ++t) {
    sum += (values[t] - values[t - 1]) * (values[t] - values[t - 1]);
  }
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

/// Whether the logarithms of the values make the likelier random walk: their changes, times the
/// geometric mean of the values, are smaller (Box and Cox 1964, "An analysis of transformations").
/// Both are compared in units of two to the power of `exponent`.
bool prefers_logarithm(const std::vector<double>& values, int exponent) {
  if (*std::min_element(values.begin(), values.end()) <= 0) return false;
  std::vector<double> logarithms, scaled;
  double mean = 0;
  for (const double value : values) {
    logarithms.push_back(std::log(value));
    scaled.push_back(std::ldexp(value, -exponent));
    mean += logarithms.back() / static_cast<double>(values.size());
  }
  return change(logarithms) * std::exp(mean - exponent * std::numbers::ln2) < change(scaled);
}

/// Of the power of two above all magnitudes.
int largest_exponent(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  int exponent = 0;
  std::frexp(largest, &exponent);
  return exponent;
}

}  // namespace

Windowing::Windowing(const std::vector<double>& training, std::size_t lags, bool linear)
    : lags_(lags),
      exponent_(largest_exponent(training)),
      logarithmic_(!linear && prefers_logarithm(training, exponent_)) {
  std::vector<double> values;
  for (const double value : training) values.push_back(transformed(value));
  scale_ = change(values);
  if (!(scale_ > 0)) throw xgrad::Error("the training part is constant: there is nothing to learn");
}

double Windowing::transformed(double value) const {
  return logarithmic_ ? std::log(value) : std::ldexp(value, -exponent_);
}

Windows Windowing::windows(const std::vector<double>& values, std::size_t begin,
                           std::size_t end) const {
  for (std::size_t t = begin - lags_; t < end; ++t) {
    const auto fail = [&](const std::string& problem) {
      std::ostringstream text;
      text << "value " << t + 1 << " is " << values[t] << ": " << problem;
      throw xgrad::Error(text.str());
    };
    if (logarithmic_ && values[t] <= 0) {
      fail(
          "it has no logarithm, of which forecasts are made since the training part is positive; "
          "--linear makes them of the values");
    }
    if (std::abs(transformed(values[t]) / scale_) > std::numeric_limits<float>::max() / 2) {
      fail("it is too far from the values of the training part");
    }
  }
  std::vector<float> x, y;
  for (std::size_t t = begin; t < end; ++t) {
    const double last = transformed(values[t - 1]);
    const auto relative = [&](double value) {
      return static_cast<float>((transformed(value) - last) / scale_);
    };
    for (std::size_t i = t - lags_; i < t; ++i) x.push_back(relative(values[i]));
    y.push_back(relative(values[t]));
  }
  const auto count = static_cast<xgrad::Index>(end - begin);
  return {{{count, static_cast<xgrad::Index>(lags_), 1}, x}, {{count, 1}, y}};
}

std::vector<double> Windowing::forecasts(const std::vector<double>& values, std::size_t begin,
                                         const xgrad::Tensor& results) const {
  std::vector<double> forecasts = results.to_vector();
  for (std::size_t i = 0; i < forecasts.size(); ++i) {
    const double value = transformed(values[begin + i - 1]) + scale_ * forecasts[i];
    forecasts[i] = logarithmic_ ? std::exp(value) : std::ldexp(value, exponent_);
    if (!std::isfinite(forecasts[i])) {
      throw xgrad::Error("the forecast of value " + std::to_string(begin + i + 1) +
                         " is not a finite number");
    }
  }
  return forecasts;
}

}  // namespace keras_sequential
