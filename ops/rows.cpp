#include <xgrad/ops/rows.hpp>

namespace xgrad::detail {

ReducedAxes::ReducedAxes(const char* op, const Shape& shape, const Axes& axes)
    : kept(shape), length(1) {
  bool reduced[Shape::max_axes] = {};
  for (const Index given : axes) {
    const std::size_t axis = normalize_axis(op, given, shape);
    if (reduced[axis]) {
      throw Error(std::string(op) + ": the axes are " + to_string(axes) + " and x is " +
                  to_string(shape) + ": axis " + std::to_string(axis) + " is listed twice");
    }
    reduced[axis] = true;
    kept[axis] = 1;
    length *= shape[axis];
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (reduced[axis]) continue;
    order.push_back(static_cast<Index>(axis));
    result.push_back(shape[axis]);
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (reduced[axis]) order.push_back(static_cast<Index>(axis));
  }
}

Tensor as_rows(const Tensor& x, const Shape& order) {
  Shape shape;
  Shape strides;
  for (const Index axis : order) {
    shape.push_back(x.shape()[static_cast<std::size_t>(axis)]);
    strides.push_back(x.strides()[static_cast<std::size_t>(axis)]);
  }
  return contiguous(x.view(shape, strides));
}

Tensor from_rows(const Tensor& rows, const Shape& order, const Shape& shape) {
  Shape strides = shape;
  for (std::size_t i = 0; i < order.size(); ++i) {
    strides[static_cast<std::size_t>(order[i])] = rows.strides()[i];
  }
  return contiguous(rows.view(shape, strides));
}

}  // namespace xgrad::detail
