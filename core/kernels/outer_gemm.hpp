#pragma once

#include <cstddef>

#include <xgrad/core/kernels/packed_gemm.hpp>

namespace xgrad::detail {

/// True where outer_gemm was measured to be ahead of BLAS, which copies both matrices first.
template <class T>
bool outer_gemm_pays(std::size_t m, std::size_t n, std::size_t k);

/// c = start + a^T.b, the sum of k outer products of the rows of a (k, m) and of b (k, n): the
/// gradient of weights over all time steps. Rows are lda, ldb and ldc apart; c does not overlap a
/// or b. The elements are those of `compute` in <xgrad/core/kernels/tiled_product.hpp>, so their
/// bits depend neither on m nor on n.
template <class T>
void outer_gemm(std::size_t m, std::size_t n, std::size_t k, const T* a, std::ptrdiff_t lda,
                const T* b, std::ptrdiff_t ldb, Start<T> start, T* c, std::ptrdiff_t ldc);

}  // namespace xgrad::detail
