#include <xgrad/ops/pointwise.hpp>

namespace xgrad::detail {

template struct PointwiseFunctions<Exp, 1>;
template struct PointwiseFunctions<Log, 1>;
template struct PointwiseFunctions<Log1p, 1>;
template struct PointwiseFunctions<Expm1, 1>;
template struct PointwiseFunctions<Sqrt, 1>;
template struct PointwiseFunctions<Square, 1>;
template struct PointwiseFunctions<Abs, 1>;
template struct PointwiseFunctions<Sin, 1>;
template struct PointwiseFunctions<Cos, 1>;
template struct PointwiseFunctions<Tan, 1>;
template struct PointwiseFunctions<Sinh, 1>;
template struct PointwiseFunctions<Cosh, 1>;
template struct PointwiseFunctions<Asin, 1>;
template struct PointwiseFunctions<AsinSlope, 1>;
template struct PointwiseFunctions<Acos, 1>;
template struct PointwiseFunctions<Atan, 1>;
template struct PointwiseFunctions<Sign, 1>;
template struct PointwiseFunctions<Floor, 1>;
template struct PointwiseFunctions<NormalCdf, 1>;
template struct PointwiseFunctions<Erf, 1>;
template struct Kernels<Pointwise<Exp, Leaf>>;
template struct Kernels<Pointwise<Log, Leaf>>;
template struct Kernels<Pointwise<Log1p, Leaf>>;
template struct Kernels<Pointwise<Expm1, Leaf>>;
template struct Kernels<Pointwise<Sqrt, Leaf>>;
template struct Kernels<Pointwise<Square, Leaf>>;
template struct Kernels<Pointwise<Abs, Leaf>>;
template struct Kernels<Pointwise<Sin, Leaf>>;
template struct Kernels<Pointwise<Cos, Leaf>>;
template struct Kernels<Pointwise<Tan, Leaf>>;
template struct Kernels<Pointwise<Sinh, Leaf>>;
template struct Kernels<Pointwise<Cosh, Leaf>>;
template struct Kernels<Pointwise<Asin, Leaf>>;
template struct Kernels<Pointwise<AsinSlope, Leaf>>;
template struct Kernels<Pointwise<Acos, Leaf>>;
template struct Kernels<Pointwise<Atan, Leaf>>;
template struct Kernels<Pointwise<Sign, Leaf>>;
template struct Kernels<Pointwise<Floor, Leaf>>;
template struct Kernels<Pointwise<NormalCdf, Leaf>>;
template struct Kernels<Pointwise<Erf, Leaf>>;

}  // namespace xgrad::detail
