#pragma once

#include <initializer_list>
#include <iosfwd>
#include <utility>
#include <vector>

#include <xgrad/core/dtype.hpp>
#include <xgrad/core/runtime/buffer.hpp>
#include <xgrad/core/shape.hpp>

namespace xgrad {

namespace detail {
/// Where the tensors without memory are, for null takes no offset.
alignas(64) inline std::byte no_elements[64];
}  // namespace detail

/// An n-dimensional array with a run-time dtype, read-only for its holder. Copies share their
/// memory: the tensor of a parameter shows every later change of it. `Tensor::copy` makes a
/// snapshot.
///
/// <xgrad/core/array.hpp> connects it to xtensor: a Tensor is made from any xtensor expression, and
/// `value<float>()` is an xtensor array over the same memory.
class Tensor {
 public:
  /// Of shape (0), float32. So is one that was moved from.
  Tensor() = default;
  Tensor(const Tensor&) = default;
  Tensor(Tensor&& other) noexcept
      : buffer_(std::move(other.buffer_)),
        data_(std::exchange(other.data_, detail::no_elements)),
        shape_(std::exchange(other.shape_, Shape{0})),
        strides_(std::exchange(other.strides_, Shape{1})),
        dtype_(std::exchange(other.dtype_, DType::float32)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    std::swap(strides_, other.strides_);
    std::swap(dtype_, other.dtype_);
    return *this;
  }
  ~Tensor() = default;

  /// Copies `values`, in row-major order. A vector's type decides the dtype; numbers in braces
  /// become float32 unless it is given. Throws if their number does not fit the shape.
  Tensor(const Shape& shape, const std::vector<float>& values);
  Tensor(const Shape& shape, const std::vector<double>& values);
  Tensor(const Shape& shape, std::initializer_list<double> values, DType dtype = DType::float32);

  /// A copy of an xtensor expression. Its element type decides the dtype: float, double or
  /// std::complex<double>; integers and bool become float32. So an xt::xarray<double> is float64,
  /// and for a float32 model `Tensor(array).to(DType::float32)`. Defined in <xgrad/core/array.hpp>.
  template <class E>
  Tensor(const xt::xexpression<E>& expression);

  /// Every element is `value`.
  static Tensor full(const Shape& shape, double value, DType dtype = DType::float32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::float32) {
    return full(shape, 0.0, dtype);
  }

  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }  ///< in elements
  std::size_t dim() const { return shape_.size(); }
  Index size() const { return element_count(shape_); }
  DType dtype() const { return dtype_; }

  /// The elements as a read-only, row-major xtensor array, good for whatever an xt::xarray is. It
  /// lies over the same memory, which it keeps alive; only of elements that have no row-major order
  /// in memory (a transpose, a slice of columns) it is a copy, so take it once, not for each of
  /// them. Of a temporary it is a copy of its own, an xt::xarray. Throws if T is not the dtype.
  /// Defined in <xgrad/core/array.hpp>.
  template <class T>
  auto value() const&;
  template <class T>
  auto value() const&&;

  /// The first element's address. Throws if T is not the dtype.
  template <class T>
  const T* data() const {
    check_type(dtype_of<T>());
    return reinterpret_cast<const T*>(bytes());
  }

  /// The only element. Throws if there is not exactly one.
  double item() const;

  /// The elements in row-major order, converted to double (the real part of complex128).
  std::vector<double> to_vector() const;

  /// A copy in another dtype (itself if there is nothing to convert). complex128 gives its real
  /// part.
  Tensor to(DType dtype) const;

  /// The same values in memory of their own, row-major.
  Tensor copy() const;

  /// True if the elements lie in row-major order without gaps.
  bool is_contiguous() const;

  /// "float32 (2,3)" and the elements: of more than 1000 the first and last three along each axis,
  /// with the stream's precision.
  friend std::ostream& operator<<(std::ostream& stream, const Tensor& x);

  // For the engine: memory that is not yet shared may be written, until the next op that is given
  // it: threads may still read it when that returns. An address asked for afterwards waits.
  static Tensor uninitialized(const Shape& shape, DType dtype);
  Tensor view(std::byte* data, const Shape& shape, const Shape& strides) const;
  /// From the element that lies `offset` elements behind the first one.
  Tensor view(const Shape& shape, const Shape& strides, Index offset = 0) const;
  std::byte* address() const { return data_; }  ///< other threads may be writing there
  /// The begin of the block in which the elements lie.
  std::byte* memory() const { return buffer_ ? buffer_->address() : detail::no_elements; }
  std::byte* bytes() const {
    detail::join();
    return data_;
  }
  template <class T>
  T* mutable_data() const {
    return const_cast<T*>(data<T>());
  }
  bool is_unique() const {
    return buffer_ && buffer_->references.load(std::memory_order_acquire) == 1;
  }
  bool shares_memory(const Tensor& other) const { return buffer_ == other.buffer_; }
  void release() { buffer_ = {}; }  ///< forgets the memory, keeps the shape

 private:
  Tensor(const Shape& shape, DType dtype);
  void check_type(DType requested) const;

  detail::Ref<detail::Buffer> buffer_;
  std::byte* data_ = detail::no_elements;
  Shape shape_{0};
  Shape strides_{1};
  DType dtype_ = DType::float32;
};

namespace detail {

/// Copies elements between tensors of one shape, converting the dtype where they differ.
void copy_elements(const Tensor& from, const Tensor& to);

/// The tensor itself if it is contiguous, else a row-major copy; with the strides of its shape.
Tensor contiguous(const Tensor& tensor);

/// The transpose of a matrix, without a copy.
Tensor transposed_view(const Tensor& matrix);

}  // namespace detail
}  // namespace xgrad
