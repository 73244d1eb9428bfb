#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <ostream>

#include <xgrad/core/float32check.hpp>
#include <xgrad/core/runtime/text_stream.hpp>
#include <xgrad/core/verify/plain_function.hpp>
#include <xgrad/core/verify/rounding_model.hpp>

namespace xgrad {

const Float32Tensor& Float32Report::operator[](std::string_view input) const {
  for (const Float32Tensor& each : inputs) {
    if (each.name == input) return each;
  }
  throw Error("float32check: the report has no input '" + std::string(input) + "'");
}

namespace detail {
namespace {

constexpr double unit_roundoff = 0x1p-24;
constexpr double lambda = 8;
constexpr double smallest_normal = 0x1p-126;  // kernels may flush what is smaller

using Values = std::vector<double>;

/// The distance of float32 numbers of that magnitude.
double ulp_at(double magnitude) {
  return magnitude > 0 ? std::max(std::exp2(std::floor(std::log2(magnitude)) - 23), 0x1p-149)
                       : 0x1p-149;
}

/// For each entry, how far float32 may be off.
Values bounds(const Values& reference, const std::vector<Values>& samples) {
  Values bound(reference.size());
  double squares = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    for (const Values& sample : samples) {
      const double change = std::abs(sample[i] - reference[i]);
      if (!(change <= bound[i]) && !std::isnan(bound[i])) bound[i] = change;
      if (std::isfinite(change)) squares += change * change;
    }
  }
  const auto n = static_cast<double>(std::max<std::size_t>(1, reference.size() * samples.size()));
  const double common = std::sqrt(squares / n);
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (std::isnan(bound[i])) continue;
    bound[i] = std::max(bound[i], common);
    bound[i] = std::max(bound[i], lambda * unit_roundoff * std::abs(reference[i]));
    bound[i] += smallest_normal;
  }
  return bound;
}

/// The verdict on one tensor.
void judge(Float32Tensor& tensor, const Values& float32, const Values& float64,
           const std::vector<Values>& samples, double resolution) {
  tensor.entries = static_cast<Index>(float64.size());
  if (float64.empty()) {
    tensor.note = "it has no entries";
    return;
  }
  for (const double x : float64) {
    if (!std::isfinite(x)) {
      tensor.verdict = Verdict::ill_conditioned;
      tensor.note = "it is not finite in float64";
      return;
    }
    tensor.scale = std::max(tensor.scale, std::abs(x));
  }
  tensor.ulp = ulp_at(tensor.scale);
  const Values bound = bounds(float64, samples);
  double furthest = -1;
  double largest = 0;
  bool all_zero = tensor.scale == 0;
  for (std::size_t i = 0; i < float64.size(); ++i) {
    all_zero = all_zero && float32[i] == 0;
    if (!std::isfinite(bound[i])) {
      largest = std::numeric_limits<double>::infinity();
      continue;
    }
    largest = std::max(largest, bound[i]);
    const double error = std::abs(float32[i] - float64[i]);
    const bool within = error <= bound[i];
    tensor.wrong += !within;
    const double excess =
        std::isnan(error) ? std::numeric_limits<double>::infinity() : error / bound[i];
    if (excess > furthest) {
      furthest = excess;
      tensor.index = position_of(i, tensor.shape);
      tensor.float32 = float32[i];
      tensor.float64 = float64[i];
      tensor.error = error / tensor.ulp;
      tensor.bound = bound[i] / tensor.ulp;
    }
  }
  tensor.largest_bound = largest / tensor.ulp;
  if (tensor.wrong > 0) {
    tensor.verdict = Verdict::wrong;
  } else if (all_zero) {
    tensor.verdict = Verdict::zero;
  } else if (!(largest <= resolution * tensor.scale)) {
    tensor.verdict = Verdict::ill_conditioned;
    tensor.note = std::isfinite(largest)
                      ? "rounding alone may change it by " +
                            std::to_string(largest / tensor.scale) + " of its largest entry"
                      : "float32 may overflow, or rounding turn it into NaN";
  } else {
    tensor.verdict = Verdict::correct;
  }
}

/// The part of all results that belongs to one of them.
Values part_of(const Values& all, std::size_t begin, Index size) {
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
  return {from, from + size};
}

}  // namespace

Float32Report float32check(const std::function<Results()>& f, const CheckedInputs& inputs,
                           const Float32Options& options) {
  if (options.samples < 1) {
    throw Error("float32check: samples is " + std::to_string(options.samples) +
                ": it must be at least 1");
  }
  const KeptParameters kept(inputs.converted);
  inputs.convert(DType::float32);
  inputs.convert(DType::float64);
  Subject subject(f, inputs, options.generators);
  const std::vector<Shape> shapes = subject.result_shapes();
  std::size_t numbers = 0;
  for (const Shape& shape : shapes) numbers += static_cast<std::size_t>(element_count(shape));
  Generator random(options.seed);
  const Values covector = random_direction(random, numbers);  // float32 holds it

  ReductionLengths lengths;
  const Subject::Gradients float64 = [&] {
    const RoundingModel exact(lengths);
    return subject.gradients(covector, TapeMode::naive);
  }();
  Float32Report report;
  std::vector<Subject::Gradients> samples;
  for (int s = 0; s < options.samples; ++s) {
    RoundingModel model(DType::float32, lambda, random.next(), lengths);
    samples.push_back(subject.gradients(covector, TapeMode::naive));
    report.longest_reduction = model.longest_reduction();
  }
  inputs.convert(DType::float32);
  const Subject::Gradients float32 = subject.gradients(covector, TapeMode::fast);
  inputs.convert(DType::float64);

  std::size_t begin = 0;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    Float32Tensor& result = report.results.emplace_back();
    result.name = "result" + (shapes.size() > 1 ? std::to_string(k) : "");
    result.shape = shapes[k];
    const Index size = element_count(shapes[k]);
    std::vector<Values> parts;
    for (const Subject::Gradients& sample : samples)
      parts.push_back(part_of(sample.y, begin, size));
    judge(result, part_of(float32.y, begin, size), part_of(float64.y, begin, size), parts,
          options.resolution);
    begin += static_cast<std::size_t>(size);
  }
  for (std::size_t k = 0; k < subject.inputs(); ++k) {
    Float32Tensor& input = report.inputs.emplace_back();
    input.name = inputs.checked[k].name;
    input.shape = inputs.checked[k].var.shape();
    std::vector<Values> parts;
    for (const Subject::Gradients& sample : samples) parts.push_back(sample.g[k]);
    judge(input, float32.g[k], float64.g[k], parts, options.resolution);
    if (input.verdict == Verdict::zero && !float64.reached[k]) {
      input.verdict = Verdict::vacuous;
      input.note = "no recorded path leads from it to a result";
    }
  }
  bool some = false;
  report.verdict = Verdict::correct;
  for (const auto* list : {&report.results, &report.inputs}) {
    for (const Float32Tensor& tensor : *list) {
      some = some || tensor.entries > 0;
      if (tensor.verdict != Verdict::zero)
        report.verdict = std::max(report.verdict, tensor.verdict);
    }
  }
  if (!some) {
    report.verdict = Verdict::vacuous;
    report.note = "there are no numbers to compare";
  }
  return report;
}

Float32Report float32check(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                           const Float32Options& options) {
  const InputCopies copies(inputs);
  const CheckedInputs checked{copies.checked, copies.vars};
  return float32check([&] { return f(copies.vars); }, checked, options);
}

}  // namespace detail

std::ostream& operator<<(std::ostream& stream, const Float32Report& report) {
  detail::TextStream text;
  text << "float32check: " << name(report.verdict) << ", longest reduction "
       << report.longest_reduction << " terms";
  if (!report.note.empty()) text << "; " << report.note;
  text << "\n  " << std::left << std::setw(24) << "gradient or result" << std::setw(16) << "shape"
       << std::setw(18) << "verdict" << std::right << std::setw(10) << "error" << std::setw(10)
       << "bound"
       << "  (ulps of the largest entry)\n"
       << std::setprecision(3);
  for (const auto* list : {&report.results, &report.inputs}) {
    for (const Float32Tensor& tensor : *list) {
      text << "  " << std::left << std::setw(24) << tensor.name << std::setw(16)
           << to_string(tensor.shape) << std::setw(18) << name(tensor.verdict) << std::right
           << std::setw(10) << tensor.error << std::setw(10) << tensor.bound;
      if (!tensor.note.empty()) text << "  " << tensor.note;
      if (tensor.wrong > 0) {
        text << "  " << tensor.wrong << " of " << tensor.entries << " wrong; at "
             << to_string(tensor.index) << " float32 " << std::setprecision(9) << tensor.float32
             << ", float64 " << tensor.float64 << std::setprecision(3);
      }
      text << '\n';
    }
  }
  return stream << text.str();
}

}  // namespace xgrad
