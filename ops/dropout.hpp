#pragma once

#include <xgrad/core/random.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad {

/// Each element is 0 with probability p, else x / (1 - p), so that the expectation is x (inverted
/// dropout, Srivastava et al. 2014); dx = dy / (1 - p) or 0 alike, also where x or dy is not
/// finite. p = 0 gives x itself and draws nothing. Throws unless p is in [0, 1).
Var dropout(const Var& x, double p, Generator& generator = default_generator());

}  // namespace xgrad
