// The criteria of other libraries, as their sources have them.
#include "mutants/peer_criteria.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "mutants/planted_op.hpp"

namespace xgrad {
namespace {

using mutants::Eager;
using mutants::Vars;

/// exp(x) of one number, its gradient times `factor` and `extra` more.
mutants::Function exponential(double factor, double extra = 0) {
  return [=](const Vars& in) -> Vars {
    return {
        mutants::corrupt(exp(Eager(in[0])), [=](const Eager& g) { return extra + factor * g; })};
  };
}

std::vector<NamedVar> at(double x) { return {{"x", Tensor({1}, {x}, DType::float64)}}; }

TEST(PeerCriteria, DyNetAllowsOnePercent) {
  // The scalar is |exp(x)|, its derivative exp(x).
  EXPECT_TRUE(mutants::dynet_check_grad(exponential(1), at(1)).passes);
  EXPECT_TRUE(mutants::dynet_check_grad(exponential(1.008), at(1)).passes);
  EXPECT_FALSE(mutants::dynet_check_grad(exponential(1.012), at(1)).passes);
  EXPECT_TRUE(mutants::dynet_check_grad(exponential(0), at(-5)).passes);  // 0.0067 < 0.01
  EXPECT_FALSE(mutants::dynet_check_grad(exponential(NAN), at(1)).passes);
  EXPECT_EQ(mutants::dynet_check_grad(exponential(1), at(1)).evaluations, 3);
}

TEST(PeerCriteria, TinyDnnAllowsAHundredth) {
  // The loss is (exp(x) - 0.8)^2, its derivative 2 (exp(x) - 0.8) exp(x): 0.4 at 0.
  EXPECT_TRUE(mutants::tiny_dnn_gradient_check(exponential(1), at(0)).passes);
  EXPECT_TRUE(mutants::tiny_dnn_gradient_check(exponential(1.02), at(0)).passes);
  EXPECT_FALSE(mutants::tiny_dnn_gradient_check(exponential(1.03), at(0)).passes);
  EXPECT_FALSE(mutants::tiny_dnn_gradient_check(exponential(NAN), at(0)).passes);
  EXPECT_EQ(mutants::tiny_dnn_gradient_check(exponential(1), at(0)).evaluations, 3);
}

TEST(PeerCriteria, PyTorchAllowsAThousandthAndAHundredThousandth) {
  EXPECT_TRUE(mutants::pytorch_gradcheck(exponential(1), at(1)).passes);
  EXPECT_TRUE(mutants::pytorch_gradcheck(exponential(1.00099), at(1)).passes);
  EXPECT_FALSE(mutants::pytorch_gradcheck(exponential(1.00102), at(1)).passes);
  EXPECT_FALSE(mutants::pytorch_gradcheck(exponential(NAN), at(1)).passes);
  EXPECT_FALSE(mutants::pytorch_gradcheck(exponential(1, 1e-9), at(1)).passes);  // of no gradient
  const auto cut = [](const Vars& in) -> Vars { return {detach(in[0])}; };
  EXPECT_FALSE(mutants::pytorch_gradcheck(cut, at(1)).passes);
  const auto constant = [](const Vars&) -> Vars { return {Tensor::zeros({2}, DType::float64)}; };
  EXPECT_TRUE(mutants::pytorch_gradcheck(constant, at(1)).passes);
}

TEST(PeerCriteria, TheySeeAnAsymmetricJacobian) {
  Generator random(3);
  const std::vector<NamedVar> inputs{{"a", mutants::draw(random, {3, 2})},
                                     {"b", mutants::draw(random, {2, 3})}};
  const mutants::Function product = [](const Vars& in) -> Vars { return {matmul(in[0], in[1])}; };
  EXPECT_TRUE(mutants::dynet_check_grad(product, inputs).passes);
  EXPECT_TRUE(mutants::tiny_dnn_gradient_check(product, inputs).passes);
  const mutants::PeerVerdict verdict = mutants::pytorch_gradcheck(product, inputs);
  EXPECT_TRUE(verdict.passes);
  EXPECT_EQ(verdict.evaluations, 1 + 2 * 12);
}

}  // namespace
}  // namespace xgrad
