#include "nn/allocations.hpp"

#include <functional>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

TEST(Allocations, NoneInASteadyState) {
#ifdef XGRAD_POOL_MALLOC
  GTEST_SKIP() << "the pool is malloc in this build";
#endif
  nn::LSTM net(24, 40, {.layers = 2});
  const nn::Linear head(40, 24);
  std::vector<Var> parameters = net.parameters();
  for (const Var& p : head.parameters()) parameters.push_back(p);
  optim::Adam adam(parameters, {.lr = 1e-3});
  const Var xs = Tensor::full({7, 6, 24}, 0.5);
  const auto training_step = [&] {
    Tape tape;
    tape.backward(mse(head(net(xs).outputs), xs));
    optim::clip_norm(adam.parameters(), 5.0);
    adam.step();
  };
  auto states = net.zero_state(1);
  Var x = Tensor::full({1, 24}, 0.5);
  const auto streaming_step = [&] { x = softmax(head(net.step(x, states)), -1); };
  for (const std::function<void()>& step :
       {std::function<void()>(training_step), std::function<void()>(streaming_step)}) {
    for (int i = 0; i < 10; ++i) step();
    const std::size_t by_pool = pool_statistics().system_allocations;
    const std::size_t by_new = testing::allocations();
    for (int i = 0; i < 100; ++i) step();
    EXPECT_EQ(testing::allocations() - by_new, 0u);
    EXPECT_EQ(pool_statistics().system_allocations - by_pool, 0u);
  }
}

}  // namespace
}  // namespace xgrad
