#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/dropout.hpp>

namespace xgrad {

Var dropout(const Var& x, double p, Generator& generator) {
  if (!(p >= 0 && p < 1)) {
    throw Error("dropout: x is " + to_string(x.shape()) + ", p is " + std::to_string(p) +
                ": p must be in [0, 1)");
  }
  if (p == 0) return x;
  const Tensor kept = Tensor::uninitialized(x.shape(), x.dtype());
  const Index size = kept.size();
  dispatch(x.dtype(), [&]<class T>() {
    const T values[] = {T(0), T(1)};
    T* to = kept.mutable_data<T>();
    for (Index i = 0; i < size; ++i) to[i] = values[generator.uniform() >= p];
  });
  return where(Var(kept), x * (1 / (1 - p)), 0.0);
}

}  // namespace xgrad
