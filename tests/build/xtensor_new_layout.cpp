// Compiled against headers in the folders of xtensor 0.26: what core/xtensor.hpp names must be
// there, and what the library uses of xtensor must come with it.
#include <xgrad/core/xtensor.hpp>

int main() {
  const xt::xarray<double> a = xt::ones<double>({2, 3});
  const xt::xarray<double> b = xt::view(xt::exp(a - 1.0), 1, xt::all());
  return xt::sum(b)() == 3.0 ? 0 : 1;
}
