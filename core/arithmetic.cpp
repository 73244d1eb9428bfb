#include <xgrad/core/arithmetic.hpp>

namespace xgrad::detail {

template struct PointwiseFunctions<Add, 2>;
template struct PointwiseFunctions<Subtract, 2>;
template struct PointwiseFunctions<Multiply, 2>;
template struct PointwiseFunctions<Divide, 2>;
template struct PointwiseFunctions<Negate, 1>;
template struct PointwiseFunctions<Greater, 2>;
template struct PointwiseFunctions<GreaterEqual, 2>;
template struct PointwiseFunctions<Equal, 2>;
template struct PointwiseFunctions<Where, 3>;
template struct Kernels<Pointwise<Add, Leaf, Leaf>>;
template struct Kernels<Pointwise<Subtract, Leaf, Leaf>>;
template struct Kernels<Pointwise<Multiply, Leaf, Leaf>>;
template struct Kernels<Pointwise<Divide, Leaf, Leaf>>;
template struct Kernels<Pointwise<Negate, Leaf>>;
template struct Kernels<Pointwise<Greater, Leaf, Leaf>>;
template struct Kernels<Pointwise<GreaterEqual, Leaf, Leaf>>;
template struct Kernels<Pointwise<Equal, Leaf, Leaf>>;
template struct Kernels<Pointwise<Where, Leaf, Leaf, Leaf>>;

}  // namespace xgrad::detail
