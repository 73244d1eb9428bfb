#include <cmath>
#include <ostream>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/gradcheck.hpp>
#include <xgrad/core/graph_ops.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/tape.hpp>

namespace xgrad {
namespace {

/// The results contracted with their covectors.
double contract(const std::vector<Var>& results, const std::vector<Tensor>& covectors) {
  long double sum = 0;
  for (std::size_t k = 0; k < results.size(); ++k) {
    const std::vector<double> y = results[k].tensor().to_vector();
    const std::vector<double> r = covectors[k].to_vector();
    for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<long double>(r[i]) * y[i];
  }
  return static_cast<double>(sum);
}

Shape position_of(std::size_t entry, const Shape& shape) {
  Shape position = shape;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    position[axis] = static_cast<Index>(entry) % shape[axis];
    entry /= static_cast<std::size_t>(shape[axis]);
  }
  return position;
}

// NaN is worse than any number.
bool worse(double error, double than) { return std::isnan(error) || error > than; }

}  // namespace

namespace detail {
namespace {

/// Gives a parameter its value back, also if the function that is checked throws.
class RestoredValue {
 public:
  explicit RestoredValue(const Var& parameter)
      : parameter_(parameter), value_(parameter.tensor().copy()) {}
  ~RestoredValue() { parameter_.assign(value_); }
  RestoredValue(const RestoredValue&) = delete;
  RestoredValue& operator=(const RestoredValue&) = delete;

 private:
  Var parameter_;
  Tensor value_;
};

}  // namespace

GradcheckReport gradcheck_parameters(const std::function<std::vector<Var>()>& f,
                                     const std::vector<NamedVar>& parameters,
                                     const GradcheckOptions& options) {
  std::vector<Var> xs;
  for (const NamedVar& parameter : parameters) xs.push_back(parameter.var);
  std::vector<Tensor> covectors;
  std::vector<std::vector<double>> analytic;
  {
    Tape tape;
    Generator random(options.seed);
    Var total;
    for (const Var& y : f()) {
      covectors.push_back(random.normal(y.shape(), 0, 1, DType::float64));
      const Var contracted = sum_to(y * Var(covectors.back()), {});
      total = total.defined() ? Var(total + contracted) : contracted;
    }
    if (!total.defined()) throw Error("gradcheck: the function has no result");
    if (!total.requires_grad()) {
      throw Error("gradcheck: the result does not depend on any of the inputs");
    }
    for (const Var& g : grad(total, xs)) analytic.push_back(g.tensor().to_vector());
  }

  GradcheckReport report;
  report.worst.error = -1;
  for (std::size_t k = 0; k < xs.size(); ++k) {
    const Shape shape = xs[k].shape();
    const std::vector<double> start = xs[k].tensor().to_vector();
    const RestoredValue restored(xs[k]);
    for (std::size_t i = 0; i < start.size(); ++i) {
      // The cube root of the rounding unit balances the error of the difference (h^2) with
      // rounding (1/h).
      const double h = 6e-6 * std::max(1.0, std::abs(start[i]));
      const auto at = [&](double x) {
        std::vector<double> values = start;
        values[i] = x;
        xs[k].assign(Tensor(shape, values));
        const Tape tape;  // f may take gradients itself
        return contract(f(), covectors);
      };
      const double above = start[i] + h;
      const double below = start[i] - h;
      const double numeric = (at(above) - at(below)) / (above - below);
      const double scale = std::max({1.0, std::abs(analytic[k][i]), std::abs(numeric)});
      const double error = std::abs(analytic[k][i] - numeric) / scale;
      ++report.entries;
      if (!(error <= options.tolerance)) ++report.failed;
      if (worse(error, report.worst.error)) {
        report.worst = {parameters[k].name, position_of(i, shape), analytic[k][i], numeric, error};
        if (std::isnan(error)) report.worst.error = INFINITY;
      }
    }
  }
  if (report.entries == 0) throw Error("gradcheck: the inputs have no entries: nothing to check");
  report.passed = report.failed == 0;
  return report;
}

Var float64_parameter(const Var& x, const std::string& name) {
  return parameter(x.tensor().to(DType::float64), name);
}

}  // namespace detail

GradcheckReport gradcheck(const std::function<Var(const std::vector<Var>&)>& f,
                          const std::vector<NamedVar>& inputs, const GradcheckOptions& options) {
  std::vector<NamedVar> parameters;
  std::vector<Var> xs;
  for (const NamedVar& input : inputs) {
    xs.push_back(detail::float64_parameter(input.var, input.name));
    parameters.push_back({input.name, xs.back()});
  }
  return detail::gradcheck_parameters([&] { return std::vector<Var>{f(xs)}; }, parameters, options);
}

std::ostream& operator<<(std::ostream& stream, const GradcheckReport& report) {
  stream << "gradcheck: " << (report.passed ? "passed" : "FAILED") << ", " << report.entries
         << " entries checked";
  if (!report.passed) stream << ", " << report.failed << " wrong";
  return stream << "; worst: gradient of '" << report.worst.input << "' at "
                << to_string(report.worst.index) << ": analytic " << report.worst.analytic
                << ", numeric " << report.worst.numeric << ", relative error " << report.worst.error
                << '\n';
}

}  // namespace xgrad
