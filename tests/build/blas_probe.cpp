// Prints the kernels that OpenBLAS has chosen, and exits with 1 if their products are wrong: those
// of sgemm, dgemm and zgemm, which xgrad uses, against a loop in long double.
#include <cmath>
#include <complex>
#include <iostream>
#include <random>
#include <vector>

#include <cblas.h>

#include "rounding.hpp"

namespace {

using Long = std::complex<long double>;

constexpr const char* name(float) { return "sgemm"; }
constexpr const char* name(double) { return "dgemm"; }
constexpr const char* name(std::complex<double>) { return "zgemm"; }

void draw(std::mt19937& random, double& x) { x = std::normal_distribution<>()(random); }
void draw(std::mt19937& random, float& x) { x = std::normal_distribution<float>()(random); }
void draw(std::mt19937& random, std::complex<double>& x) {
  const double real = std::normal_distribution<>()(random);
  x = {real, std::normal_distribution<>()(random)};
}

void multiply(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
              const float* b, int ldb, float* c) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, 1, c, n);
}
void multiply(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda,
              const double* b, int ldb, double* c) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, 1, c, n);
}
void multiply(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k,
              const std::complex<double>* a, int lda, const std::complex<double>* b, int ldb,
              std::complex<double>* c) {
  const std::complex<double> one = 1;
  cblas_zgemm(CblasRowMajor, ta, tb, m, n, k, &one, a, lda, b, ldb, &one, c, n);
}

/// c += a.b, each of which may be given transposed.
template <class T>
bool is_right(bool a_transposed, bool b_transposed, int m, int n, int k) {
  std::mt19937 random(7);
  const auto numbers = [&](int count) {
    std::vector<T> result(static_cast<std::size_t>(count));
    for (T& x : result) draw(random, x);
    return result;
  };
  const std::vector<T> a = numbers(m * k), b = numbers(k * n), before = numbers(m * n);
  std::vector<T> c = before;
  multiply(a_transposed ? CblasTrans : CblasNoTrans, b_transposed ? CblasTrans : CblasNoTrans, m, n,
           k, a.data(), a_transposed ? m : k, b.data(), b_transposed ? k : n, c.data());
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(i * n + j);
      Long exact = before[at];
      long double magnitude = std::abs(exact);
      for (int l = 0; l < k; ++l) {
        const Long term = Long(a[static_cast<std::size_t>(a_transposed ? l * m + i : i * k + l)]) *
                          Long(b[static_cast<std::size_t>(b_transposed ? j * k + l : l * n + j)]);
        exact += term;
        magnitude += std::abs(term);
      }
      // A complex product is a sum of two, in each of its parts.
      const double bound = 2 * xgrad::testing::rounding_bound(xgrad::dtype_of<T>(), k + 2,
                                                              static_cast<double>(magnitude));
      if (!(std::abs(Long(c[at]) - exact) <= bound)) {
        std::cout << name(T()) << " of " << m << " x " << k << " and " << k << " x " << n
                  << " is wrong\n";
        return false;
      }
    }
  }
  return true;
}

template <class T>
bool all_right() {
  for (const int m : {1, 3, 9, 16, 33}) {
    for (const int n : {1, 3, 16, 65, 260}) {
      for (const int k : {1, 5, 64, 301}) {
        for (const int transposed : {0, 1, 2, 3}) {
          if (!is_right<T>(transposed % 2 == 1, transposed / 2 == 1, m, n, k)) return false;
        }
      }
    }
  }
  return is_right<T>(true, false, 9, 260, 4000) && is_right<T>(false, false, 100, 100, 100);
}

}  // namespace

int main() {
  std::cout << openblas_get_corename() << std::endl;  // also if a kernel ends the process
  const bool right = all_right<float>() && all_right<double>() && all_right<std::complex<double>>();
  return right ? 0 : 1;
}
