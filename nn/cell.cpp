#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/nn/cell.hpp>

namespace xgrad::nn::detail {

void check_weights(const char* cell, const Var& x, std::initializer_list<NamedWeight> weights) {
  const DType dtype = x.dtype();
  for (const NamedWeight& weight : weights) {
    if (!weight.var.defined() || weight.var.dtype() == dtype) continue;
    throw Error(std::string(cell) + ": " + weight.name + " is " + xgrad::name(weight.var.dtype()) +
                ", x is " + xgrad::name(dtype) + ": they must have one dtype");
  }
}

}  // namespace xgrad::nn::detail
