#pragma once

#include <xgrad/core/var.hpp>

namespace xgrad::detail {

/// The matrix product a.b of two matrices, recorded; `matmul` without its checks and its batches.
Var product(const Var& a, const Var& b);

}  // namespace xgrad::detail
