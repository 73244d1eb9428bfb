#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/dropout.hpp>

namespace xgrad {

Var dropout(const Var& x, double p, Generator& generator) {
  if (!(p >= 0 && p < 1)) {
    throw Error("dropout: x is " + to_string(x.shape()) + ", p is " + std::to_string(p) +
                ": p must be in [0, 1)");
  }
  if (p == 0) return x;
  Tensor mask = Tensor::uninitialized(x.shape(), x.dtype());
  detail::dispatch(x.dtype(), [&]<class T>() {
    const T keep = static_cast<T>(1 / (1 - p));
    T* to = mask.mutable_data<T>();
    for (Index i = 0; i < mask.size(); ++i) to[i] = generator.uniform() < p ? T(0) : keep;
  });
  return x * Var(mask);
}

}  // namespace xgrad
