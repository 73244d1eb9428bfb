#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/nn/init.hpp>

namespace xgrad::nn {
namespace {

void check_matrix(const char* name, const Shape& shape) {
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) {
    throw Error(std::string(name) + ": the parameter is " + to_string(shape) +
                ": it must be a matrix (in, out)" +
                (shape.size() == 2 ? ", both extents at least 1" : ""));
  }
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Initializer constant(double value) {
  return [value](const Shape& shape) { return Tensor::full(shape, value); };
}

Initializer uniform(double limit) {
  return [limit](const Shape& shape) { return default_generator().uniform(shape, -limit, limit); };
}

Initializer normal(double deviation) {
  return
      [deviation](const Shape& shape) { return default_generator().normal(shape, 0, deviation); };
}

Initializer glorot() {
  return [](const Shape& shape) {
    check_matrix("glorot", shape);
    const double width = static_cast<double>(shape[0]) + static_cast<double>(shape[1]);
    const double limit = std::sqrt(6.0 / width);
    return uniform(limit)(shape);
  };
}

Initializer he() {
  return [](const Shape& shape) {
    check_matrix("he", shape);
    return normal(std::sqrt(2.0 / static_cast<double>(shape[0])))(shape);
  };
}

Initializer orthogonal() {
  return [](const Shape& shape) {
    check_matrix("orthogonal", shape);
    const bool tall = shape[0] >= shape[1];
    const auto count = static_cast<std::size_t>(tall ? shape[1] : shape[0]);
    const Index length = tall ? shape[0] : shape[1];
    // Gram-Schmidt, each vector against the others twice, which is as good as Householder's QR.
    std::vector<std::vector<double>> basis;
    while (basis.size() < count) {
      std::vector<double> v =
          default_generator().normal({length}, 0, 1, DType::float64).to_vector();
      for (int pass = 0; pass < 2; ++pass) {
        for (const std::vector<double>& other : basis) {
          const double overlap = dot(v, other);
          for (std::size_t i = 0; i < v.size(); ++i) v[i] -= overlap * other[i];
        }
      }
      const double norm = std::sqrt(dot(v, v));
      if (norm < 1e-6) continue;  // by chance in the span of the others: draw again
      for (double& x : v) x /= norm;
      basis.push_back(std::move(v));
    }
    const Tensor result = Tensor::uninitialized(shape, DType::float32);
    float* out = result.mutable_data<float>();
    for (Index i = 0; i < shape[0]; ++i) {
      for (Index j = 0; j < shape[1]; ++j) {
        const double x = tall ? basis[static_cast<std::size_t>(j)][static_cast<std::size_t>(i)]
                              : basis[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
        *out++ = static_cast<float>(x);
      }
    }
    return result;
  };
}

Index checked_size(const char* module, const char* size, Index n) {
  constexpr Index most = std::numeric_limits<Index>::max() / 1024;  // some gates of double
  if (n < 1 || n > most) {
    throw Error(std::string(module) + ": " + size + " is " + std::to_string(n) + ": it must be " +
                (n < 1 ? "at least 1" : "at most " + std::to_string(most)));
  }
  return n;
}

Tensor initial(const Initializer& init, const Shape& shape) {
  Tensor value = init(shape);
  if (value.shape() != shape) {
    throw Error("init: the initializer gave " + to_string(value.shape()) + " for a parameter of " +
                to_string(shape));
  }
  return value;
}

Tensor per_gate(const Initializer& init, Index blocks, Index in, Index out) {
  checked_size("per_gate", "blocks", blocks);
  checked_size("per_gate", "in", in);
  checked_size("per_gate", "out", out);
  if (too_large({blocks, in, out}, sizeof(float))) {
    throw Error("per_gate: " + std::to_string(blocks) + " blocks of " + to_string({in, out}) +
                " are larger than any memory");
  }
  const Tensor result = Tensor::uninitialized({in, blocks * out}, DType::float32);
  for (Index block = 0; block < blocks; ++block) {
    detail::copy_elements(initial(init, {in, out}),
                          result.view({in, out}, result.strides(), block * out));
  }
  return result;
}

}  // namespace xgrad::nn
