#include <omp.h>

#include "onednn.hpp"

namespace peers {
namespace {

/// The weights are packed once, outside run(), where they are weights.
class OnednnProduct final : public Contender {
 public:
  explicit OnednnProduct(const Product& p) : product_(p) {
    using tag = memory::format_tag;
    const auto plain_a = float_desc({p.rows, p.depth}, p.a_transposed ? tag::ba : tag::ab);
    const auto plain_b = float_desc({p.depth, p.cols}, p.b_transposed ? tag::ba : tag::ab);
    const bool is_weight = !p.a_transposed;
    const auto wanted_b = is_weight ? float_desc({p.depth, p.cols}, tag::any) : plain_b;
    const auto plain_c = float_desc({p.rows, p.cols}, tag::ab);
    const dnnl::matmul::primitive_desc desc({plain_a, wanted_b, plain_c}, cpu());
    const memory a(plain_a, cpu());
    const memory b(plain_b, cpu());
    const memory packed(desc.weights_desc(), cpu());
    c_ = memory(plain_c, cpu());
    copy_into(a, left_of(p).numbers);
    copy_into(b, right_of(p).numbers);
    reorder(b, packed).run();
    stream().wait();
    product_call_ = {dnnl::matmul(desc),
                     {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, c_}}};
  }
  void run() override {
    product_call_.run();
    stream().wait();
  }
  std::vector<Array> result() override {
    run();
    const float* first = numbers_of(c_);
    return {{"product", {product_.rows, product_.cols}, {first, first + count_of(c_)}}};
  }

 private:
  Product product_;
  memory c_;
  Call product_call_;
};

}  // namespace

ContenderPtr onednn_product(const Product& product) {
  return std::make_unique<OnednnProduct>(product);
}

// Primitives must be made with the number of threads that they run with.
void use_onednn_threads(int n) { omp_set_num_threads(n); }

}  // namespace peers
