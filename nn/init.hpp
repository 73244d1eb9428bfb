#pragma once

#include <functional>

#include <xgrad/core/tensor.hpp>

/// Initial values of parameters, drawn from the default generator (see `seed`). A weight of shape
/// (in, out) multiplies from the right: y = x.W.
namespace xgrad::nn {

/// It gives float32, in which every module begins: `Module::to` converts all of it.
using Initializer = std::function<Tensor(const Shape&)>;

/// n. Throws, naming the module and its size, unless it is at least 1 and an array of some such
/// rows may be in memory.
Index checked_size(const char* module, const char* size, Index n);

/// init(shape). Throws if the result has another shape.
Tensor initial(const Initializer& init, const Shape& shape);

/// Every element is `value`.
Initializer constant(double value);

/// Uniform in [-limit, limit].
Initializer uniform(double limit);

/// Normal with mean 0.
Initializer normal(double deviation);

/// Uniform in +-sqrt(6 / (in + out)). Glorot and Bengio 2010, eq. 16. Throws unless the parameter
/// is a matrix with at least one element, as do the next two.
Initializer glorot();

/// Normal with deviation sqrt(2 / in), for relu. He et al. 2015, eq. 10.
Initializer he();

/// A matrix with orthonormal rows or columns, whichever are fewer: the QR factor of a normal
/// matrix, uniform over such matrices. Saxe et al. 2013.
Initializer orthogonal();

/// Blocks of (in, out) side by side, each initialised on its own: the weights of `blocks` gates.
/// Throws unless there is at least one element.
Tensor per_gate(const Initializer& init, Index blocks, Index in, Index out);

}  // namespace xgrad::nn
