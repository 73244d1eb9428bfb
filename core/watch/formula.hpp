#pragma once

#include <string>

#include <xgrad/core/kernels/pointwise_kernel.hpp>

namespace xgrad::detail {

/// A node of an expression's tree as a formula: "sigmoid(a) * b + 2". Leaves are a, b, c, ... in
/// their order; `constants` are the expression's numbers.
std::string formula(const ExpressionType& type, const double* constants, int node);
/// The whole expression.
std::string formula(const ExpressionType& type, const double* constants);

/// "a" for the first leaf.
std::string leaf_name(int leaf);

}  // namespace xgrad::detail
