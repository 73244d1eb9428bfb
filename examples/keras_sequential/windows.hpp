#pragma once

#include <vector>

#include <xgrad/core/tensor.hpp>

namespace keras_sequential {

struct Windows {
  xgrad::Tensor x;  ///< (N, lags, 1)
  xgrad::Tensor y;  ///< (N, 1)
};

/// Turns a series into what a network learns well from, and its results back into forecasts. What
/// it takes from the data, it takes from the training part.
///
/// A window holds the `lags` values before the one to be forecast, relative to the last of them: so
/// a level that was never seen in training, as in a series that grows, makes no difference. All is
/// divided by the deviation of the changes from one value to the next. If the training part is
/// positive and its changes are more even on a logarithmic scale, its logarithm is taken first,
/// unless `linear`.
class Windowing {
 public:
  Windowing(const std::vector<double>& training, std::size_t lags, bool linear);

  /// The windows whose y is a value of the series from `begin` to before `end`. Throws if a value
  /// has no logarithm, or is too far from the others for float32.
  Windows windows(const std::vector<double>& values, std::size_t begin, std::size_t end) const;

  /// The forecasts of values[begin], values[begin + 1], ..., from the network's results for those
  /// windows; each knows the true values before it.
  std::vector<double> forecasts(const std::vector<double>& values, std::size_t begin,
                                const xgrad::Tensor& results) const;

  bool logarithmic() const { return logarithmic_; }

 private:
  double transformed(double value) const;

  std::size_t lags_;
  int exponent_;  // the values are taken in units of two to this power, lest squares overflow
  bool logarithmic_;
  double scale_;
};

}  // namespace keras_sequential
