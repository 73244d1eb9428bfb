#pragma once

#include <memory>
#include <mutex>

#include <xgrad/core/kernels/packed_gemm.hpp>
#include <xgrad/core/tensor.hpp>

namespace xgrad::detail {

/// The packed forms of one version of a matrix, for products x.W and x.W^T.
template <class T>
struct PackedForms {
  std::shared_ptr<const PackedMatrix<T>> form[2];
};

/// A matrix that many products read before it changes, as a recurrent step does at every time step:
/// it is packed on the first product with a version of it. May hold any tensor.
struct Weights {
  Tensor value;
  std::uint64_t version = 0;  ///< raised by every change of the value

  // See `packed`.
  std::mutex packing;
  std::uint64_t packed_version[2] = {~std::uint64_t{0}, ~std::uint64_t{0}};
  PackedForms<float> of_float;
  PackedForms<double> of_double;
};

/// b in packed form, if b is the weights' value or its transpose, as it lies in memory; else null.
template <class T>
std::shared_ptr<const PackedMatrix<T>> packed(const Tensor& b, Weights& weights);

}  // namespace xgrad::detail
