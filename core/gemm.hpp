#pragma once

#include <xgrad/core/tensor.hpp>

namespace xgrad::detail {

struct Parameter;

/// c = a.b, or c += a.b: the only way from xgrad to BLAS. Matrices of one dtype; a and b may have
/// any strides, c must be row-major or the transpose of a row-major matrix (its rows may have
/// gaps).
///
/// A product with a parameter (or its transpose) goes to packed_gemm, with the packed parameter
/// kept per version: a recurrent step uses the same weights at every time step. The gradient of
/// weights, a transposed times b, goes to outer_gemm where that pays. The choice depends on the
/// shapes alone, so that a product has the same bits whenever it is computed.
void gemm(const Tensor& a, const Tensor& b, const Tensor& c, bool accumulate,
          Parameter* b_parameter = nullptr);

/// c = start + a.b with a row-major c of its own. start has c's shape, or (1, columns) for one row
/// that is added to all.
void gemm_onto(const Tensor& start, const Tensor& a, const Tensor& b, const Tensor& c,
               Parameter* b_parameter = nullptr);

/// Makes BLAS compute on the caller's thread, in the whole process.
void use_one_blas_thread();

}  // namespace xgrad::detail
