#include <algorithm>

#include <xgrad/core/op.hpp>
#include <xgrad/ops/index.hpp>

namespace xgrad {
namespace {

/// Throws if an index is not in [0, extent). `x` is what the op calls its operand.
void check_range(const char* op, const char* x, const Shape& shape, Index extent,
                 const Indices& indices) {
  for (const std::int64_t index : indices.values()) {
    if (index < 0 || index >= extent) {
      throw Error(std::string(op) + ": " + x + " is " + to_string(shape) + ": index " +
                  std::to_string(index) + " is not in [0, " + std::to_string(extent) + ")");
    }
  }
}

/// Calls f(position in the array of entries, position in x), in elements, for each run of `inner`
/// adjacent elements. The array of entries has the indices' axes in place of x's axis.
template <class F>
void for_each_entry(const Shape& x, std::size_t axis, const Indices& indices, F&& f) {
  Index outer = 1;
  Index inner = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= x[i];
  for (std::size_t i = axis + 1; i < x.size(); ++i) inner *= x[i];
  Index entry = 0;
  for (Index i = 0; i < outer; ++i) {
    for (const std::int64_t index : indices.values()) {
      f(entry, (i * x[axis] + static_cast<Index>(index)) * inner, inner);
      entry += inner;
    }
  }
}

Var scatter_add(const Var& entries, const Indices& indices, std::size_t axis, const Shape& shape);

struct Gather {
  static constexpr const char* name = "gather";
  static constexpr bool exact = true;
  Indices indices;
  std::size_t axis;

  Tensor value(const Tensor& x) const {
    Shape shape(x.shape().begin(), x.shape().begin() + axis);
    for (const Index extent : indices.shape()) shape.push_back(extent);
    for (std::size_t i = axis + 1; i < x.dim(); ++i) shape.push_back(x.shape()[i]);
    const Tensor y = Tensor::uninitialized(shape, x.dtype());
    const Tensor source = detail::contiguous(x);
    dispatch(x.dtype(), [&]<class T>() {
      const T* from = source.data<T>();
      T* to = y.mutable_data<T>();
      for_each_entry(x.shape(), axis, indices, [&](Index entry, Index at, Index n) {
        std::copy_n(from + at, n, to + entry);
      });
    });
    return y;
  }
  void pullback(Pullback& p) const {
    if (p.wants(0)) p.add(0, scatter_add(p.gradient(), indices, axis, p.input(0).shape()));
  }
};

// The transpose of gather: zeros to which each entry is added at its index.
struct ScatterAdd {
  static constexpr const char* name = "scatter_add";
  Indices indices;
  std::size_t axis;
  Shape shape;

  Tensor value(const Tensor& entries) const {
    const Tensor y = Tensor::zeros(shape, entries.dtype());
    const Tensor source = detail::contiguous(entries);
    dispatch(y.dtype(), [&]<class T>() {
      const T* from = source.data<T>();
      T* to = y.mutable_data<T>();
      for_each_entry(shape, axis, indices, [&](Index entry, Index at, Index n) {
        for (Index j = 0; j < n; ++j) to[at + j] += from[entry + j];
      });
    });
    return y;
  }
  void pullback(Pullback& p) const { p.add(0, apply(Gather{indices, axis}, p.gradient())); }
};

Var scatter_add(const Var& entries, const Indices& indices, std::size_t axis, const Shape& shape) {
  return apply(ScatterAdd{indices, axis, shape}, entries);
}

Var put_along(const Var& entries, const Indices& indices, Index extent);

struct TakeAlong {
  static constexpr const char* name = "take_along";
  static constexpr bool exact = true;
  Indices indices;

  Tensor value(const Tensor& x) const {
    const Tensor y = Tensor::uninitialized(indices.shape(), x.dtype());
    const Tensor source = detail::contiguous(x);
    dispatch(x.dtype(), [&]<class T>() {
      const T* row = source.data<T>();
      T* to = y.mutable_data<T>();
      for (const std::int64_t index : indices.values()) {
        *to++ = row[index];
        row += x.shape().back();
      }
    });
    return y;
  }
  void pullback(Pullback& p) const {
    if (p.wants(0)) p.add(0, put_along(p.gradient(), indices, p.input(0).shape().back()));
  }
};

// The transpose of take_along: each entry at its index in a row of zeros.
struct PutAlong {
  static constexpr const char* name = "put_along";
  static constexpr bool exact = true;
  Indices indices;
  Index extent;

  Tensor value(const Tensor& entries) const {
    Shape shape = entries.shape();
    shape.push_back(extent);
    const Tensor y = Tensor::zeros(shape, entries.dtype());
    const Tensor source = detail::contiguous(entries);
    dispatch(y.dtype(), [&]<class T>() {
      const T* from = source.data<T>();
      T* row = y.mutable_data<T>();
      for (const std::int64_t index : indices.values()) {
        row[index] = *from++;
        row += extent;
      }
    });
    return y;
  }
  void pullback(Pullback& p) const { p.add(0, apply(TakeAlong{indices}, p.gradient())); }
};

Var put_along(const Var& entries, const Indices& indices, Index extent) {
  return apply(PutAlong{indices, extent}, entries);
}

/// Where along the axis the first element is, for `before` as the order.
template <class F>
Indices positions(const char* op, const Var& x, Index axis, F&& before) {
  const std::size_t position = normalize_axis(op, axis, x.shape());
  const Tensor source = detail::contiguous(x.tensor());
  const Index n = x.shape()[position];
  const Index inner = source.strides()[position];
  if (n == 0) {
    throw Error(std::string(op) + ": x is " + to_string(x.shape()) + ": axis " +
                std::to_string(axis) + " must have at least one element");
  }
  Shape shape = x.shape();
  shape.erase(position);
  std::vector<std::int64_t> found;
  found.reserve(static_cast<std::size_t>(x.size() / n));
  detail::dispatch_real(x.dtype(), op, [&]<class T>() {
    const T* elements = source.data<T>();
    for (Index outer = 0; outer < x.size(); outer += n * inner) {
      for (Index at = outer; at < outer + inner; ++at) {
        Index best = 0;
        for (Index i = 1; i < n; ++i) {
          const T candidate = elements[at + i * inner];
          const T known = elements[at + best * inner];
          if (before(candidate, known) || (candidate != candidate && known == known)) best = i;
        }
        found.push_back(best);
      }
    }
  });
  return Indices(shape, found);
}

}  // namespace

std::int64_t* Indices::allocate(const Shape& shape) {
  shape_ = shape;
  buffer_ = detail::Buffer::allocate(static_cast<std::size_t>(size()) * sizeof(std::int64_t));
  return reinterpret_cast<std::int64_t*>(buffer_->data());
}

Indices::Indices(const Shape& shape, const std::vector<std::int64_t>& values) {
  const bool negative = std::any_of(shape.begin(), shape.end(), [](Index n) { return n < 0; });
  if (negative || too_large(shape, sizeof(std::int64_t)) ||
      element_count(shape) != static_cast<Index>(values.size())) {
    throw Error("indices: shape " + to_string(shape) + " does not hold the " +
                std::to_string(values.size()) + " elements that were given");
  }
  std::copy(values.begin(), values.end(), allocate(shape));
}

Indices::Indices(std::initializer_list<std::int64_t> values) {
  std::copy(values.begin(), values.end(), allocate({static_cast<Index>(values.size())}));
}

Var gather(const Var& x, const Indices& indices, Index axis) {
  const std::size_t position = normalize_axis("gather", axis, x.shape());
  check_range("gather", "x", x.shape(), x.shape()[position], indices);
  return apply(Gather{indices, position}, x);
}

Var embedding(const Var& table, const Indices& indices) {
  if (table.dim() != 2) {
    throw Error("embedding: table is " + to_string(table.shape()) + ": it must be (V,E)");
  }
  check_range("embedding", "table", table.shape(), table.shape()[0], indices);
  return apply(Gather{indices, 0}, table);
}

Indices argmax(const Var& x, Index axis) {
  return positions("argmax", x, axis, [](auto a, auto b) { return a > b; });
}

Indices argmin(const Var& x, Index axis) {
  return positions("argmin", x, axis, [](auto a, auto b) { return a < b; });
}

Var take_along(const Var& x, const Indices& indices) {
  Shape leading = x.shape();
  if (!leading.empty()) leading.pop_back();
  if (x.dim() == 0 || !(leading == indices.shape())) {
    throw Error("take_along: x is " + to_string(x.shape()) + ", indices are " +
                to_string(indices.shape()) + ": they must be (...,C) and (...)");
  }
  check_range("take_along", "x", x.shape(), x.shape().back(), indices);
  return apply(TakeAlong{indices}, x);
}

}  // namespace xgrad
