#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/nn/dropout.hpp>
#include <xgrad/ops/dropout.hpp>

namespace xgrad::nn {

Dropout::Dropout(double probability) : p(probability) {
  if (!(p >= 0 && p < 1)) {
    throw Error("dropout: p is " + std::to_string(p) + ": it must be at least 0 and below 1");
  }
}

Var Dropout::operator()(const Var& x) const {
  return training() && p > 0 ? dropout(x, p, default_generator()) : x;
}

}  // namespace xgrad::nn
