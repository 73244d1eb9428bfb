#include <cblas.h>

#include "libraries.hpp"

namespace peers {
namespace {

class OpenblasProduct final : public Contender {
 public:
  explicit OpenblasProduct(const Product& product)
      : product_(product),
        a_(left_of(product)),
        b_(right_of(product)),
        c_{"product",
           {product.rows, product.cols},
           std::vector<float>(static_cast<std::size_t>(product.rows * product.cols))} {}
  void run() override {
    const auto& [m, k, n, a_transposed, b_transposed] = product_;
    cblas_sgemm(CblasRowMajor, a_transposed ? CblasTrans : CblasNoTrans,
                b_transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, a_.numbers.data(),
                a_.shape[1], b_.numbers.data(), b_.shape[1], 0, c_.numbers.data(), n);
  }
  std::vector<Array> result() override {
    run();
    return {c_};
  }

 private:
  Product product_;
  Array a_, b_, c_;
};

}  // namespace

ContenderPtr openblas_product(const Product& product) {
  return std::make_unique<OpenblasProduct>(product);
}

std::string openblas_version() { return openblas_get_config(); }

void use_openblas_threads(int n) { openblas_set_num_threads(n); }

}  // namespace peers
