#include <xgrad/core/kernels/weights.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

template <class T>
PackedForms<T>& forms_of(Weights& weights) {
  if constexpr (std::is_same_v<T, float>) {
    return weights.of_float;
  } else {
    return weights.of_double;
  }
}

}  // namespace

template <class T>
std::shared_ptr<const PackedMatrix<T>> packed(const Tensor& b, Weights& weights) {
  const Tensor& value = weights.value;
  if (value.dim() != 2 || b.bytes() != value.bytes()) return nullptr;
  const Index rows = value.shape()[0];
  const Index cols = value.shape()[1];
  const bool plain = b.shape() == value.shape() && b.strides() == value.strides();
  const bool transposed = b.shape() == Shape{cols, rows} &&
                          b.strides() == Shape{value.strides()[1], value.strides()[0]};
  if (!plain && !transposed) return nullptr;
  const std::size_t form = plain ? 0 : 1;
  const std::lock_guard lock(weights.packing);
  auto& slot = forms_of<T>(weights).form[form];
  if (weights.packed_version[form] != weights.version || !slot) {
    slot = std::allocate_shared<const PackedMatrix<T>>(
        PoolAllocator<PackedMatrix<T>>(), b.data<T>(), b.strides()[0], b.strides()[1],
        static_cast<std::size_t>(b.shape()[0]), static_cast<std::size_t>(b.shape()[1]));
    weights.packed_version[form] = weights.version;
  }
  return slot;
}

template std::shared_ptr<const PackedMatrix<float>> packed(const Tensor&, Weights&);
template std::shared_ptr<const PackedMatrix<double>> packed(const Tensor&, Weights&);

}  // namespace xgrad::detail
