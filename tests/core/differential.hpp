// Two ways to the gradients of one program, compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad::testing {

/// Of normal numbers of deviation 1/2.
inline Var drawn_parameter(std::mt19937& random, const Shape& shape, const char* name) {
  std::normal_distribution<double> normal(0, 0.5);
  std::vector<double> numbers(static_cast<std::size_t>(element_count(shape)));
  for (double& x : numbers) x = normal(random);
  return parameter(Tensor(shape, numbers), name);
}

using Gradients = std::vector<std::vector<double>>;

/// Of each parameter, which then has none any more.
inline Gradients take_gradients(const std::vector<Var>& parameters) {
  Gradients gradients;
  for (const Var& p : parameters) {
    gradients.push_back(p.has_grad() ? p.grad().to_vector() : std::vector<double>());
    p.clear_grad();
  }
  return gradients;
}

inline Gradients values(const std::vector<Var>& vars) {
  Gradients result;
  for (const Var& x : vars) result.push_back(x.tensor().to_vector());
  return result;
}

/// Fails where the fast gradients differ from the naive ones by more than so many roundings, each
/// of a number as large as the largest gradient, or 1.
inline void expect_same(const Gradients& fast, const Gradients& naive, double roundings,
                        const std::string& what) {
  ASSERT_EQ(fast.size(), naive.size());
  double largest = 1;
  for (const std::vector<double>& gradient : naive) {
    for (const double x : gradient) largest = std::max(largest, std::abs(x));
  }
  const double bound = rounding_bound(DType::float64, roundings, largest);
  for (std::size_t k = 0; k < fast.size(); ++k) {
    ASSERT_EQ(fast[k].size(), naive[k].size()) << what << ", gradient " << k;
    for (std::size_t i = 0; i < fast[k].size(); ++i) {
      ASSERT_TRUE(std::abs(fast[k][i] - naive[k][i]) <= bound)
          << what << ", gradient " << k << "[" << i << "]: fast " << fast[k][i] << ", naive "
          << naive[k][i];
    }
  }
}

/// The gradients of a program's parameters and of some intermediate results, by `grad`: fast, and
/// with create_graph, against the naive ones.
template <class Program>
void expect_inner_gradients_agree(const Program& program, double roundings,
                                  const std::string& what) {
  Gradients gradients[3];
  for (int way = 0; way < 3; ++way) {
    Tape tape(way == 1 ? TapeMode::naive : TapeMode::fast);
    std::vector<Var> xs = program.parameters;
    const Var loss = program.run(&xs);
    gradients[way] = values(grad(loss, xs, {.create_graph = way == 2}));
  }
  expect_same(gradients[0], gradients[1], roundings, "grad" + what);
  expect_same(gradients[2], gradients[1], roundings, "grad with create_graph" + what);
}

}  // namespace xgrad::testing
