#include <algorithm>
#include <cmath>
#include <limits>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/verify/plain_function.hpp>
#include <xgrad/core/verify/rounding_model.hpp>

namespace xgrad::detail {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> flat(const Results& results) {
  std::vector<double> all;
  for (const Var& y : results) {
    const std::vector<double> values = y.tensor().to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

double with_random_sign(Generator& random, double magnitude) {
  return random.below(2) == 0 ? magnitude : -magnitude;
}

/// The largest power of 2 that is at most x.
double power_of_two(double x) { return std::exp2(std::floor(std::log2(x))); }

}  // namespace

Shape position_of(std::size_t entry, const Shape& shape) {
  Shape position = shape;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    position[axis] = static_cast<Index>(entry) % shape[axis];
    entry /= static_cast<std::size_t>(shape[axis]);
  }
  return position;
}

std::vector<double> random_covector(Generator& random, std::size_t n) {
  std::vector<double> covector(n);
  for (double& w : covector) w = with_random_sign(random, 0.5 + random.uniform() / 2);
  return covector;
}

std::vector<double> random_direction(Generator& random, std::size_t n) {
  constexpr std::uint64_t one = 1 << 12;
  std::vector<double> direction(n);
  for (double& u : direction) {
    u = with_random_sign(random, static_cast<double>(one / 2 + random.below(one / 2 + 1)) / one);
  }
  return direction;
}

ReplayedGenerators::ReplayedGenerators(const std::vector<Generator*>& besides_default)
    : generators_(besides_default) {
  generators_.push_back(&default_generator());
  for (const Generator* generator : generators_) states_.push_back(*generator);
}

void ReplayedGenerators::rewind() const {
  for (std::size_t i = 0; i < states_.size(); ++i) *generators_[i] = states_[i];
}

Subject::Subject(const std::function<Results()>& f, const CheckedInputs& inputs,
                 const std::vector<Generator*>& generators)
    : f_(f), inputs_(inputs), generators_(generators), kept_(inputs.converted) {
  for (const NamedVar& input : inputs.checked) {
    origin_.push_back(input.var.tensor().to_vector());
  }
}

void Subject::assign(std::size_t input, const std::vector<double>& values) const {
  const Var& var = inputs_.checked[input].var;
  var.assign(Tensor(var.shape(), values));
}

std::vector<double> Subject::values() {
  const Tape tape;  // f may take gradients itself
  return flat(run());
}

std::vector<Shape> Subject::result_shapes() {
  const Tape tape;
  std::vector<Shape> shapes;
  for (const Var& y : run()) shapes.push_back(y.shape());
  return shapes;
}

Subject::Gradients Subject::gradients(const std::vector<double>& covector, TapeMode mode) {
  const Tape tape(mode);
  const Results results = run();
  Gradients all{flat(results), {}, reached_inputs(results)};
  if (all.y.size() != covector.size()) {
    throw Error("gradcheck: the function gave " + std::to_string(covector.size()) +
                " numbers before and gives " + std::to_string(all.y.size()) + " now");
  }
  Var total;
  auto weight = covector.begin();
  for (const Var& y : results) {
    const auto end = weight + y.size();
    const Var r = Tensor(y.shape(), std::vector<double>(weight, end)).to(y.dtype());
    weight = end;
    if (!y.requires_grad()) continue;
    const Var contracted = sum_to(y * r, {});
    total = total.defined() ? Var(total + contracted) : contracted;
  }
  if (!total.defined()) {
    for (const std::vector<double>& x : origin_) all.g.emplace_back(x.size(), 0.0);
    return all;
  }
  std::vector<Var> xs;
  for (const NamedVar& input : inputs_.checked) xs.push_back(input.var);
  for (const Var& g : grad(total, xs)) all.g.push_back(g.tensor().to_vector());
  return all;
}

Line Subject::along_entry(std::size_t input, std::size_t entry) {
  const double x = origin_[input][entry];
  const auto at = [this, input, entry, x](double t) -> Line::Point {
    std::vector<double> moved = origin_[input];
    moved[entry] = x + t;
    assign(input, moved);
    return {moved[entry] - x, values()};
  };
  Line line{at, power_of_two(std::max(1.0, std::abs(x)))};
  if (x != 0) line.nearest_zero = std::abs(x);
  return line;
}

Line Subject::along(std::size_t input, std::vector<double> direction) {
  double squares = 0;
  double largest = 0;
  double nearest_zero = infinity;
  for (std::size_t i = 0; i < direction.size(); ++i) {
    const double size = std::abs(origin_[input][i]);
    squares += size * size;
    largest = std::max(largest, size);
    if (size > 0) nearest_zero = std::min(nearest_zero, size / std::abs(direction[i]));
  }
  const auto n = static_cast<double>(direction.size());
  const auto at = [this, input, u = std::move(direction)](double t) -> Line::Point {
    std::vector<double> moved = origin_[input];
    double along = 0;  // as rounding has it
    double length = 0;
    for (std::size_t i = 0; i < moved.size(); ++i) {
      moved[i] += t * u[i];
      along += (moved[i] - origin_[input][i]) * u[i];
      length += u[i] * u[i];
    }
    assign(input, moved);
    return {along / length, values()};
  };
  // The direction is about sqrt(n) long.
  const double blur = n > 1 ? std::numeric_limits<double>::epsilon() * largest : 0;
  const double unit = power_of_two(std::max(1.0, std::sqrt(squares / n)) / std::sqrt(n));
  return {at, unit, blur, nearest_zero, origin_[input].size() == 1};
}

Results Subject::run() {
  ++evaluations_;
  generators_.rewind();
  return f_();
}

std::vector<bool> Subject::reached_inputs(const Results& results) const {
  TapeData& tape = *TapeData::current();
  std::vector<bool> reached;
  for (const NamedVar& input : inputs_.checked) {
    const std::uint32_t start = tape.slot_of(input.var);
    std::vector<bool> slots(tape.slots.size());
    if (start != no_slot) slots[start] = true;
    for (std::uint32_t node = 0; node < tape.nodes.size(); ++node) {
      for (const Input& from : tape.inputs(node)) {
        if (from.slot != no_slot && slots[from.slot]) slots[tape.nodes[node].slot] = true;
      }
    }
    reached.push_back(std::any_of(results.begin(), results.end(), [&](const Var& y) {
      const std::uint32_t end = tape.slot_of(y);
      return end < slots.size() && slots[end];
    }));
  }
  return reached;
}

GradientFunction::GradientFunction(const std::function<Results()>& f, const CheckedInputs& inputs,
                                   const GradcheckOptions& options)
    : f_(f), all_(inputs) {
  const ReplayedGenerators generators(options.generators);
  Results results;
  {
    const Tape tape;
    results = f();
    generators.rewind();
  }
  Generator random(options.seed + 1);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::vector<double> weights =
        random_covector(random, static_cast<std::size_t>(results[i].size()));
    const std::string name = "covector" + (results.size() > 1 ? std::to_string(i) : "");
    covectors_.push_back(parameter(Tensor(results[i].shape(), weights), name));
    all_.checked.push_back({name, covectors_.back()});
  }
  all_.converted.insert(all_.converted.end(), covectors_.begin(), covectors_.end());
  for (const NamedVar& input : inputs.checked) xs_.push_back(input.var);
}

Results GradientFunction::operator()() const {
  const Results ys = f_();
  Var total;
  for (std::size_t i = 0; i < ys.size(); ++i) {
    if (!ys[i].requires_grad()) continue;
    const Var contracted = sum_to(ys[i] * covectors_[i], {});
    total = total.defined() ? Var(total + contracted) : contracted;
  }
  if (!total.defined()) return {};
  return grad(total, xs_, {.create_graph = true});
}

ComplexStep::ComplexStep(Subject& subject, const std::vector<double>& covector)
    : subject_(subject), covector_(covector), kept_(subject.inputs_.converted) {
  subject_.inputs_.convert(DType::complex128);
}

ComplexStep::Derivative ComplexStep::along(std::size_t input, const std::vector<double>& direction,
                                           double step) {
  set_imaginary(input, direction, step);
  const Tape tape;  // f may take gradients itself
  const Results results = subject_.run();
  long double sum = 0;
  double magnitude = 0;
  auto weight = covector_.begin();
  for (const Var& y : results) {
    const Tensor values = contiguous(y.tensor());
    for (Index i = 0; i < values.size(); ++i) {
      const std::complex<double> z = values.data<std::complex<double>>()[i];
      const double term = *weight++ * (z.imag() / step);
      sum += term;
      magnitude += std::abs(term);
    }
  }
  set_imaginary(input, direction, 0);
  return {static_cast<double>(sum), magnitude};
}

void ComplexStep::measure_rounding(std::size_t input, const std::vector<double>& direction,
                                   Derivative& derivative, Generator& random, int samples) {
  ReductionLengths lengths;
  double squares = 0;  // a difference of two has twice the variance of one
  for (const double factor : {0.75, 0.625, 0.875}) {
    lengths.clear();
    const RoundingModel notes(lengths);
    const double change = along(input, direction, factor * imaginary_step).value - derivative.value;
    squares += change * change / 2;
  }
  derivative.noise = std::isfinite(squares) ? std::sqrt(squares / 3) : 0;
  derivative.rounding = std::max(derivative.rounding, noise_reserve * derivative.noise);
  for (int s = 0; s < samples; ++s) {
    const RoundingModel model(DType::float64, rounding_reserve, random.next(), lengths);
    const double change = std::abs(along(input, direction).value - derivative.value);
    if (!(change <= derivative.rounding))
      derivative.rounding = std::isnan(change) ? infinity : change;
  }
}

void ComplexStep::set_imaginary(std::size_t input, const std::vector<double>& direction,
                                double step) const {
  const Var& var = subject_.inputs_.checked[input].var;
  const std::vector<double>& x = subject_.origin(input);
  const Tensor z = Tensor::uninitialized(var.shape(), DType::complex128);
  for (std::size_t i = 0; i < x.size(); ++i) {
    z.mutable_data<std::complex<double>>()[i] = {x[i], step * direction[i]};
  }
  var.assign(z);
}

}  // namespace xgrad::detail
