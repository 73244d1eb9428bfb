#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include <xgrad/core/var.hpp>

/// Ops that pick elements by number.
namespace xgrad {

/// An array of integers: which entries an op picks. Copies share their memory.
class Indices {
 public:
  /// One that was moved from has the shape (0).
  Indices(const Indices&) = default;
  Indices(Indices&& other) noexcept
      : buffer_(std::move(other.buffer_)), shape_(std::exchange(other.shape_, Shape{0})) {}
  Indices& operator=(Indices other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(shape_, other.shape_);
    return *this;
  }
  ~Indices() = default;

  /// In row-major order. Throws if the number of values does not fit the shape.
  Indices(const Shape& shape, const std::vector<std::int64_t>& values);
  template <detail::IntegerList List>
  Indices(const Shape& shape, const List& values)
      : Indices(shape, std::vector<std::int64_t>(values.begin(), values.end())) {}
  /// One axis.
  Indices(std::initializer_list<std::int64_t> values);
  template <detail::IntegerList List>
  Indices(const List& values) : Indices({static_cast<Index>(values.size())}, values) {}
  /// A copy of an xtensor expression of integers.
  template <class E>
  requires std::integral<typename E::value_type> Indices(const xt::xexpression<E>& expression) {
    const E& source = expression.derived_cast();
    std::int64_t* to = allocate(Shape(source.shape().begin(), source.shape().end()));
    for (const auto index : source) *to++ = static_cast<std::int64_t>(index);
  }

  const Shape& shape() const { return shape_; }
  Index size() const { return element_count(shape_); }
  /// In row-major order, good while the Indices live; of a temporary a copy.
  std::span<const std::int64_t> values() const& {
    if (!buffer_) return {};  // it was moved from
    return {reinterpret_cast<const std::int64_t*>(buffer_->data()),
            static_cast<std::size_t>(size())};
  }
  std::vector<std::int64_t> values() const&& {
    const std::span<const std::int64_t> all = values();
    return {all.begin(), all.end()};
  }

 private:
  std::int64_t* allocate(const Shape& shape);

  detail::Ref<detail::Buffer> buffer_;
  Shape shape_;
};

/// The entries of an axis that the indices name, in place of that axis: x (A...,N,B...) and indices
/// (I...) -> (A...,I...,B...). For one axis of indices it is torch.index_select. dx = dy added up
/// at the entries. Throws if an index is not in [0, N).
Var gather(const Var& x, const Indices& indices, Index axis = 0);

/// Rows of a table: table (V,E), indices (I...) -> (I...,E). dtable = dy added up by row. Throws if
/// the table is not a matrix or an index is not in [0, V).
Var embedding(const Var& table, const Indices& indices);

/// Where along the axis the largest element is, NaN counting as the largest: x with that axis left
/// out. Of equal ones the first, as PyTorch. `take_along(x, argmax(x))` is the maximum of the last
/// axis with its whole gradient for that one element. Throws if there is no such axis, over no
/// elements, and for complex128.
Indices argmax(const Var& x, Index axis = -1);

/// Where the smallest element is, NaN counting as the smallest; otherwise as `argmax`.
Indices argmin(const Var& x, Index axis = -1);

/// One entry of the last axis at each leading position: x (A...,C), indices (A...) -> (A...).
/// dx = dy at the entries, zero elsewhere. Throws if the shapes do not fit or an index is not in
/// [0, C).
Var take_along(const Var& x, const Indices& indices);

}  // namespace xgrad
