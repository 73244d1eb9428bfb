#include <algorithm>
#include <limits>

#include <xgrad/core/error.hpp>
#include <xgrad/core/shape.hpp>

namespace xgrad {

void detail::refuse_index(std::uintmax_t i) {
  throw Error("shape: " + std::to_string(i) + ": an extent or axis must be at most " +
              std::to_string(std::numeric_limits<Index>::max()));
}

void Shape::refuse() { throw Error("shape: a tensor has at most 8 axes"); }

void Shape::refuse_axis(const char* op, std::size_t axis) const {
  throw Error("shape: " + std::string(op) + ": " + to_string(*this) + " has no axis " +
              std::to_string(axis));
}

void Shape::insert(std::size_t axis, Index extent) {
  if (axis > size_) refuse_axis("insert", axis);
  push_back(extent);
  std::rotate(begin() + axis, end() - 1, end());
}

void Shape::erase(std::size_t axis) {
  if (axis >= size_) refuse_axis("erase", axis);
  std::copy(begin() + axis + 1, end(), begin() + axis);
  --size_;
}

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  return text + ')';
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  Index step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t lead = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    Index& extent = result[lead + i];
    if (extent == shorter[i] || shorter[i] == 1) continue;
    if (extent != 1) {
      throw Error(std::string(op) + ": a is " + to_string(a) + ", b is " + to_string(b) +
                  ": the extents of each axis, aligned at the right, must be equal or 1");
    }
    extent = shorter[i];
  }
  return result;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  const std::size_t lead = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != to[lead + i] && from[i] != 1) return false;
  }
  return true;
}

std::size_t normalize_axis(const char* op, Index axis, const Shape& shape) {
  const Index axes = static_cast<Index>(shape.size());
  const Index position = axis < 0 ? axis + axes : axis;
  if (position < 0 || position >= axes) {
    throw Error(std::string(op) + ": x is " + to_string(shape) + ": there is no axis " +
                std::to_string(axis));
  }
  return static_cast<std::size_t>(position);
}

}  // namespace xgrad
