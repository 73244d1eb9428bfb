#include <algorithm>
#include <array>
#include <cstring>

#include <xgrad/core/runtime/processor.hpp>
#include <xgrad/core/tensor.hpp>

namespace xgrad {
namespace {

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<From, std::complex<double>> && !std::is_same_v<To, From>) {
    return static_cast<To>(x.real());
  } else {
    return static_cast<To>(x);
  }
}

// Visits the rows (runs of the last axis) of two tensors of one shape.
template <class F>
void for_each_row(const Shape& shape, const Shape& a_strides, const Shape& b_strides, F&& row) {
  if (element_count(shape) == 0) return;
  if (shape.empty()) return row(0, 0, Index{1}, Index{0}, Index{0});
  const std::size_t last = shape.size() - 1;
  std::array<Index, Shape::max_axes> at{};
  Index a = 0;
  Index b = 0;
  for (;;) {
    row(a, b, shape[last], a_strides[last], b_strides[last]);
    std::size_t axis = last;
    for (;;) {
      if (axis == 0) return;
      --axis;
      a += a_strides[axis];
      b += b_strides[axis];
      if (++at[axis] < shape[axis]) break;
      a -= at[axis] * a_strides[axis];
      b -= at[axis] * b_strides[axis];
      at[axis] = 0;
    }
  }
}

void check_count(const Shape& shape, std::size_t count) {
  if (element_count(shape) != static_cast<Index>(count)) {
    throw Error("tensor: shape " + to_string(shape) + " holds " +
                std::to_string(element_count(shape)) + " elements, " + std::to_string(count) +
                " were given");
  }
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {
  [[maybe_unused]] static const bool checked = (detail::check_processor(), true);
  for (Index extent : shape) {
    if (extent < 0) throw Error("tensor: shape " + to_string(shape) + ": extents are at least 0");
  }
  if (too_large(shape, item_size(dtype))) {
    throw Error("tensor: shape " + to_string(shape) + " is larger than any memory");
  }
  strides_ = contiguous_strides(shape);
  buffer_ = detail::Buffer::allocate(static_cast<std::size_t>(size()) * item_size(dtype));
  data_ = buffer_->address();
}

Tensor Tensor::uninitialized(const Shape& shape, DType dtype) { return Tensor(shape, dtype); }

Tensor::Tensor(const Shape& shape, const std::vector<float>& values)
    : Tensor(shape, DType::float32) {
  check_count(shape, values.size());
  std::copy(values.begin(), values.end(), mutable_data<float>());
}

Tensor::Tensor(const Shape& shape, const std::vector<double>& values)
    : Tensor(shape, DType::float64) {
  check_count(shape, values.size());
  std::copy(values.begin(), values.end(), mutable_data<double>());
}

Tensor::Tensor(const Shape& shape, std::initializer_list<double> values, DType dtype)
    : Tensor(shape, dtype) {
  check_count(shape, values.size());
  dispatch(dtype, [&]<class T>() {
    std::transform(values.begin(), values.end(), mutable_data<T>(),
                   [](double x) { return convert<T>(x); });
  });
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor result(shape, dtype);
  dispatch(dtype, [&]<class T>() {
    std::fill_n(result.mutable_data<T>(), result.size(), convert<T>(value));
  });
  return result;
}

Tensor Tensor::view(std::byte* data, const Shape& shape, const Shape& strides) const {
  Tensor result = *this;
  result.data_ = data;
  result.shape_ = shape;
  result.strides_ = strides;
  return result;
}

Tensor Tensor::view(const Shape& shape, const Shape& strides, Index offset) const {
  return view(data_ + offset * static_cast<Index>(item_size(dtype_)), shape, strides);
}

void Tensor::check_type(DType requested) const {
  if (requested != dtype_) {
    throw Error(std::string("tensor: the elements are ") + name(dtype_) + ", not " +
                name(requested));
  }
}

double Tensor::item() const {
  if (size() != 1) {
    throw Error("item: x is " + to_string(shape_) + ": it must hold exactly one element");
  }
  return dispatch(dtype_, [&]<class T>() -> double { return convert<double>(*data<T>()); });
}

std::vector<double> Tensor::to_vector() const {
  std::vector<double> values(static_cast<std::size_t>(size()));
  const Tensor converted = detail::contiguous(to(DType::float64));
  std::copy_n(converted.data<double>(), values.size(), values.begin());
  return values;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor result(shape_, dtype);
  detail::copy_elements(*this, result);
  return result;
}

Tensor Tensor::copy() const {
  const Tensor result(shape_, dtype_);
  detail::copy_elements(*this, result);
  return result;
}

bool Tensor::is_contiguous() const {
  Index step = 1;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] == 1) continue;
    if (strides_[i] != step) return shape_[i] == 0 || size() == 0;
    step *= shape_[i];
  }
  return true;
}

namespace detail {

void copy_elements(const Tensor& from, const Tensor& to) {
  if (from.dtype() == to.dtype() && from.is_contiguous() && to.is_contiguous()) {
    const auto bytes = static_cast<std::size_t>(from.size()) * item_size(from.dtype());
    if (bytes > 0) std::memcpy(to.bytes(), from.bytes(), bytes);
    return;
  }
  dispatch(from.dtype(), [&]<class From>() {
    dispatch(to.dtype(), [&]<class To>() {
      const From* source = from.data<From>();
      To* target = to.mutable_data<To>();
      for_each_row(from.shape(), from.strides(), to.strides(),
                   [&](Index a, Index b, Index n, Index a_step, Index b_step) {
                     if constexpr (std::is_same_v<From, To>) {
                       if (a_step == 1 && b_step == 1) {
                         std::memcpy(target + b, source + a,
                                     static_cast<std::size_t>(n) * sizeof(To));
                         return;
                       }
                     }
                     for (Index i = 0; i < n; ++i) {
                       target[b + i * b_step] = convert<To>(source[a + i * a_step]);
                     }
                   });
    });
  });
}

Tensor contiguous(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  if (tensor.is_contiguous()) {
    // Axes of one element, and those of an empty array, may have any stride.
    const bool has_ones = std::find(shape.begin(), shape.end(), 1) != shape.end();
    if (!has_ones && tensor.size() > 0) return tensor;
    return tensor.view(shape, contiguous_strides(shape));
  }
  Tensor result = Tensor::uninitialized(shape, tensor.dtype());
  copy_elements(tensor, result);
  return result;
}

Tensor transposed_view(const Tensor& matrix) {
  return matrix.view({matrix.shape()[1], matrix.shape()[0]},
                     {matrix.strides()[1], matrix.strides()[0]});
}

}  // namespace detail
}  // namespace xgrad
