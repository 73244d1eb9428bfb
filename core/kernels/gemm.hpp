#pragma once

#include <xgrad/core/kernels/weights.hpp>

namespace xgrad::detail {

/// c = a.b, or c += a.b: the only way from xgrad to BLAS's products. Matrices of one dtype; a and b
/// may have any strides, c must be row-major or the transpose of a row-major matrix (its rows may
/// have gaps).
///
/// A product with weights (or their transpose) goes to packed_gemm. The gradient of weights, a
/// transposed times b, goes to outer_gemm where that pays. The choice depends on the shapes alone,
/// so that a product has the same bits whenever it is computed.
void gemm(const Tensor& a, const Tensor& b, const Tensor& c, bool accumulate,
          Weights* b_weights = nullptr);

/// c = start + a.b with a row-major c of its own. start has c's shape, or (1, columns) for one row
/// that is added to all.
void gemm_onto(const Tensor& start, const Tensor& a, const Tensor& b, const Tensor& c,
               Weights* b_weights = nullptr);

}  // namespace xgrad::detail
