#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/engine/product.hpp>
#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/op.hpp>

namespace xgrad::detail {
namespace {

Var transposed(const Var& matrix) { return view_of(matrix, transposed_view(matrix.tensor())); }

// y = a.b: da = dy.b^T, db = a^T.dy
struct Product {
  static constexpr const char* name = "matmul";
  Parameter* b_parameter;
  Tensor value(const Tensor& a, const Tensor& b) const {
    Tensor y = Tensor::uninitialized({a.shape()[0], b.shape()[1]}, a.dtype());
    gemm(a, b, y, false, b_parameter);
    return y;
  }
  void pullback(Pullback& p) const {
    if (p.wants(0)) p.add_product(0, p.gradient(), transposed(p.input(1)));
    if (p.wants(1)) p.add_product(1, transposed(p.input(0)), p.gradient());
  }
};

}  // namespace

Var product(const Var& a, const Var& b) { return apply(Product{b.parameter_or_null()}, a, b); }

}  // namespace xgrad::detail
