#include <xgrad/ops/pointwise.hpp>

namespace xgrad::detail {

template struct PointwiseFunctions<Pow, 2>;
template struct PointwiseFunctions<Atan2, 2>;
template struct PointwiseFunctions<Gaussian, 2>;
template struct PointwiseFunctions<Maximum, 2>;
template struct PointwiseFunctions<Minimum, 2>;
template struct PointwiseFunctions<Clip, 3>;
template struct Kernels<Pointwise<Pow, Leaf, Leaf>>;
template struct Kernels<Pointwise<Pow, Leaf, Constant>>;
template struct Kernels<Pointwise<Atan2, Leaf, Leaf>>;
template struct Kernels<Pointwise<Gaussian, Leaf, Constant>>;
template struct Kernels<Pointwise<Maximum, Leaf, Leaf>>;
template struct Kernels<Pointwise<Minimum, Leaf, Leaf>>;
template struct Kernels<Pointwise<Clip, Leaf, Constant, Constant>>;

}  // namespace xgrad::detail
