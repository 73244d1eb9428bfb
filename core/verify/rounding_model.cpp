#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <string_view>
#include <vector>

#include <xgrad/core/verify/rounding_model.hpp>

namespace xgrad::detail {
namespace {

/// How many terms each element of the result is a sum of.
Index reduction_length(std::string_view op, std::span<const Var> inputs, const Shape& result) {
  if (op == "matmul" || op == "affine") return inputs[0].shape().back();
  Index most = 1;
  for (const Var& x : inputs)
    most = std::max(most, x.size() / std::max<Index>(1, element_count(result)));
  return most;
}

/// IEEE 754 requires that the rounded result be the nearest number.
bool is_correctly_rounded(std::string_view op) {
  return op == "add" || op == "subtract" || op == "multiply" || op == "divide" || op == "sqrt";
}

/// The numbers of a tensor in float64, or the parts of those in complex128.
const double* numbers_of(const Tensor& x) {
  if (x.dtype() == DType::float64) return x.data<double>();
  return reinterpret_cast<const double*>(x.data<std::complex<double>>());
}

double* mutable_numbers_of(const Tensor& x) {
  if (x.dtype() == DType::float64) return x.mutable_data<double>();
  return reinterpret_cast<double*>(x.mutable_data<std::complex<double>>());
}

/// What float32 can hold is not rounded.
void restore_float32(const Tensor& exact, const Tensor& result) {
  const double* from = exact.data<double>();
  double* to = result.mutable_data<double>();
  const Index size = result.size();
  for (Index i = 0; i < size; ++i) {
    if (from[i] == static_cast<double>(static_cast<float>(from[i]))) to[i] = from[i];
  }
}

}  // namespace

RoundingModel::RoundingModel(ReductionLengths& noted)
    : float32_(false), unit_(0), noted_(&noted), lengths_(noted), outer_(rounding_in_force) {
  rounding_in_force = this;
}

RoundingModel::RoundingModel(DType arithmetic, double reserve, std::uint64_t seed,
                             const ReductionLengths& lengths)
    : float32_(arithmetic == DType::float32),
      unit_(reserve * (float32_ ? 0x1p-24 : 0x1p-53)),
      noted_(nullptr),
      lengths_(lengths),
      random_(seed),
      outer_(rounding_in_force) {
  rounding_in_force = this;
}

RoundingModel::~RoundingModel() { rounding_in_force = outer_; }

Tensor RoundingModel::rounded(const char* op, std::span<const Var> inputs,
                              const Evaluation& evaluate) {
  if (noted_) {
    const Tensor exact = contiguous(evaluate(inputs.data()));
    noted_->push_back({op, reduction_length(op, inputs, exact.shape())});
    return exact;
  }
  const Index n = length_of(op, inputs);
  if (inputs[0].dtype() == DType::float32) return contiguous(evaluate(inputs.data()));
  const double amount = unit_ * std::sqrt(static_cast<double>(n));
  std::vector<Var> operands;
  for (const Var& x : inputs) {
    operands.emplace_back(perturbed(x.tensor(), amount, x.tensor()));
  }
  const Tensor value = contiguous(evaluate(operands.data()));
  const Tensor result = perturbed(value, amount, value);
  note_sum(result, n);
  return result;
}

Tensor RoundingModel::rounded(const char* op, std::span<const Var> inputs, const Tensor& value) {
  if (noted_ || value.dtype() == DType::float32) return value;
  const std::string_view name = op;
  Index terms = 1;
  double amount = unit_;
  if (name == "add" || name == "subtract") {
    const Index a = terms_of(inputs[0]);
    const Index b = terms_of(inputs[1]);
    terms = std::max<Index>(1, a > 1 || b > 1 ? a + b : 1);
    // The terms of the shorter sum may be added to the longer one by one.
    amount *= std::sqrt(static_cast<double>(std::min(a, b)));
  }
  const Tensor result = perturbed(value, amount, value);
  if (float32_ && terms == 1 && is_correctly_rounded(name)) restore_float32(value, result);
  note_sum(result, terms);
  return result;
}

Tensor RoundingModel::rounded(const Tensor& value, const Tensor& magnitude) {
  return noted_ || value.dtype() == DType::float32 ? value : perturbed(value, unit_, magnitude);
}

double RoundingModel::constant(double value) const {
  return float32_ ? static_cast<double>(static_cast<float>(value)) : value;
}

double RoundingModel::in_range(double x, bool flush) const {
  if (!float32_) return x;
  // xsimd's exp gives inf a little before float32 ends.
  if (std::abs(x) > 0x1p127) return std::copysign(std::numeric_limits<double>::infinity(), x);
  return flush && std::abs(x) < 0x1p-126 ? 0 : x;
}

Tensor RoundingModel::perturbed(const Tensor& x, double amount, const Tensor& magnitude) {
  const Tensor result = x.copy();
  const Tensor sizes = contiguous(magnitude);
  const double* size_of = numbers_of(sizes);
  double* values = mutable_numbers_of(result);
  std::uint64_t bits = 0;
  const Index size = result.size() * (result.dtype() == DType::complex128 ? 2 : 1);
  for (Index i = 0; i < size; ++i, bits >>= 8) {
    if (i % 8 == 0) bits = random_.next();
    // From 1/2 to 1 times the amount: errors of one size would often cancel.
    const double part = static_cast<double>(128 + (bits & 127)) / 255;
    const bool up = (bits & 128) != 0;
    values[i] = in_range(values[i] + (up ? amount : -amount) * part * size_of[i], up);
  }
  return result;
}

Index RoundingModel::length_of(const char* op, std::span<const Var> inputs) {
  if (next_ < lengths_.size() && std::string_view(op) == lengths_[next_].op) {
    return lengths_[next_++].terms;
  }
  next_ = lengths_.size();  // rounding took the program another way
  return reduction_length(op, inputs, {});
}

Index RoundingModel::terms_of(const Var& x) const {
  const auto found = sums_.find(x.tensor().bytes());
  return found == sums_.end() ? 1 : found->second.terms;
}

void RoundingModel::note_sum(const Tensor& value, Index terms) {
  if (terms == 1) return;
  longest_ = std::max(longest_, terms);
  sums_.insert_or_assign(value.bytes(), Sum{value, terms});
}

}  // namespace xgrad::detail
