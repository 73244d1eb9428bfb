#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/core/random.hpp>

#include "error_of.hpp"

namespace xgrad {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words philox(Words c, std::uint32_t key0, std::uint32_t key1) {
  std::uint32_t word[4][1] = {{c[0]}, {c[1]}, {c[2]}, {c[3]}};
  detail::philox(word, key0, key1);
  return {word[0][0], word[1][0], word[2][0], word[3][0]};
}

// The known answers that the authors of Philox publish with Random123.
TEST(Random, KnownAnswersOfPhilox) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, ones, ones),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, NumbersAreTheBlocksOfTheCounter) {
  const std::uint64_t seed = 0x0123456789abcdef;
  Generator generator(seed);
  for (std::uint32_t block = 0; block < 100; ++block) {
    const Words words = philox({block, 0, 0, 0}, 0x89abcdef, 0x01234567);
    EXPECT_EQ(generator.next(), words[0] | std::uint64_t{words[1]} << 32);
    EXPECT_EQ(generator.next(), words[2] | std::uint64_t{words[3]} << 32);
  }
}

// Exact, so that a change of the numbers on any platform is seen.
TEST(Random, KnownUniformNumbers) {
  Generator generator(0);
  EXPECT_EQ(generator.uniform(), static_cast<double>(0xe169c58d6627e8d5 >> 11) * 0x1p-53);
  const Tensor x = Generator(0).uniform({2}, -1, 1, DType::float64);
  EXPECT_EQ(x.to_vector()[0], 0x1.85a71635989fap-1);
  EXPECT_EQ(x.to_vector()[1], 0x1.b00dbd8bc57a8p-3);
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double skewness = 0;
  double kurtosis = 0;
};

Moments moments(const std::vector<double>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const double x : values) m.mean += x / n;
  for (const double x : values) m.variance += (x - m.mean) * (x - m.mean) / n;
  for (const double x : values) {
    const double z = (x - m.mean) / std::sqrt(m.variance);
    m.skewness += z * z * z / n;
    m.kurtosis += z * z * z * z / n;
  }
  return m;
}

TEST(Random, UniformNumbersAreUniform) {
  const Index n = 200'000;
  const std::vector<double> values = Generator(7).uniform({n}, 2, 5).to_vector();
  EXPECT_GE(*std::min_element(values.begin(), values.end()), 2);
  EXPECT_LT(*std::max_element(values.begin(), values.end()), 5);
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 3.5, 0.01);
  EXPECT_NEAR(m.variance, 0.75, 0.01);
  EXPECT_NEAR(m.kurtosis, 1.8, 0.02);
  // Each of 100 bins within five standard deviations.
  std::array<int, 100> bins{};
  for (const double x : values) ++bins[static_cast<std::size_t>((x - 2) / 3 * 100)];
  for (const int count : bins) EXPECT_NEAR(count, 2000, 5 * std::sqrt(2000.0));
}

TEST(Random, NormalNumbersAreNormal) {
  const Index n = 200'001;
  const std::vector<double> values = Generator(8).normal({n}, 10, 2, DType::float64).to_vector();
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 10, 0.025);
  EXPECT_NEAR(m.variance, 4, 0.07);
  EXPECT_NEAR(m.skewness, 0, 0.03);
  EXPECT_NEAR(m.kurtosis, 3, 0.06);
  for (const double sigmas : {-2.0, -1.0, 0.0, 1.0, 2.0}) {
    const double share =
        static_cast<double>(std::count_if(values.begin(), values.end(),
                                          [&](double x) { return x < 10 + 2 * sigmas; })) /
        static_cast<double>(n);
    EXPECT_NEAR(share, 0.5 * std::erfc(-sigmas / std::sqrt(2.0)), 0.006);
  }
  // Neighbours come from one pair: they must not depend on each other.
  double product = 0;
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    product += (values[i] - 10) * (values[i + 1] - 10) / 4;
  }
  EXPECT_NEAR(product / 100'000, 0, 0.016);
}

TEST(Random, FloatsAreTheDoublesRounded) {
  const auto compare = [](const auto& draw) {
    Generator a(9);
    Generator b(9);
    const std::vector<double> doubles = draw(a, DType::float64).to_vector();
    const std::vector<double> floats = draw(b, DType::float32).to_vector();
    for (std::size_t i = 0; i < doubles.size(); ++i) {
      EXPECT_EQ(floats[i], static_cast<double>(static_cast<float>(doubles[i])));
    }
    EXPECT_EQ(a.next(), b.next());
  };
  compare([](Generator& g, DType dtype) { return g.uniform({1001}, -0.1, 0.1, dtype); });
  compare([](Generator& g, DType dtype) { return g.normal({1001}, 1, 3, dtype); });
}

// The only float in the interval is its lower end; half of the numbers round to the upper one.
TEST(Random, RoundingDoesNotReachTheUpperEnd) {
  const double high = 1 + static_cast<double>(std::numeric_limits<float>::epsilon());
  for (const double x : Generator(10).uniform({1000}, 1, high).to_vector()) EXPECT_EQ(x, 1);
  for (const double x : Generator(10).uniform({10}, 3, 3).to_vector()) EXPECT_EQ(x, 3);
}

TEST(Random, BelowIsUniformAndInRange) {
  Generator generator(11);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts[static_cast<std::size_t>(generator.below(6))];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(generator.below(1), 0U);
  // Of 3/4 of all numbers: without drawing others again the lowest third would be half of them.
  const std::uint64_t large = std::uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 12'000; ++i) {
    const std::uint64_t x = generator.below(large);
    EXPECT_LT(x, large);
    low += x < large / 3 ? 1 : 0;
  }
  EXPECT_NEAR(low, 4000, 300);
}

TEST(Random, NumbersDoNotRepeatAfterTwoToThe33) {
  // The number of the block has 64 bits; two numbers are a block.
  Generator first(3), later(3);
  later.set_state("philox4x32-10 3 8589934592");
  for (int i = 0; i < 100; ++i) EXPECT_NE(first.next(), later.next());
}

TEST(Random, ShuffleGivesEveryOrderAlike) {
  Generator generator(12);
  std::map<std::string, int> counts;
  for (int i = 0; i < 24'000; ++i) {
    std::string text = "abcd";
    generator.shuffle(std::span(text));
    ++counts[text];
  }
  EXPECT_EQ(counts.size(), 24U);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 160) << order;
  std::vector<int> none;
  generator.shuffle(std::span(none));
}

TEST(Random, StateContinuesExactly) {
  for (int drawn = 0; drawn < 100; ++drawn) {
    Generator generator(std::numeric_limits<std::uint64_t>::max());
    for (int i = 0; i < drawn; ++i) generator.next();
    const std::string state = generator.state();
    Generator restored(1);
    restored.set_state(state);
    EXPECT_EQ(restored.state(), state);
    Generator copy = generator;
    for (int i = 0; i < 10; ++i) {
      const std::uint64_t expected = generator.next();
      EXPECT_EQ(restored.next(), expected);
      EXPECT_EQ(copy.next(), expected);
    }
  }
  Generator generator(42);
  generator.next();
  EXPECT_EQ(generator.state(), "philox4x32-10 42 1");
}

TEST(Random, StreamsAreTheOtherHalfOfTheCounter) {
  Generator generator(0x0123456789abcdef, 0xfedcba9876543210);
  for (std::uint32_t block = 0; block < 100; ++block) {
    const Words words = philox({block, 0, 0x76543210, 0xfedcba98}, 0x89abcdef, 0x01234567);
    EXPECT_EQ(generator.next(), words[0] | std::uint64_t{words[1]} << 32);
    EXPECT_EQ(generator.next(), words[2] | std::uint64_t{words[3]} << 32);
  }
  EXPECT_EQ(Generator(3, 0).next(), Generator(3).next());
}

TEST(Random, StateKnowsTheStream) {
  Generator generator(42, 7);
  for (int i = 0; i < 33; ++i) generator.next();
  const std::string state = generator.state();
  EXPECT_EQ(state, "philox4x32-10 42 33 7");
  Generator restored;
  restored.set_state(state);
  EXPECT_EQ(restored.state(), state);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(restored.next(), generator.next());
  restored.set_state("philox4x32-10 42 33");  // from before there were streams
  generator = Generator(42);
  for (int i = 0; i < 33; ++i) generator.next();
  EXPECT_EQ(restored.next(), generator.next());
}

TEST(Random, ABadStateIsRefusedAndChangesNothing) {
  Generator generator(13);
  generator.next();
  const std::string state = generator.state();
  for (const std::string bad :
       {"", "42 1", "philox4x32-10 ", "philox4x32-10 42", "philox4x32-10 42 ", "philox4x32-10 42 x",
        "philox4x32-10 42 1 ", "philox4x32-10 42 1 x", "philox4x32-10 42 1 2 ",
        "philox4x32-10 -1 1", "philox4x32-10 18446744073709551616 0", "mt19937 42 1"}) {
    try {
      generator.set_state(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), "random: '" + bad + "' is not the state of a generator");
    }
    EXPECT_EQ(generator.state(), state);
  }
}

template <class F>
auto on_a_thread(F&& f) {
  decltype(f()) result;
  std::thread([&] { result = f(); }).join();
  return result;
}

TEST(Random, EachThreadHasItsOwnDefault) {
  seed(14);
  default_generator().next();
  on_a_thread([] { return default_generator().next(); });
  EXPECT_EQ(default_generator().state(), "philox4x32-10 14 1");
}

// Two threads made the same model, and drew the same masks.
TEST(Random, ThreadsDrawFromStreamsOfTheirOwn) {
  const auto first = on_a_thread([] { return default_generator(); });
  const auto second = on_a_thread([] { return default_generator(); });
  const auto stream = [](const Generator& generator) {
    const std::string state = generator.state();
    EXPECT_TRUE(state.starts_with("philox4x32-10 0 0 ")) << state;
    return std::stoull(state.substr(state.rfind(' ')));
  };
  EXPECT_GE(stream(first), detail::next_free_streams);
  EXPECT_EQ(stream(second), stream(first) + 1);
  EXPECT_NE(Generator(first).next(), Generator(second).next());
  EXPECT_NE(Generator(first).next(), Generator(0).next());
}

TEST(Random, AThreadThatIsSeededTakesNoFreeStream) {
  const auto free = [] { return default_generator().state(); };
  const std::string before = on_a_thread(free);
  const std::string seeded = on_a_thread([] {
    seed(5, 6);
    return default_generator().state();
  });
  EXPECT_EQ(seeded, Generator(5, 6).state());
  const std::string seed_alone = on_a_thread([] {
    seed(5);
    return default_generator().state();
  });
  EXPECT_EQ(seed_alone, Generator(5).state());
  const auto stream = [](const std::string& s) { return std::stoull(s.substr(s.rfind(' '))); };
  EXPECT_EQ(stream(on_a_thread(free)), stream(before) + 1);
}

TEST(Random, Errors) {
  Generator g(15);
  EXPECT_EQ(error_of([&] { g.below(0); }), "below: n is 0: there is no number below it");
  EXPECT_EQ(error_of([&] { g.uniform({1}, 2, 1); }),
            "uniform: low is 2.000000, high is 1.000000: low must not be above high, nor either of "
            "them infinite");
  EXPECT_EQ(error_of([&] { g.normal({1}, 0, -1); }),
            "normal: the deviation is -1.000000: it must not be < 0");
  EXPECT_NE(error_of([&] { g.uniform({1}, 0, std::nan("")); }), "no error");
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_NE(error_of([&] { g.uniform({1}, -inf, 0); }), "no error");
  EXPECT_NE(error_of([&] { g.uniform({1}, 0, inf); }), "no error");
  EXPECT_NE(error_of([&] { g.normal({1}, 0, std::nan("")); }), "no error");
}

}  // namespace
}  // namespace xgrad
