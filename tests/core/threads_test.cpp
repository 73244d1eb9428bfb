#include <atomic>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

/// Restores one thread at the end of a test.
struct ThreadsTest : ::testing::Test {
  ~ThreadsTest() override { set_threads(1); }
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

TEST_F(ThreadsTest, ExceptionsReachTheCaller) {
  set_threads(3);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(detail::parallel_for(10,
                                      [](Index part) {
                                        if (part == 7) throw Error("part 7");
                                      }),
                 Error);
  }
}

TEST_F(ThreadsTest, PartsMayCallParallelForThemselves) {
  set_threads(2);
  std::atomic<int> runs = 0;
  detail::parallel_for(4, [&](Index) { detail::parallel_for(3, [&](Index) { ++runs; }); });
  EXPECT_EQ(runs, 12);
}

// Large enough for products and pointwise ops to be split among three threads.
TEST_F(ThreadsTest, TrainingHasTheSameBitsForEveryCount) {
  std::vector<std::vector<double>> results;
  for (int n : {1, 2, 3, 8}) {
    set_threads(n);
    seed(5);
    nn::LSTM lstm(40, 200);
    nn::Linear out(200, 30);
    const Var x = default_generator().normal({4, 65, 40}, 0, 1);
    const Var y = default_generator().normal({4, 65, 30}, 0, 1);
    Tape tape;
    tape.backward(mse(out(lstm(x).outputs), y));
    std::vector<double> bits;
    for (const Var& p : lstm.parameters()) {
      const std::vector<double> g = p.grad().to_vector();
      bits.insert(bits.end(), g.begin(), g.end());
    }
    results.push_back(bits);
  }
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

}  // namespace
}  // namespace xgrad
