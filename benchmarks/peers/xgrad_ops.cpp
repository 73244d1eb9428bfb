#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

#include "libraries.hpp"
#include "xgrad_array.hpp"

namespace peers {
namespace {

using xgrad::Tensor;
using xgrad::Var;

/// As in a recurrent network: the weights are a parameter, packed once. With a transposed left
/// operand it is the gradient of the weights, and the right one is not a parameter.
class XgradProduct final : public Contender {
 public:
  explicit XgradProduct(const Product& product)
      : a_(tensor_of(left_of(product))),
        b_(xgrad::parameter(tensor_of(right_of(product)))),
        c_(Tensor::uninitialized({product.rows, product.cols}, xgrad::DType::float32)),
        is_weight_(!product.a_transposed) {
    if (product.a_transposed) a_ = transpose(a_);
    if (product.b_transposed) b_ = transpose(b_);
  }
  void run() override {
    xgrad::detail::gemm(a_.tensor(), b_.tensor(), c_, false,
                        is_weight_ ? b_.parameter_or_null() : nullptr);
  }
  std::vector<Array> result() override {
    run();
    return {array_of("product", c_)};
  }

 private:
  Var a_, b_;
  Tensor c_;
  bool is_weight_;
};

class XgradChain final : public Contender {
 public:
  XgradChain(int size, bool gradient)
      : a_(xgrad::parameter(tensor_of(random_array("a", {size}, 1)))),
        b_(xgrad::parameter(tensor_of(random_array("b", {size}, 2)))),
        seed_(tensor_of(random_array("seed", {size}, 3))),
        gradient_(gradient) {}
  void run() override {
    if (!gradient_) {
      chain();
      return;
    }
    backward();
    a_.clear_grad();
    b_.clear_grad();
  }
  std::vector<Array> result() override {
    if (!gradient_) return {array_of("y", chain().tensor())};
    const Var y = backward();
    std::vector<Array> all{array_of("y", y.tensor()), array_of("gradient of a", a_.grad()),
                           array_of("gradient of b", b_.grad())};
    a_.clear_grad();
    b_.clear_grad();
    return all;
  }

 private:
  Var chain() const { return ((((a_ * b_ + a_) * 2.0 - b_) * a_ + 1.0) * b_ - 3.0); }
  Var backward() const {
    xgrad::Tape tape;
    const Var y = chain();
    tape.backward(y, seed_);
    return y;
  }

  Var a_, b_;
  Tensor seed_;
  bool gradient_;
};

class XgradSums final : public Contender {
 public:
  explicit XgradSums(int nodes)
      : x_(xgrad::parameter(tensor_of(random_array("x", {4}, 1)))),
        y_(tensor_of(random_array("y", {4}, 2))),
        nodes_(nodes) {}
  void run() override { sum(); }
  std::vector<Array> result() override { return {array_of("sum", sum().tensor())}; }

 private:
  Var sum() const {
    const xgrad::Tape tape;
    Var total = x_;
    for (int i = 0; i < nodes_; ++i) total = total + y_;
    return total;
  }

  Var x_, y_;
  int nodes_;
};

}  // namespace

ContenderPtr xgrad_product(const Product& product) {
  return std::make_unique<XgradProduct>(product);
}
ContenderPtr xgrad_chain(int size, bool gradient) {
  return std::make_unique<XgradChain>(size, gradient);
}
ContenderPtr xgrad_sums(int nodes) { return std::make_unique<XgradSums>(nodes); }

void use_xgrad_threads(int n) { xgrad::set_threads(n); }

std::string xgrad_isa() { return XGRAD_ISA_NAME; }

}  // namespace peers
