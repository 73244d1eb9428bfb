#include <algorithm>

#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad {
namespace {

std::string describe(const char* op, const Var& x) {
  return std::string(op) + ": x is " + to_string(x.shape());
}

/// `extent` entries along an axis, from `begin`.
Tensor part(const Tensor& x, std::size_t axis, Index begin, Index extent) {
  Shape shape = x.shape();
  shape[axis] = extent;
  return x.view(shape, x.strides(), extent == 0 ? 0 : begin * x.strides()[axis]);
}

Tensor without_axis(const Tensor& x, std::size_t axis) {
  Shape shape = x.shape();
  Shape strides = x.strides();
  shape.erase(axis);
  strides.erase(axis);
  return x.view(shape, strides);
}

/// The position of a new axis: 0 to dim, or counted from the end of the result.
std::size_t new_axis(const char* op, Index axis, const Var& x) {
  const Index axes = static_cast<Index>(x.dim()) + 1;
  const Index position = axis < 0 ? axis + axes : axis;
  if (position < 0 || position >= axes) {
    throw Error(describe(op, x) + ": the result has no axis " + std::to_string(axis));
  }
  return static_cast<std::size_t>(position);
}

struct Concat {
  static constexpr const char* name = "concat";
  static constexpr bool exact = true;
  std::size_t axis;

  Tensor value(std::span<const Var> xs) const {
    Shape shape = xs[0].shape();
    shape[axis] = 0;
    for (const Var& x : xs) shape[axis] += x.shape()[axis];
    const Tensor y = Tensor::uninitialized(shape, xs[0].dtype());
    Index at = 0;
    for (const Var& x : xs) {
      const Index extent = x.shape()[axis];
      detail::copy_elements(x.tensor(), part(y, axis, at, extent));
      at += extent;
    }
    return y;
  }
  void pullback(Pullback& p) const {
    const Var& g = p.gradient();
    Index at = 0;
    for (std::size_t i = 0; i < p.inputs(); ++i) {
      const Index extent = p.input(i).shape()[axis];
      if (p.wants(i)) p.add_part(i, detail::view_of(g, part(g.tensor(), axis, at, extent)));
      at += extent;
    }
  }
};

struct Stack {
  static constexpr const char* name = "stack";
  static constexpr bool exact = true;
  std::size_t axis;

  static Tensor entry(const Tensor& y, std::size_t axis, std::size_t i) {
    return without_axis(part(y, axis, static_cast<Index>(i), 1), axis);
  }
  Tensor value(std::span<const Var> xs) const {
    Shape shape = xs[0].shape();
    shape.insert(axis, static_cast<Index>(xs.size()));
    const Tensor y = Tensor::uninitialized(shape, xs[0].dtype());
    detail::PoolVector<Tensor> entries;  // made here: they count references to y
    for (std::size_t i = 0; i < xs.size(); ++i) entries.push_back(entry(y, axis, i));
    const Index bytes = y.size() * static_cast<Index>(item_size(y.dtype()));
    detail::parallel_copies(xs.size(), bytes, [&](std::size_t i) {
      detail::copy_elements(xs[i].tensor(), entries[i]);
    });
    return y;
  }
  void pullback(Pullback& p) const {
    const Var& g = p.gradient();
    for (std::size_t i = 0; i < p.inputs(); ++i) {
      if (p.wants(i)) p.add_part(i, detail::view_of(g, entry(g.tensor(), axis, i)));
    }
  }
};

struct Flip {
  static constexpr const char* name = "flip";
  static constexpr bool exact = true;
  std::size_t axis;

  Tensor value(const Tensor& x) const {
    const Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
    if (x.size() == 0) return y;
    Shape backwards = x.strides();
    backwards[axis] = -backwards[axis];
    const Index last = (x.shape()[axis] - 1) * x.strides()[axis];
    detail::copy_elements(x.view(x.shape(), backwards, last), y);
    return y;
  }
  void pullback(Pullback& p) const { p.add(0, flip(p.gradient(), static_cast<Index>(axis))); }
};

}  // namespace

Var reshape(const Var& x, const Shape& shape) {
  Shape wanted = shape;
  Index* unknown = nullptr;
  bool valid = true;
  for (Index& extent : wanted) {
    if (extent == -1 && !unknown) {
      unknown = &extent;
      extent = 1;
    } else {
      valid = valid && extent >= 0;
    }
  }
  valid = valid && !too_large(wanted, item_size(x.dtype()));
  const Index known = valid ? element_count(wanted) : 0;
  if (unknown && known > 0) *unknown = x.size() / known;
  if (!valid || (unknown && known == 0) || element_count(wanted) != x.size()) {
    throw Error(describe("reshape", x) + ", the new shape is " + to_string(shape) +
                ": both must hold the same number of elements");
  }
  const Var base = x.tensor().is_contiguous() ? x : detail::copy(x);
  return detail::view_of(base, base.tensor().view(wanted, contiguous_strides(wanted)));
}

Var transpose(const Var& x) {
  Axes order;
  for (Index axis = static_cast<Index>(x.dim()); axis-- > 0;) order.push_back(axis);
  return transpose(x, order);
}

Var transpose(const Var& x, const Axes& order) {
  std::array<bool, Shape::max_axes> seen{};
  bool valid = order.size() == x.dim();
  Shape shape;
  Shape strides;
  for (std::size_t i = 0; i < order.size() && valid; ++i) {
    const std::size_t axis = normalize_axis("transpose", order[i], x.shape());
    valid = !seen[axis];
    seen[axis] = true;
    shape.push_back(x.shape()[axis]);
    strides.push_back(x.tensor().strides()[axis]);
  }
  if (!valid) {
    throw Error(describe("transpose", x) + ", order is " + to_string(order) +
                ": it must name each axis once");
  }
  return detail::view_of(x, x.tensor().view(shape, strides));
}

Var slice(const Var& x, Index axis, Index begin, Index end, Index step) {
  const std::size_t position = normalize_axis("slice", axis, x.shape());
  const Index extent = x.shape()[position];
  const Index first = begin < 0 ? begin + extent : begin;
  const Index last = end < 0 ? end + extent : end;
  if (first < 0 || first > last || last > extent) {
    throw Error(describe("slice", x) + ", axis " + std::to_string(axis) + " from " +
                std::to_string(begin) + " to " + std::to_string(end) +
                ": the range must lie within the axis, begin before end");
  }
  if (step < 1) {
    throw Error(describe("slice", x) + ", step is " + std::to_string(step) +
                ": it must be at least 1");
  }
  step = std::min(step, std::max<Index>(1, last - first));  // a longer one takes the first, too
  const Index count = first == last ? 0 : (last - first - 1) / step + 1;
  const Tensor range = part(x.tensor(), position, first, count);
  Shape strides = range.strides();
  strides[position] *= step;
  return detail::view_of(x, range.view(range.shape(), strides));
}

void detail::split(const Var& x, Index axis, std::span<Var> parts) {
  const std::size_t position = normalize_axis("split", axis, x.shape());
  const Index n = static_cast<Index>(parts.size());
  if (n == 0 || x.shape()[position] % n != 0) {
    throw Error(describe("split", x) + ": " + std::to_string(n) +
                " equal parts must make up axis " + std::to_string(axis));
  }
  const Index extent = x.shape()[position] / n;
  for (Index i = 0; i < n; ++i) {
    parts[static_cast<std::size_t>(i)] = view_of(x, part(x.tensor(), position, i * extent, extent));
  }
}

std::vector<Var> split(const Var& x, Index n, Index axis) {
  // Beyond any vector's size there are too many of them, even of an axis without elements.
  const bool possible = n > 0 && !too_large({n}, sizeof(Var));
  std::vector<Var> parts(possible ? static_cast<std::size_t>(n) : 0);
  detail::split(x, axis, parts);
  return parts;
}

Var concat(std::span<const Var> xs, Index axis) {
  if (xs.empty()) throw Error("concat: there must be at least one array");
  const std::size_t position = normalize_axis("concat", axis, xs[0].shape());
  for (const Var& x : xs) {
    Shape shape = x.shape();
    if (shape.size() == xs[0].dim()) shape[position] = xs[0].shape()[position];
    if (!(shape == xs[0].shape())) {
      throw Error("concat: arrays are " + to_string(xs[0].shape()) + " and " +
                  to_string(x.shape()) + ": their shapes may differ along axis " +
                  std::to_string(axis) + " only");
    }
  }
  return apply_all(Concat{position}, xs);
}

Var stack(std::span<const Var> xs, Index axis) {
  if (xs.empty()) throw Error("stack: there must be at least one array");
  const std::size_t position = new_axis("stack", axis, xs[0]);
  for (const Var& x : xs) {
    if (!(x.shape() == xs[0].shape())) {
      throw Error("stack: arrays are " + to_string(xs[0].shape()) + " and " + to_string(x.shape()) +
                  ": they must have one shape");
    }
  }
  return apply_all(Stack{position}, xs);
}

Var broadcast_to(const Var& x, const Shape& shape) {
  if (!broadcasts_to(x.shape(), shape)) {
    throw Error(describe("broadcast_to", x) + ", the new shape is " + to_string(shape) +
                ": aligned at the right, each extent of x must be equal to its own or 1");
  }
  return detail::broadcast_to(x, shape);
}

Var flip(const Var& x, Index axis) {
  return apply(Flip{normalize_axis("flip", axis, x.shape())}, x);
}

Var squeeze(const Var& x, Index axis) {
  const std::size_t position = normalize_axis("squeeze", axis, x.shape());
  if (x.shape()[position] != 1) {
    throw Error(describe("squeeze", x) + ": axis " + std::to_string(axis) + " must have extent 1");
  }
  return detail::view_of(x, without_axis(x.tensor(), position));
}

Var unsqueeze(const Var& x, Index axis) {
  const std::size_t position = new_axis("unsqueeze", axis, x);
  Shape shape = x.shape();
  Shape strides = x.tensor().strides();
  strides.insert(position, position < shape.size() ? shape[position] * strides[position] : 1);
  shape.insert(position, 1);
  return detail::view_of(x, x.tensor().view(shape, strides));
}

}  // namespace xgrad
