#include <xgrad/ops/pointwise.hpp>

namespace xgrad::detail {

template struct PointwiseFunctions<Sigmoid, 1>;
template struct PointwiseFunctions<Tanh, 1>;
template struct PointwiseFunctions<Relu, 1>;
template struct PointwiseFunctions<LeakyRelu, 2>;
template struct PointwiseFunctions<Elu, 2>;
template struct PointwiseFunctions<Gelu, 1>;
template struct PointwiseFunctions<Softplus, 1>;
template struct PointwiseFunctions<Silu, 1>;
template struct Kernels<Pointwise<Sigmoid, Leaf>>;
template struct Kernels<Pointwise<Tanh, Leaf>>;
template struct Kernels<Pointwise<Relu, Leaf>>;
template struct Kernels<Pointwise<LeakyRelu, Leaf, Constant>>;
template struct Kernels<Pointwise<Elu, Leaf, Constant>>;
template struct Kernels<Pointwise<Gelu, Leaf>>;
template struct Kernels<Pointwise<Softplus, Leaf>>;
template struct Kernels<Pointwise<Silu, Leaf>>;

}  // namespace xgrad::detail
