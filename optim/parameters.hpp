#pragma once

#include <vector>

#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad::detail {

/// The parameters, each once (tied weights), in the order of their first appearance. Throws, naming
/// `caller` and the position, for a Var that is not a parameter.
PoolVector<Var> unique_parameters(const char* caller, const std::vector<Var>& parameters);

}  // namespace xgrad::detail
