#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include <xgrad/core/runtime/engine_counts.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/xgrad.hpp>

#include "error_of.hpp"

namespace xgrad {
namespace {

/// Restores one thread at the end of a test.
struct ThreadsTest : ::testing::Test {
  ~ThreadsTest() override { set_threads(1); }
  std::atomic<bool> may_go_on = false;
};

TEST_F(ThreadsTest, CountMustBePositive) {
  try {
    set_threads(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "set_threads: n is 0: it must be at least 1");
  }
}

TEST_F(ThreadsTest, EveryPartRunsOnce) {
  for (int n : {1, 2, 3, 8}) {
    set_threads(n);
    EXPECT_EQ(threads(), n);
    for (Index parts : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(parts));
      detail::parallel_for(parts, [&](Index part) { ++runs[static_cast<std::size_t>(part)]; });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST_F(ThreadsTest, HelpersHaveStreamsOfRandomNumbersOfTheirOwn) {
  seed(0);
  set_threads(3);
  std::vector<std::string> states(64);
  detail::parallel_for(64, [&](Index part) {
    states[static_cast<std::size_t>(part)] = default_generator().state();
  });
  const std::string allowed[] = {Generator(0).state(), Generator(0, detail::own_streams).state(),
                                 Generator(0, detail::own_streams + 1).state()};
  for (const std::string& state : states) {
    EXPECT_NE(std::find(std::begin(allowed), std::end(allowed), state), std::end(allowed)) << state;
  }
}

TEST_F(ThreadsTest, ExceptionsReachTheCaller) {
  set_threads(3);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(detail::parallel_for(10,
                                      [](Index part) {
                                        if (part == 7) throw Error("part 7");
                                      }),
                 Error);
    // That error is thrown once: the next task succeeds.
    std::atomic<int> parts = 0;
    detail::parallel_for(10, [&](Index) { ++parts; });
    EXPECT_EQ(parts, 10);
  }
}

TEST_F(ThreadsTest, PartsMayCallParallelForThemselves) {
  set_threads(2);
  std::atomic<int> runs = 0;
  detail::parallel_for(4, [&](Index) { detail::parallel_for(3, [&](Index) { ++runs; }); });
  EXPECT_EQ(runs, 12);
}

TEST_F(ThreadsTest, PartsCannotChangeTheirNumber) {
  set_threads(2);
  EXPECT_THROW(detail::parallel_for(4, [](Index) { set_threads(3); }), Error);
  EXPECT_EQ(threads(), 2);
}

// A helper is asleep after a pause, and takes part again.
TEST_F(ThreadsTest, SleepingHelpersWakeUp) {
  set_threads(3);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::atomic<int> others = 0;
    const auto caller = std::this_thread::get_id();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (others == 0 && std::chrono::steady_clock::now() < deadline) {
      detail::parallel_for(8, [&](Index) {
        if (std::this_thread::get_id() != caller) ++others;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      });
    }
    EXPECT_GT(others, 0);
  }
}

/// Part 1 waits until it may go on, and writes some time later.
struct Delayed {
  const std::atomic<bool>* may_go_on;
  float* to;
  void operator()(Index part) const {
    if (part == 0) return;
    while (!*may_go_on) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    *to = 3;
  }
};

TEST_F(ThreadsTest, CallersGoOnWhileHelpersCompute) {
  set_threads(2);
  const Tensor x = Tensor::full({1}, 2);
  detail::launch(2, Delayed{&may_go_on, x.mutable_data<float>()});
  may_go_on = true;  // launch has returned, or part 1 would never end
  EXPECT_EQ(x.item(), 3);
}

TEST_F(ThreadsTest, OtherThreadsWaitForATensorToo) {
  set_threads(2);
  const Tensor x = Tensor::full({1}, 2);
  detail::launch(2, Delayed{&may_go_on, x.mutable_data<float>()});
  may_go_on = true;
  std::thread([&] { EXPECT_EQ(x.item(), 3); }).join();
}

TEST_F(ThreadsTest, ANewNumberOfThreadsWaitsForThoseAtWork) {
  set_threads(2);
  float x = 2;
  detail::launch(2, Delayed{&may_go_on, &x});
  may_go_on = true;
  set_threads(1);
  EXPECT_EQ(x, 3);
}

struct Fail {
  int number;
  void operator()(Index part) const {
    if (part == 1) throw Error("task " + std::to_string(number));
  }
};

struct Mark {
  int* marks;
  void operator()(Index part) const { marks[part] = 1; }
};

TEST_F(ThreadsTest, TheErrorOfALaunchedTaskIsThrownOnceByWhoeverWaitsForIt) {
  set_threads(2);
  for (int round = 0; round < 20; ++round) {
    detail::launch(2, Fail{round});
    EXPECT_EQ(error_of([] { detail::join(); }), "task " + std::to_string(round));
    detail::join();
    // The next task waits, too, and does not begin.
    detail::launch(2, Fail{100 + round});
    int marks[2] = {};
    EXPECT_EQ(error_of([&] { detail::launch(2, Mark{marks}); }),
              "task " + std::to_string(100 + round));
    detail::join();
    EXPECT_EQ(marks[0] + marks[1], 0);
    detail::launch(2, Mark{marks});
    detail::join();
    EXPECT_EQ(marks[0] + marks[1], 2);
  }
}

struct Refuse {
  static constexpr const char* name = "refuse";
  static auto value(auto x) {
    if constexpr (!std::is_same_v<decltype(x), Var>) throw Error("refuse: no value");
    return x;
  }
  static auto pullback(auto g, auto, auto) { return g; }
};

TEST_F(ThreadsTest, AForkedProcessHasOneThreadAndMayStartMore) {
  set_threads(3);
  const Var x = Generator(1).normal({256, 256}, 0, 1);
  const auto product = [&] { return matmul(x, x).tensor().to_vector(); };
  const std::vector<double> expected = product();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the helpers sleep
  const Var running = tanh(x) * x;                              // some parts of which may be left
  const auto child = [&] {
    bool good = threads() == 1 && product() == expected;
    set_threads(3);
    good = good && threads() == 3 && product() == expected;
    std::exit(good ? 0 : 1);  // which destroys the threads
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
  EXPECT_EQ(threads(), 3);
  EXPECT_EQ(product(), expected);
}

// What a part throws arrives where its result is asked for, at the latest.
TEST_F(ThreadsTest, OpsMayThrowOnEveryThread) {
  const Var x = Tensor::full({64, 64}, 2);
  for (int n : {1, 2, 3}) {
    set_threads(n);
    EXPECT_THROW(Var(pointwise<Refuse>(x)).tensor().to_vector(), Error) << n << " threads";
    EXPECT_EQ(Var(x * x).tensor().to_vector(), std::vector<double>(64 * 64, 4)) << n;
  }
}

// Threads may still compute with a tensor that its owner has released.
TEST_F(ThreadsTest, MemoryOfTensorsIsReusedForTensorsOnly) {
  const std::byte* const released = Tensor::zeros({1000}).address();
  void* const object = detail::pool_allocate(sizeof(detail::Buffer) + 1000 * sizeof(float));
  EXPECT_NE(static_cast<const std::byte*>(object) + sizeof(detail::Buffer), released);
  detail::pool_release(object);
#ifndef XGRAD_POOL_MALLOC
  EXPECT_EQ(Tensor::zeros({1000}).address(), released);
#endif
}

/// The elements that `compute` returns for several numbers of threads, which must be the same bits.
template <class F>
void expect_same_bits(const F& compute) {
  std::vector<std::vector<double>> results;
  for (int n : {1, 2, 3, 8}) {
    set_threads(n);
    std::vector<double> bits;
    for (const Var& x : compute()) {
      const std::vector<double> values = x.tensor().to_vector();
      bits.insert(bits.end(), values.begin(), values.end());
    }
    results.push_back(bits);
    EXPECT_EQ(results.back(), results.front()) << n << " threads";
  }
}

/// Gradients of a network large enough for its products and pointwise ops to be cut.
std::vector<Var> train(Index batch, Index hidden) {
  seed(5);
  nn::LSTM lstm(40, hidden);
  nn::Linear out(hidden, 30);
  const Var x = default_generator().normal({4, batch, 40}, 0, 1);
  const Var y = default_generator().normal({4, batch, 30}, 0, 1);
  Tape tape;
  tape.backward(mse(out(lstm(x).outputs), y));
  std::vector<Var> gradients;
  for (const Var& p : lstm.parameters()) gradients.push_back(p.grad());
  return gradients;
}

TEST_F(ThreadsTest, ManyRowsHaveTheSameBitsForEveryCount) {
  expect_same_bits([] { return train(65, 200); });
}

// Too few rows for three threads: columns are cut.
TEST_F(ThreadsTest, FewRowsHaveTheSameBitsForEveryCount) {
  expect_same_bits([] { return train(20, 400); });
}

/// The gradients of the last of some steps, whose memory is that of the steps before.
template <class Cell>
std::vector<Var> train_small() {
  seed(7);
  nn::Recurrent<Cell> network(10, 50);
  optim::Adam adam(network.parameters());
  const Var x = default_generator().normal({12, 32, 10}, 0, 1);
  const Var y = default_generator().normal({12, 32, 50}, 0, 1);
  for (int step = 0;; ++step) {
    Tape tape;
    tape.backward(mse(network(x).outputs, y));
    if (step == 20) break;
    adam.step();
  }
  std::vector<Var> gradients;
  for (const Var& p : network.parameters()) gradients.push_back(p.grad());
  return gradients;
}

TEST_F(ThreadsTest, SmallNetworksHaveTheSameBitsForEveryCount) {
  expect_same_bits(train_small<nn::LSTMCell>);
  expect_same_bits(train_small<nn::GRUCell>);
}

// A row and a scalar whose gradients are summed, a column that is copied, and a large sum.
TEST_F(ThreadsTest, BroadcastsHaveTheSameBitsForEveryCount) {
  expect_same_bits([] {
    Generator g(3);
    const Var x = g.normal({600, 500}, 0, 1);
    const Var target = g.normal({600, 500}, 0, 1);
    const std::vector<Var> leaves{parameter(g.normal({500}, 0, 1)), parameter(g.normal({}, 0, 1)),
                                  parameter(g.normal({600, 1}, 0, 1))};
    Tape tape;
    const Var y = tanh(x * leaves[0]) * leaves[1] + leaves[2];
    const Var loss = mse(stack({y, y * x}, 0), stack({target, x}, 0));
    std::vector<Var> results = grad(loss, leaves);
    results.push_back(loss);
    results.push_back(y);
    return results;
  });
}

// A part of the sums' task may begin when the tape has given back what it reads.
TEST_F(ThreadsTest, SumsOfRowsLeaveTheirOperandsAlone) {
  const Var row = parameter(Generator(5).normal({128}, 0, 1));
  const Var w = parameter(Generator(6).normal({512, 128}, 0, 1));
  const auto step = [&] {
    Tape tape;
    const auto network = [&]() -> Var {
      const Var s = exp(row);
      const Var x = tanh(w);
      const Var y = x * s;
      return sum(y * y);
    };
    tape.backward(network());
    const std::vector<std::vector<double>> gradients{w.grad().to_vector(), row.grad().to_vector()};
    row.clear_grad();
    w.clear_grad();
    return gradients;
  };
  const auto expected = step();
  set_threads(8);  // more than processors, so that some begin late
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(step(), expected);
}

// Leaves that are one view, which is cut, and views that overlap, which are not.
TEST_F(ThreadsTest, RepeatedLeavesHaveTheSameBitsForEveryCount) {
  expect_same_bits([] {
    Generator g(4);
    const std::vector<Var> leaves{parameter(g.normal({256, 96}, 0, 1)),
                                  parameter(g.normal({96}, 0, 1))};
    Tape tape;
    const Var& x = leaves[0];
    const Var& p = leaves[1];
    Var z = slice(x, 0, 0, 192) * tanh(slice(x, 0, 64, 256));
    Var y = sigmoid(p * x) * x + tanh(p + x) * p;
    return grad(sum(y * y) + sum(z * z), leaves);
  });
}

// Two threads that added to the same element at a time would lose one of both. When they would come
// to the same row is not known, so that all distances of the views are tried.
TEST_F(ThreadsTest, OverlappingLeavesLoseNothing) {
  const Var x = parameter(Generator(8).normal({200, 96}, 0, 1));
  for (Index shift = 20; shift <= 100; ++shift) {
    const auto gradient = [&] {
      Tape tape;
      tape.backward(sum(slice(x, 0, 0, 100) * tanh(slice(x, 0, shift, shift + 100))));
      const std::vector<double> values = x.grad().to_vector();
      x.clear_grad();
      return values;
    };
    set_threads(1);
    const std::vector<double> expected = gradient();
    set_threads(2);
    for (int i = 0; i < 50; ++i) ASSERT_EQ(gradient(), expected) << shift;
  }
  // Where processors are busy elsewhere, threads hardly meet: they must not share the work at all.
  const auto times_shared = [&](Index shift) {
    Tape tape;
    const Var y = slice(x, 0, 0, 100) * tanh(slice(x, 0, shift, shift + 100));
    const std::int64_t before = detail::engine_counts.split;
    tape.backward(y, Tensor::full(y.shape(), 1));
    x.clear_grad();
    return detail::engine_counts.split - before;
  };
  EXPECT_LT(times_shared(99), times_shared(100));  // where the views only touch
}

}  // namespace
}  // namespace xgrad
