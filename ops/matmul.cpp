#include <algorithm>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/product.hpp>
#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad {
namespace {

[[noreturn]] void refuse(const Var& a, const Var& b, const std::string& rule) {
  throw Error("matmul: a is " + to_string(a.shape()) + ", b is " + to_string(b.shape()) + ": " +
              rule);
}

/// x as a matrix of its last axis.
Var rows_of(const Var& x) {
  if (x.dim() == 2) return x;
  const Index cols = x.shape().back();
  Index rows = 1;  // not size / cols: cols may be 0
  for (std::size_t i = 0; i + 1 < x.dim(); ++i) rows *= x.shape()[i];
  return reshape(x, {rows, cols});
}

/// The i-th matrix of a batch; the only one, if there is but one.
Tensor matrix(const Tensor& batch, Index i) {
  const Index step = batch.shape()[0] == 1 ? 0 : batch.strides()[0];
  return batch.view({batch.shape()[1], batch.shape()[2]}, {batch.strides()[1], batch.strides()[2]},
                    i * step);
}

// y[i] = a[i].b[i]
struct BatchedProduct {
  static constexpr const char* name = "matmul";
  Tensor value(const Tensor& a, const Tensor& b) const {
    const Index batch = a.shape()[0] == 1 ? b.shape()[0] : a.shape()[0];
    Tensor y = Tensor::uninitialized({batch, a.shape()[1], b.shape()[2]}, a.dtype());
    for (Index i = 0; i < batch; ++i) detail::gemm(matrix(a, i), matrix(b, i), matrix(y, i), false);
    return y;
  }
  void pullback(Pullback& p) const {
    const Var& g = p.gradient();
    if (p.wants(0)) p.add(0, matmul(g, transpose(p.input(1), {0, 2, 1})));
    if (p.wants(1)) p.add(1, matmul(transpose(p.input(0), {0, 2, 1}), g));
  }
};

// y = x.W + b with x as a matrix and y in the shape asked for.
struct Affine {
  static constexpr const char* name = "affine";
  Shape shape;
  bool b_is_row;  ///< else it has y's shape
  detail::Parameter* W_parameter;

  std::uint32_t addends() const { return b_is_row ? 0 : 0b100; }
  Tensor value(const Tensor& x, const Tensor& W, const Tensor& b) const {
    const Tensor y = Tensor::uninitialized(shape, x.dtype());
    const Shape flat{x.shape()[0], W.shape()[1]};
    const Tensor start = detail::contiguous(b);
    const Shape rows{b_is_row ? 1 : flat[0], flat[1]};
    detail::gemm_onto(start.view(rows, contiguous_strides(rows)), x, W,
                      y.view(flat, contiguous_strides(flat)), W_parameter);
    return y;
  }
  void pullback(Pullback& p) const {
    const Var g = rows_of(p.gradient());
    if (p.wants(0)) p.add_product(0, g, transpose(p.input(1)));
    if (p.wants(1)) p.add_product(1, transpose(p.input(0)), g);
    if (b_is_row) {
      p.add(2, g);
    } else {
      p.pass_on(2);
    }
  }
};

}  // namespace

Var matmul(const Var& a, const Var& b) {
  const Shape& m = a.shape();
  const Shape& n = b.shape();
  if (m.size() >= 2 && n.size() == 2) {
    if (m.back() != n[0]) {
      refuse(a, b, "a.shape[" + std::to_string(m.size() - 1) + "] must equal b.shape[0]");
    }
    const Var y = detail::product(rows_of(a), b);
    if (m.size() == 2) return y;
    Shape shape = m;
    shape.back() = n[1];
    return reshape(y, shape);
  }
  if (m.size() == 1 && (n.size() == 2 || n.size() == 3)) {
    const std::size_t inner = n.size() - 2;
    if (m[0] != n[inner]) {
      refuse(a, b, "a.shape[0] must equal b.shape[" + std::to_string(inner) + "]");
    }
    const Var row = unsqueeze(a, 0);
    const Var y = matmul(n.size() == 2 ? row : unsqueeze(row, 0), b);
    return squeeze(y, -2);
  }
  if (m.size() >= 1 && n.size() == 1) {
    if (m.back() != n[0]) {
      refuse(a, b, "a.shape[" + std::to_string(m.size() - 1) + "] must equal b.shape[0]");
    }
    const Var y = detail::product(m.size() == 1 ? unsqueeze(a, 0) : rows_of(a), unsqueeze(b, 1));
    return reshape(y, Shape(m.begin(), m.end() - 1));
  }
  if (m.size() != 3 || n.size() != 3) {
    refuse(a, b,
           "b must be a vector or a matrix and a have at least 1 axis, or b must have 3 and a 1 or "
           "3");
  }
  if (m[2] != n[1]) refuse(a, b, "a.shape[2] must equal b.shape[1]");
  if (m[0] != n[0] && m[0] != 1 && n[0] != 1) {
    refuse(a, b, "a.shape[0] and b.shape[0] must be equal, or one of them 1");
  }
  return apply(BatchedProduct{}, a, b);
}

Var affine(const Var& x, const Var& W, const Var& b) {
  if (x.dim() >= 1 && W.dim() == 2 && x.shape().back() == W.shape()[0]) {
    Shape shape = x.shape();
    shape.back() = W.shape()[1];
    const bool b_is_row = b.shape() == Shape{shape.back()};
    if (b_is_row || b.shape() == shape) {
      return apply(Affine{shape, b_is_row, W.parameter_or_null()}, rows_of(x), W, b);
    }
  }
  throw Error("affine: x is " + to_string(x.shape()) + ", W is " + to_string(W.shape()) +
              ", b is " + to_string(b.shape()) +
              ": they must be (...,I), (I,O) and (O) or (...,O)");
}

Var outer(const Var& a, const Var& b) {
  if (a.dim() != 1 || b.dim() != 1) {
    throw Error("outer: a is " + to_string(a.shape()) + ", b is " + to_string(b.shape()) +
                ": both must have 1 axis");
  }
  const Var inputs[] = {a, b};
  detail::check_dtypes("outer", inputs);
  return unsqueeze(a, 1) * b;
}

}  // namespace xgrad
