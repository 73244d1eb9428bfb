#include "peer_criteria.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/reduce.hpp>

namespace xgrad::mutants {
namespace {

/// Copies of the inputs as parameters of a dtype, whose entries can be moved.
template <class T>
class Parameters {
 public:
  explicit Parameters(const std::vector<NamedVar>& inputs) {
    for (const NamedVar& input : inputs) {
      vars.push_back(parameter(input.var.tensor().to(dtype_of<T>()).copy(), input.name));
      vars.back().set_trainable(!input.constant);
      if (!input.constant) checked.push_back(vars.back());
    }
  }

  /// Calls `at(x - step)` and `at(x + step)` for the entry x of a parameter and puts it back.
  template <class At>
  static auto both_sides(const Var& p, Index entry, T step, const At& at) {
    const Tensor before = p.tensor().copy();
    const auto moved = [&](T by) {
      const Tensor x = before.copy();
      x.mutable_data<T>()[entry] += by;
      p.assign(x);
      return at();
    };
    const auto left = moved(-step);
    const auto right = moved(step);
    p.assign(before);
    return std::pair(left, right);
  }

  Vars vars;
  Vars checked;
};

std::vector<double> flat(const Vars& ys) {
  std::vector<double> all;
  for (const Var& y : ys) {
    const std::vector<double> values = y.tensor().to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// The gradients of <seeds, ys> by the parameters, one after the other.
std::vector<double> pulled_back(const Vars& ys, const std::vector<Tensor>& seeds, const Vars& xs) {
  Var total;
  for (std::size_t i = 0; i < ys.size(); ++i) {
    if (!ys[i].requires_grad()) continue;
    const Var term = sum(Var(ys[i] * Var(seeds[i])));
    total = total.defined() ? Var(total + term) : term;
  }
  if (total.defined()) return flat(grad(total, xs, {.retain = true}));
  std::size_t n = 0;
  for (const Var& x : xs) n += static_cast<std::size_t>(x.size());
  return std::vector<double>(n);
}

Tensor full_like(const Var& y, double value) { return Tensor::full(y.shape(), value, y.dtype()); }

}  // namespace

PeerVerdict dynet_check_grad(const Function& f, const std::vector<NamedVar>& inputs) {
  constexpr float alpha = 5e-3F;
  constexpr float tolerance = 0.01F;
  const Parameters<float> parameters(inputs);
  Index evaluations = 0;
  const auto scalar = [&] {
    ++evaluations;
    Var squares;
    for (const Var& y : f(parameters.vars)) {
      const Var term = sum(Var(square(y)));
      squares = squares.defined() ? Var(squares + term) : term;
    }
    return Var(sqrt(squares));
  };
  std::vector<double> gradient;
  {
    const Tape tape;
    const Var E = scalar();
    gradient = pulled_back({E}, {full_like(E, 1)}, parameters.checked);
  }
  const auto value = [&] {
    const Tape tape;  // f may take gradients itself
    return static_cast<float>(scalar().item());
  };
  auto analytic = gradient.begin();
  bool passes = true;
  for (const Var& p : parameters.checked) {
    for (Index i = 0; i < p.size(); ++i) {
      const auto [left, right] = Parameters<float>::both_sides(p, i, alpha, value);
      const float n = (right - left) / (2 * alpha);
      const auto a = static_cast<float>(*analytic++);
      float apart = std::abs(n - a);
      const float larger = std::max(std::abs(n), std::abs(a));
      if (apart > tolerance && larger > 0) apart /= larger;
      passes = passes && !(apart > tolerance || std::isnan(apart));
    }
  }
  return {passes, evaluations};
}

PeerVerdict tiny_dnn_gradient_check(const Function& f, const std::vector<NamedVar>& inputs) {
  const float delta = std::sqrt(std::numeric_limits<float>::epsilon());
  constexpr float eps = 1e-2F;
  const auto target = [](Index i) { return i == 0 ? 0.8F : -0.8F; };
  const Parameters<float> parameters(inputs);
  Index evaluations = 0;
  std::vector<double> gradient;
  {
    const Tape tape;
    ++evaluations;
    const Vars ys = f(parameters.vars);
    std::vector<Tensor> seeds;
    for (const Var& y : ys) {
      const std::vector<double> values = y.tensor().to_vector();
      const Tensor seed = full_like(y, 0);
      for (Index i = 0; i < y.size(); ++i) {
        const auto off = static_cast<float>(values[static_cast<std::size_t>(i)]) - target(i);
        seed.mutable_data<float>()[i] = 2 * off / static_cast<float>(y.size());
      }
      seeds.push_back(seed);
    }
    gradient = pulled_back(ys, seeds, parameters.checked);
  }
  const auto loss = [&] {
    const Tape tape;
    ++evaluations;
    float total = 0;
    for (const Var& y : f(parameters.vars)) {
      const std::vector<double> values = y.tensor().to_vector();
      float squares = 0;
      for (Index i = 0; i < y.size(); ++i) {
        const auto off = static_cast<float>(values[static_cast<std::size_t>(i)]) - target(i);
        squares += off * off;
      }
      total += squares / static_cast<float>(y.size());
    }
    return total;
  };
  auto analytic = gradient.begin();
  bool passes = true;
  for (const Var& p : parameters.checked) {
    for (Index i = 0; i < p.size(); ++i) {
      const auto [left, right] = Parameters<float>::both_sides(p, i, delta, loss);
      const float n = (right - left) / (2 * delta);
      passes = passes && std::abs(static_cast<float>(*analytic++) - n) <= eps;
    }
  }
  return {passes, evaluations};
}

PeerVerdict pytorch_gradcheck(const Function& f, const std::vector<NamedVar>& inputs) {
  constexpr double eps = 1e-6;
  constexpr double atol = 1e-5;
  constexpr double rtol = 1e-3;
  const Parameters<double> parameters(inputs);
  Index evaluations = 0;
  bool passes = true;

  // By result number and then by entry; results that no gradient leads to are left out.
  std::vector<std::vector<double>> jacobian;
  std::vector<bool> differentiable;  // of every number
  {
    const Tape tape;
    ++evaluations;
    const Vars ys = f(parameters.vars);
    std::vector<Tensor> seeds;
    for (const Var& y : ys) seeds.push_back(full_like(y, 0));
    for (const double g : pulled_back(ys, seeds, parameters.checked)) passes = passes && g == 0;
    for (std::size_t k = 0; k < ys.size(); ++k) {
      for (Index i = 0; i < ys[k].size(); ++i) {
        differentiable.push_back(ys[k].requires_grad());
        seeds[k].mutable_data<double>()[i] = 1;
        jacobian.push_back(pulled_back(ys, seeds, parameters.checked));
        passes = passes && jacobian.back() == pulled_back(ys, seeds, parameters.checked);
        seeds[k].mutable_data<double>()[i] = 0;
      }
    }
  }
  const bool any =
      std::find(differentiable.begin(), differentiable.end(), true) != differentiable.end();
  const auto results = [&] {
    const Tape tape;
    ++evaluations;
    return flat(f(parameters.vars));
  };
  std::size_t column = 0;
  for (const Var& p : parameters.checked) {
    for (Index i = 0; i < p.size(); ++i, ++column) {
      const auto [left, right] = Parameters<double>::both_sides(p, i, eps, results);
      for (std::size_t row = 0; row < differentiable.size(); ++row) {
        const double n = (right[row] - left[row]) / (2 * eps);
        if (any && !differentiable[row]) continue;
        const double apart = std::abs(jacobian[row][column] - n);
        passes = passes && (any ? apart <= atol + rtol * std::abs(n) : n == 0);
      }
    }
  }
  return {passes, evaluations};
}

}  // namespace xgrad::mutants
