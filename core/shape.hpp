#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <utility>

namespace xt {
template <class E>
class xexpression;
}

namespace xgrad {

using Index = std::ptrdiff_t;

namespace detail {

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

/// An array of xtensor's, or an expression of such.
template <class T>
concept XtensorExpression = std::is_base_of_v<xt::xexpression<T>, T>;

/// A std::vector, std::array, std::span, ... of integers.
template <class T>
concept IntegerList = !XtensorExpression<T> && requires(const T& list) {
  list.begin();
  list.end();
  requires Integer<std::remove_const_t<typename T::value_type>>;
};

[[noreturn]] void refuse_index(std::uintmax_t i);

/// Throws for an unsigned number that an Index cannot hold, which would come out negative.
template <Integer I>
Index to_index(I i) {
  if (!std::in_range<Index>(i)) refuse_index(static_cast<std::uintmax_t>(i));
  return static_cast<Index>(i);
}

}  // namespace detail

/// The extents of a tensor, or its strides in elements: up to 8 numbers, no heap.
class Shape {
 public:
  static constexpr std::size_t max_axes = 8;

  Shape() = default;
  Shape(std::initializer_list<Index> extents) : Shape(extents.begin(), extents.end()) {}
  template <detail::IntegerList List>
  Shape(const List& extents) : Shape(extents.begin(), extents.end()) {}
  /// Throws past 8 axes.
  template <class It>
  Shape(It first, It last) {
    for (; first != last; ++first) push_back(detail::to_index(*first));
  }

  Shape(const Shape& other) : size_(other.size_) { copy(other); }
  Shape& operator=(const Shape& other) {
    size_ = other.size_;
    copy(other);
    return *this;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Index operator[](std::size_t axis) const { return extents_[axis]; }
  Index& operator[](std::size_t axis) { return extents_[axis]; }
  /// The last extent. Like pop_back it throws for a scalar's shape, which has none.
  Index back() const { return extents_[last()]; }
  Index& back() { return extents_[last()]; }
  const Index* begin() const { return extents_.data(); }
  const Index* end() const { return extents_.data() + size_; }
  Index* begin() { return extents_.data(); }
  Index* end() { return extents_.data() + size_; }

  void push_back(Index extent) {
    if (size_ == max_axes) refuse();
    extents_[size_++] = extent;
  }
  void pop_back() { size_ = last(); }
  /// Makes `axis`, from 0 to size(), one of `extent`; throws for others, and past 8 axes.
  void insert(std::size_t axis, Index extent);
  /// Throws for an axis that is not there.
  void erase(std::size_t axis);

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.size_ != b.size_) return false;
    for (std::size_t i = 0; i < a.size_; ++i) {
      if (a.extents_[i] != b.extents_[i]) return false;
    }
    return true;
  }

  /// As `to_string`.
  friend std::ostream& operator<<(std::ostream& stream, const Shape& shape);

 private:
  [[noreturn]] static void refuse();
  [[noreturn]] void refuse_axis(const char* op, std::size_t axis) const;
  std::size_t last() const {
    if (size_ == 0) refuse_axis("back", 0);
    return size_ - 1;
  }
  /// Only what is in use: the load of a whole vector would wait for the single stores before it.
  void copy(const Shape& other) {
    for (std::size_t i = 0; i < size_; ++i) extents_[i] = other.extents_[i];
  }

  std::array<Index, max_axes> extents_;
  std::size_t size_ = 0;
};

/// One axis, or a list of axes; negative ones count from the end.
class Axes : public Shape {
 public:
  using Shape::Shape;
  Axes() = default;
  Axes(const Shape& axes) : Shape(axes) {}
  template <detail::Integer I>
  Axes(I axis) : Shape{detail::to_index(axis)} {}
};

/// The number of elements: the product of the extents, 1 for a scalar.
inline Index element_count(const Shape& shape) {
  Index n = 1;
  for (Index extent : shape) n *= extent;
  return n;
}

/// True if an Index cannot hold the elements' bytes, or the strides: an extent of 0 does not excuse
/// others.
inline bool too_large(const Shape& shape, std::size_t item_bytes) {
  Index bytes = static_cast<Index>(item_bytes);
  bool overflows = false;
  for (Index extent : shape) {
    overflows = __builtin_mul_overflow(bytes, extent > 1 ? extent : 1, &bytes) || overflows;
  }
  return overflows;
}

/// "(2,3)"; "()" for a scalar.
std::string to_string(const Shape& shape);

/// Row-major strides, in elements.
Shape contiguous_strides(const Shape& shape);

/// The common shape of two operands under NumPy's rule: axes are aligned at the right, and an
/// extent of 1 stretches. Throws, naming `op`, where two extents differ and neither is 1.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

/// True if `from` stretches to `to` by that rule.
bool broadcasts_to(const Shape& from, const Shape& to);

/// An axis counted from the end if negative, as a plain position. Throws if there is none such.
std::size_t normalize_axis(const char* op, Index axis, const Shape& shape);

}  // namespace xgrad
