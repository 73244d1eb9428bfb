// float32 at sizes where packed, threaded and fused kernels are used, and kernels that are wrong.
#include <gtest/gtest.h>

#include <xgrad/core/engine/product.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/nn/verify/float32check.hpp>
#include <xgrad/ops/loss.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/reduce.hpp>

#include "verify/module_row.hpp"
#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

using In = const std::vector<Var>&;

struct Threads {
  explicit Threads(int n) : before(threads()) { set_threads(n); }
  ~Threads() { set_threads(before); }
  int before;
};

/// The largest bound of any tensor, relative to its largest entry. A single entry may cancel.
double largest_bound(const Float32Report& report) {
  double most = 0;
  for (const auto* list : {&report.results, &report.inputs}) {
    for (const Float32Tensor& tensor : *list) {
      if (tensor.entries == 1 || tensor.scale == 0) continue;
      most = std::max(most, tensor.largest_bound * tensor.ulp / tensor.scale);
    }
  }
  return most;
}

template <class Cell>
void check_sequence(Index steps, Index batch, Index input, Index hidden, std::uint64_t seed,
                    const nn::RecurrentOptions& options = {},
                    const std::vector<Index>& lengths = {}) {
  xgrad::seed(seed);
  nn::Recurrent<Cell> net(input, hidden, options);
  const auto report = float32check(net, drawn({steps, batch, input}), {}, lengths, {.seed = seed});
  const bool one_step = steps == 1;  // from zeros: nothing reaches the recurrent weights
  EXPECT_TRUE(report || one_step) << report;
  for (const Float32Tensor& tensor : report.inputs) {
    EXPECT_LE(tensor.verdict, Verdict::zero) << report;
  }
  EXPECT_LT(largest_bound(report), 1e-3) << report;
}

TEST(Float32Kernels, RecurrentOfEveryWidth) {
  std::vector<Index> widths{1, 2, 7, 8, 15, 16, 17, 33, 64};
  if (!verify::sanitized) widths.push_back(128);
  for (const std::uint64_t seed : verify::table_seeds(2)) {
    for (const Index hidden : widths) {
      SCOPED_TRACE("width " + std::to_string(hidden) + ", seed " + std::to_string(seed));
      check_sequence<nn::LSTMCell>(4, 5, 3, hidden, seed);
      check_sequence<nn::GRUCell>(3, 4, 17, hidden, seed, {.bidirectional = true}, {3, 1, 2, 3});
      check_sequence<nn::RNNCell>(5, 3, 16, hidden, seed, {.layers = 2});
      check_sequence<nn::LSTMCell>(1, 1, 5, hidden, seed);
      if (HasFailure()) return;
    }
  }
}

TEST(Float32Kernels, ThreadsAndLongSequences) {
  for (const std::uint64_t seed : verify::table_seeds(1)) {
    for (const int n : {1, 2, 3}) {
      const Threads scope(n);
      SCOPED_TRACE(std::to_string(n) + " threads, seed " + std::to_string(seed));
      check_sequence<nn::LSTMCell>(50, 3, 4, 24, seed, {}, {50, 1, 31});
      check_sequence<nn::GRUCell>(50, 2, 4, 16, seed);
      if (verify::sanitized) continue;
      check_sequence<nn::LSTMCell>(4, 32, 20, 64, seed);  // steps of 8192 numbers
      check_sequence<nn::GRUCell>(2, 300, 16, 40, seed);  // rows enough to share
      if (HasFailure()) return;
    }
  }
}

TEST(Float32Kernels, LongReductions) {
  for (const std::uint64_t seed : verify::table_seeds(2)) {
    Generator random(seed);
    for (const Index n : {16, 100, 1000, 5000}) {
      for (const double low : {-1.0, 0.0}) {  // of either sign, and of one
        const Var a = random.uniform({4, n}, low, 1);
        const Var b = random.uniform({n, 3}, low, 1);
        const auto product = float32check([](In in) { return matmul(in[0], in[1]); },
                                          {{"a", a}, {"b", b}}, {.seed = seed});
        EXPECT_TRUE(product) << n << product;
        EXPECT_EQ(product.longest_reduction, n);
        const Var x = random.uniform({n, 9}, low, 1);
        const auto sums = float32check(
            [](In in) {
              const Var y = in[0] * in[1] + in[2];
              return std::vector<Var>{sum(y * y, {0}), mean(y), logsumexp(y), variance(y)};
            },
            {{"x", x}, {"row", random.uniform({9}, low, 1)}, {"s", random.uniform({}, low, 1)}},
            {.seed = seed});
        EXPECT_TRUE(sums) << n << sums;
      }
    }
  }
}

TEST(Float32Kernels, CancellationRaisesTheBound) {
  const auto f = [](In in) { return Var((in[0] + 1000.0) - 1000.0 - in[0]); };
  const auto report = float32check(f, {{"x", drawn({20})}});
  EXPECT_NE(report.results[0].verdict, Verdict::wrong) << report;
  EXPECT_GT(report.results[0].error, 0);
}

// -- planted faults ---------------------------------------------------------------------------

enum class Fault { none, tail_column, truncated_entry };

/// x itself; in float32 the value, or the gradient, of one column or entry is off.
struct Faulty {
  static constexpr const char* name = "faulty";
  Fault in_value;
  Fault in_gradient;

  static Tensor spoilt(const Tensor& x, Fault fault) {
    Tensor y = x.copy();
    if (y.dtype() != DType::float32 || fault == Fault::none) return y;
    float* to = y.mutable_data<float>();
    if (fault == Fault::truncated_entry) {  // as float16 would hold it
      const auto largest = std::max_element(
          to, to + y.size(), [](float a, float b) { return std::abs(a) < std::abs(b); });
      *largest *= 1 - 0x1p-11F;
    } else {
      const Index cols = y.shape().back();
      for (Index i = cols - 1; i < y.size(); i += cols) to[i] *= 0.99F;
    }
    return y;
  }
  Tensor value(const Tensor& x) const { return spoilt(x, in_value); }
  void pullback(Pullback& p) const { p.add(0, Var(spoilt(p.gradient().tensor(), in_gradient))); }
};

/// a.b without the last term of one element, in float32.
struct DroppedTerm {
  static constexpr const char* name = "dropped_term";
  Tensor value(const Tensor& a, const Tensor& b) const {
    const NoTape scope;
    Tensor y = matmul(a, b).tensor().copy();
    if (y.dtype() == DType::float32) {
      const Index n = a.shape()[1];
      y.mutable_data<float>()[0] -=
          a.data<float>()[n - 1] * b.data<float>()[(n - 1) * b.shape()[1]];
    }
    return y;
  }
  void pullback(Pullback& p) const {
    p.add_product(0, p.gradient(), transpose(p.input(1)));
    p.add_product(1, transpose(p.input(0)), p.gradient());
  }
};

Float32Report check_faulty_sequence(Fault in_value, Fault in_gradient, std::uint64_t seed) {
  xgrad::seed(seed);
  nn::LSTM lstm(8, 32);
  const Tensor x = drawn({50, 4, 8});
  return float32check(lstm,
                      [&](In in) {
                        const auto run = lstm(in[0]);
                        return apply(Faulty{in_value, in_gradient}, run.outputs);
                      },
                      {{"x", x}}, {.seed = seed});
}

TEST(Float32Kernels, FaultsInASequenceShow) {
  for (const std::uint64_t seed : verify::table_seeds(2)) {
    const auto none = check_faulty_sequence(Fault::none, Fault::none, seed);
    EXPECT_EQ(none.verdict, Verdict::correct) << none;
    for (const Fault fault : {Fault::tail_column, Fault::truncated_entry}) {
      const auto value = check_faulty_sequence(fault, Fault::none, seed);
      EXPECT_EQ(value.results[0].verdict, Verdict::wrong) << value;
    }
    const auto tail = check_faulty_sequence(Fault::none, Fault::tail_column, seed);
    EXPECT_EQ(tail.verdict, Verdict::wrong) << tail;
  }
}

TEST(Float32Kernels, FaultsInAProductShow) {
  for (const std::uint64_t seed : verify::table_seeds()) {
    Generator random(seed);
    const Var a = random.uniform({8, 128}, -1, 1);
    const Var b = random.uniform({128, 9}, -1, 1);
    for (const Fault fault : {Fault::none, Fault::tail_column, Fault::truncated_entry}) {
      const Verdict expected = fault == Fault::none ? Verdict::correct : Verdict::wrong;
      const auto value = float32check(
          [&](In in) {
            return apply(Faulty{fault, Fault::none}, matmul(in[0], in[1]));
          },
          {{"a", a}, {"b", b}}, {.seed = seed});
      EXPECT_EQ(value.results[0].verdict, expected) << value;
      EXPECT_EQ(value["a"].verdict, Verdict::correct) << value;
      const auto gradient = float32check(
          [&](In in) {
            return matmul(apply(Faulty{Fault::none, fault}, in[0]), in[1]);
          },
          {{"a", a}, {"b", b}}, {.seed = seed});
      EXPECT_EQ(gradient["a"].verdict, expected) << gradient;
      EXPECT_EQ(gradient["b"].verdict, Verdict::correct) << gradient;
      EXPECT_EQ(gradient.results[0].verdict, Verdict::correct) << gradient;
    }
    for (const Index n : {8, 64, 128, 512}) {
      const Var x = random.uniform({3, n}, 0.5, 1);
      const Var y = random.uniform({n, 4}, 0.5, 1);
      const auto dropped = float32check([](In in) { return apply(DroppedTerm{}, in[0], in[1]); },
                                        {{"x", x}, {"y", y}}, {.seed = seed});
      EXPECT_EQ(dropped.results[0].verdict, Verdict::wrong) << n << dropped;
      EXPECT_EQ(dropped.results[0].wrong, 1) << n << dropped;
    }
  }
}

}  // namespace
}  // namespace xgrad::testing
