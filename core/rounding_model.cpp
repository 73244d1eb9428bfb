#include <algorithm>
#include <cmath>
#include <string_view>

#include <xgrad/core/rounding_model.hpp>

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

RoundingModel::RoundingModel(double unit, std::uint64_t seed)
    : unit_(unit), random_(seed), outer_(rounding_model) {
  rounding_model = this;
}

RoundingModel::~RoundingModel() { rounding_model = outer_; }

Tensor RoundingModel::rounded(const char* op, std::span<const Var> inputs,
                              const std::function<Tensor(std::span<const Var>)>& evaluate) {
  const Tensor exact = contiguous(evaluate(inputs));
  if (exact.dtype() != DType::float64) return exact;
  const Index n = reduction_length(op, inputs, exact.shape());
  const double amount = unit_ * std::sqrt(static_cast<double>(n));
  std::vector<Var> operands;
  for (const Var& x : inputs) {
    operands.emplace_back(perturbed(x.tensor(), amount, x.tensor()));
  }
  const Tensor value = evaluate(operands);
  const Tensor result = perturbed(value, amount, value);
  note_sum(result, n);
  return result;
}

Tensor RoundingModel::rounded(const char* op, std::span<const Var> inputs, const Tensor& value) {
  if (value.dtype() != DType::float64) return value;
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
  if (terms == 1 && is_correctly_rounded(name)) restore_float32(value, result);
  note_sum(result, terms);
  return result;
}

Tensor RoundingModel::rounded(const Tensor& value, const Tensor& magnitude) {
  return value.dtype() == DType::float64 ? perturbed(value, unit_, magnitude) : value;
}

double RoundingModel::constant(double value) {
  return static_cast<double>(static_cast<float>(value));
}

Tensor RoundingModel::perturbed(const Tensor& x, double amount, const Tensor& magnitude) {
  const Tensor result = x.copy();
  const Tensor sizes = contiguous(magnitude);
  const double* size_of = sizes.data<double>();
  double* values = result.mutable_data<double>();
  std::uint64_t bits = 0;
  const Index size = result.size();
  for (Index i = 0; i < size; ++i, bits >>= 8) {
    if (i % 8 == 0) bits = random_.next();
    // From 1/2 to 1 times the amount: errors of one size would often cancel.
    const double part = static_cast<double>(128 + (bits & 127)) / 255;
    values[i] += ((bits & 128) != 0 ? amount : -amount) * part * size_of[i];
  }
  return result;
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
