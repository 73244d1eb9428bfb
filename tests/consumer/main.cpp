// A fused expression is compiled here, with the flags that xgrad hands on; the tape comes from the
// library. The gradient of tanh(w) w is tanh(w) + w (1 - tanh(w)^2).
#include <cmath>
#include <cstddef>
#include <iostream>

#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/xgrad.hpp>

#if !defined(XTENSOR_USE_XSIMD) || !defined(XGRAD_ISA_NAME)
#error "the target xgrad::xgrad does not hand on its definitions"
#endif

int main() {
  using namespace xgrad;
  const Var w = parameter(Tensor({2}, {0.5, -1.0}), "w");
  Tape tape;
  const Var y = tanh(w) * w;
  tape.backward(y, Tensor({2}, {1.0, 1.0}));

  const auto gradient = w.grad().value<float>();
  for (std::size_t i = 0; i < 2; ++i) {
    const double x = w.tensor().to_vector()[i];
    const double expected = std::tanh(x) + x * (1 - std::tanh(x) * std::tanh(x));
    if (!(std::abs(gradient(i) - expected) < 1e-5)) {
      std::cerr << "gradient " << i << " is " << gradient(i) << ", not " << expected << '\n';
      return 1;
    }
  }
}
