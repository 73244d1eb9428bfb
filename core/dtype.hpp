#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>

#include <xgrad/core/error.hpp>

namespace xgrad {

/// The arithmetic type of a tensor, chosen at run time: float32 to train, float64 to verify,
/// complex128 for the complex-step check: to evaluate analytic functions, and gradients that are
/// recorded (`create_graph`).
enum class DType : std::uint8_t { float32, float64, complex128 };

/// "float32", "float64" or "complex128".
inline const char* name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::complex128:
      return "complex128";
  }
  return "?";
}

/// Bytes of one element.
inline std::size_t item_size(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return sizeof(float);
    case DType::float64:
      return sizeof(double);
    case DType::complex128:
      return sizeof(std::complex<double>);
  }
  return 0;
}

namespace detail {

template <class T>
inline constexpr bool always_false = false;

}  // namespace detail

/// The DType of a C++ type: float, double or std::complex<double>.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) {
    return DType::float32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::float64;
  } else if constexpr (std::is_same_v<T, std::complex<double>>) {
    return DType::complex128;
  } else {
    static_assert(detail::always_false<T>, "a tensor holds float, double or std::complex<double>");
  }
}

/// Calls `f.operator()<T>()` with the C++ type of `dtype`, so that an op works in every dtype:
///
///     dispatch(x.dtype(), [&]<class T>() { return Tensor(xt::cumsum(x.value<T>(), 0)); });
template <class F>
decltype(auto) dispatch(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f.template operator()<float>();
    case DType::float64:
      return f.template operator()<double>();
    case DType::complex128:
      break;
  }
  return f.template operator()<std::complex<double>>();
}

namespace detail {

/// The same for operations that need an order (maximum, sorting): complex128 is an error.
template <class F>
decltype(auto) dispatch_real(DType dtype, const char* op, F&& f) {
  if (dtype == DType::complex128) {
    throw Error(std::string(op) + ": complex128 is not supported: the operation is not analytic");
  }
  return dtype == DType::float32 ? f.template operator()<float>() : f.template operator()<double>();
}

}  // namespace detail
}  // namespace xgrad
