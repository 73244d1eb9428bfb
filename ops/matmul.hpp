#pragma once

#include <xgrad/core/var.hpp>

/// Matrix products. All of them reach BLAS, or the packed kernel for few rows times a parameter,
/// through one seam (<xgrad/core/kernels/gemm.hpp>).
namespace xgrad {

/// y = a.b; da = dy.b^T, db = a^T.dy.
///
/// - (M,K) x (K,N) -> (M,N)
/// - (...,M,K) x (K,N) -> (...,M,N): the leading axes of a are flattened into its rows
/// - (B,M,K) x (B,K,N) -> (B,M,N): one product per batch entry; either B may be 1, which stretches
/// - a vector a is one row, a vector b one column, and the result has no such axis, as in NumPy:
///   (K) x (K) -> (), (K) x (K,N) -> (N), (...,M,K) x (K) -> (...,M), (K) x (B,K,N) -> (B,N)
///
/// Throws if the inner extents or the batch extents do not fit, or for other numbers of axes.
Var matmul(const Var& a, const Var& b);

/// y = x.W + b, a linear layer, as one node: x (...,I), W (I,O), b (O) or (...,O) -> (...,O).
/// dx = dy.W^T, dW = x^T.dy over all rows, db = dy, summed over all rows if b is a vector.
/// The product is summed onto b, which is cheaper than matmul and a sum, and rounds once less.
/// Throws unless x has an axis of I, W is a matrix, and b a vector of O or of the result's shape.
Var affine(const Var& x, const Var& W, const Var& b);

/// y_ij = a_i b_j of two vectors: (M), (N) -> (M,N). Throws if one is not a vector.
Var outer(const Var& a, const Var& b);

}  // namespace xgrad
