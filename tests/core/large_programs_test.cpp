// Randomised programs on matrices that cross the engine's block sizes, in every layout, on one to
// three threads: the fast backward pass must give the naive one's gradients, and the same bits for
// every number of threads. The engine's sizes that are crossed:
//
//   2,048 elements   a block of operands that are copied (a row, some rows, or a part of a row)
//   256 rows         one sum of rows; 8 rows or 64 columns, the least for a thread
//   800, 8,192 and 65,536 elements for each thread: pointwise, where rows are summed, copied
//   4,096 rows       of products that wait for each other
#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

#include <xgrad/core/runtime/engine_counts.hpp>
#include <xgrad/xgrad.hpp>

#include "core/differential.hpp"

namespace xgrad {
namespace {

using testing::expect_same;
using testing::Gradients;
using testing::take_gradients;

struct Extents {
  Index rows, cols;
};

constexpr Extents all_extents[] = {
    {45, 45},    // just below a block
    {46, 46},    // just above
    {130, 130},  // threads, each with several columns of 64
    {400, 330},  // copies for two threads
    // Rows of one sum and of several.
    {256, 9},
    {257, 9},
    {600, 33},
    {300, 160},
    {1100, 4},
    {2049, 1},
    // Rows that are wider than a block.
    {1, 4100},
    {2, 2049},
    {3, 5000},
};

/// Writes the same program whenever it is run. Every value it works on is a matrix of the same
/// extents, by way of others.
class LargeProgram {
 public:
  LargeProgram(unsigned seed, const Extents& extents)
      : seed_(seed), m_(extents.rows), n_(extents.cols) {
    std::mt19937 random(seed);
    const auto make = [&](const Shape& shape, const char* name) {
      parameters.push_back(testing::drawn_parameter(random, shape, name));
      return parameters.back();
    };
    a_ = make({m_, n_}, "a");
    b_ = make({m_, n_}, "b");
    turned_ = make({n_, m_}, "turned");
    row_ = make({n_}, "row");
    flat_row_ = make({1, n_}, "flat row");
    column_ = make({m_, 1}, "column");
    scalar_ = make({}, "scalar");
    wide_ = make({m_, 3 * n_}, "wide");
    cube_ = make({2, m_, n_}, "cube");
    inward_ = make({n_, inner}, "inward");
    outward_ = make({inner, n_}, "outward");
  }

  /// Runs it; `watched` receives some intermediate results.
  Var run(std::vector<Var>* watched = nullptr) const {
    std::mt19937 random(seed_ * 7919 + 1);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto index_below = [&](Index n) {
      return static_cast<Index>(below(static_cast<std::size_t>(n)));
    };
    std::vector<Var> pool{a_, b_};
    const auto any = [&] { return pool[below(pool.size())]; };
    const std::size_t steps = 4 + below(8);
    for (std::size_t step = 0; step < steps; ++step) {
      const Var x = any();
      const Var y = any();
      Var z = statement(below(statements), x, y, index_below);
      if (watched && below(3) == 0 && z.requires_grad()) watched->push_back(z);
      pool.push_back(z);
    }
    Var loss = sum(tanh(pool.back()));
    for (int i = 0; i < 3; ++i) loss = loss + sum(sin(any()) * row_);
    return loss;
  }

  std::vector<Var> parameters;

 private:
  static constexpr Index inner = 5;
  static constexpr std::size_t statements = 23;

  template <class Below>
  Var statement(std::size_t which, const Var& x, const Var& y, const Below& below) const {
    const bool is_square = m_ == n_;
    switch (which) {
      case 0:
        return tanh(x * y) + x * x;
      case 1:  // an operand and its transpose
        return is_square ? Var(0.5 * x * transpose(x) + y) : Var(x * transpose(turned_));
      case 2: {  // a transposed intermediate as an addend
        const Var h = is_square ? Var(tanh(x)) : Var(tanh(turned_) * 0.7);
        return transpose(h) + y;
      }
      case 3:
        return x * row_ + tanh(y * column_) - scalar_ * x;
      case 4:  // a row's sum beside an operand that accumulates
        return tanh(x) * flat_row_ + x * row_;
      case 5:
        return tanh(x - mean(x, {below(2)}, {.keep = true}));
      case 6:
        return matmul(matmul(tanh(x), inward_), outward_) * 0.2 + y;
      case 7:  // products that wait for each other, a row added to each
        return tanh(affine(matmul(tanh(x), inward_), outward_, row_) * (1.0 / std::sqrt(n_)));
      case 8:
        return cube_[below(2)] * x + cube_[below(2)];
      case 9: {  // columns of one matrix
        const auto [u, v, w] = split<3>(wide_);
        return tanh(u + x) * v + w;
      }
      case 10: {
        const Index cut = below(m_);
        return cut == 0 ? x : concat({slice(y, 0, m_ - cut, m_), slice(x, 0, 0, m_ - cut)});
      }
      case 11: {
        const Index cut = below(n_);
        return cut == 0 ? x : concat({slice(y, 1, n_ - cut, n_), slice(x, 1, 0, n_ - cut)}, 1);
      }
      case 12: {  // rows, some of them twice
        std::vector<std::int64_t> rows(static_cast<std::size_t>(m_));
        for (auto& row : rows) row = below(m_);
        return tanh(gather(x, Indices(rows))) + y;
      }
      case 21: {  // and their gradient beside another's
        const std::vector<std::int64_t> rows(static_cast<std::size_t>(m_), m_ / 2);
        return tanh(slice(concat({gather(x, Indices(rows)), y}, 1), 1, n_ / 2, n_ / 2 + n_));
      }
      case 13:
        return where(x > 0.1, tanh(y), 0.5 * x);
      case 14:
        return sum(stack({x, y * 0.5, x}), {0}) * 0.4;
      case 15:
        return exp(0.2 * tanh(x)) / (1.5 + square(y));
      case 16:
        return tanh(0.1 * sum(x, {0})) * y;
      case 17:
        return tanh(0.1 * sum(x, {1}, {.keep = true})) + y * scalar_;
      case 18:  // a copy in another order
        return tanh(reshape(transpose(x), {m_, n_})) + y;
      case 19:  // every other row
        return tanh(x) +
               broadcast_to(sum(slice(y, 0, 0, m_, 2)) / static_cast<double>(m_ * n_), {m_, n_});
      case 20: {  // a strided part beside the whole
        const Var part = slice(x, 1, 0, n_, 2);
        return tanh(y) + sum(part * part) * (0.1 / static_cast<double>(m_ * n_)) * x;
      }
      default:  // products whose result is turned
        return transpose(matmul(transpose(outward_), transpose(matmul(tanh(x), inward_)))) * 0.2 +
               y;
    }
  }

  unsigned seed_;
  Index m_, n_;
  Var a_, b_, turned_, row_, flat_row_, column_, scalar_, wide_, cube_, inward_, outward_;
};

class LargePrograms : public ::testing::Test {
 protected:
  ~LargePrograms() override { set_threads(1); }

  static unsigned programs() { return std::getenv("XGRAD_THOROUGH") ? 400 : 16; }
  /// Twelve statements, forward and back, on so many elements each.
  static double roundings(const Extents& extents) {
    return 2.0 * 2 * 12 * static_cast<double>(3 * extents.rows * extents.cols);
  }
  static std::string title(unsigned seed, const Extents& extents, const char* what) {
    return what + (", (" + std::to_string(extents.rows)) + "," + std::to_string(extents.cols) +
           "), seed " + std::to_string(seed);
  }
};

TEST_F(LargePrograms, GradientsAreTheNaiveOnesAndTheSameBitsOnEveryNumberOfThreads) {
  detail::engine_counts = {};
  for (const Extents& extents : all_extents) {
    for (unsigned seed = 0; seed < programs(); ++seed) {
      const LargeProgram program(seed, extents);
      Gradients naive;
      {
        Tape tape(TapeMode::naive);
        tape.backward(program.run());
        naive = take_gradients(program.parameters);
      }
      Gradients on_one;
      for (const int threads : {1, 2, 3}) {
        set_threads(threads);
        Tape tape;
        tape.backward(program.run());
        const Gradients fast = take_gradients(program.parameters);
        if (threads == 1) {
          on_one = fast;
          expect_same(fast, naive, roundings(extents), title(seed, extents, "backward"));
        } else {
          ASSERT_EQ(fast, on_one) << title(seed, extents, "threads") << ", threads " << threads;
        }
        if (HasFatalFailure()) return;
      }
      set_threads(1);
    }
  }
  const detail::EngineCounts& counts = detail::engine_counts;
  const std::pair<const char*, std::int64_t> ways[] = {
      {"direct", counts.direct},
      {"split", counts.split},
      {"copied, forward", counts.copied_forward},
      {"copied, backward", counts.copied_backward},
      {"summed in parts", counts.summed_in_parts},
      {"home", counts.home},
      {"inherited", counts.inherited},
      {"adopted", counts.adopted},
      {"deferred", counts.deferred},
  };
  for (const auto& [way, count] : ways) {
    std::cout << way << ": " << count << "\n";
    EXPECT_GT(count, 0) << way;
  }
}

TEST_F(LargePrograms, GradientsOfIntermediateResultsAgree) {
  for (const Extents& extents : all_extents) {
    for (unsigned seed = 0; seed < programs() / 2; ++seed) {
      const LargeProgram program(1000 + seed, extents);
      testing::expect_inner_gradients_agree(program, roundings(extents), title(seed, extents, ""));
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace xgrad
