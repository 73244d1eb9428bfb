// Randomised programs of views, broadcasts, reuse, products and reductions: the fast backward pass
// (shared gradient memory, deferred products, early release) must give the gradients of the naive
// one, which differentiates op by op and shares nothing.

#include "core/differential.hpp"

#include <cstdlib>
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

using testing::Gradients;
using testing::take_gradients;
using testing::values;

/// Writes the same program whenever it is run with the same seed.
class Program {
 public:
  explicit Program(unsigned seed) : seed_(seed) {
    std::mt19937 random(seed);
    const auto make = [&](const Shape& shape, const char* name) {
      parameters.push_back(testing::drawn_parameter(random, shape, name));
    };
    make({5, 3, 4}, "sequence");
    make({3, 4}, "matrix");
    make({4, 4}, "square");
    make({4, 12}, "gates");
    make({4}, "bias");
    make({3, 1}, "column");
    make({}, "scalar");
  }

  /// Runs it; `watched` receives some intermediate results.
  Var run(std::vector<Var>* watched = nullptr) const {
    std::mt19937 random(seed_ * 7919 + 1);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    std::vector<Var> pool = parameters;
    const auto any = [&] { return pool[below(pool.size())]; };
    const auto of_shape = [&](const Shape& shape) {
      for (int attempt = 0; attempt < 20; ++attempt) {
        const Var x = any();
        if (x.shape() == shape) return x;
      }
      return shape == Shape{4, 4} ? parameters[2] : parameters[1];
    };
    const std::size_t steps = 5 + below(25);
    for (std::size_t step = 0; step < steps; ++step) {
      const Var x = any();
      Var y;
      switch (below(17)) {
        case 0:
          if (x.dim() > 0) y = x[static_cast<Index>(below(static_cast<std::size_t>(x.shape()[0])))];
          break;
        case 1:
          if (x.dim() > 0) {
            const auto axis = below(x.dim());
            const Index extent = x.shape()[axis];
            const auto begin = static_cast<Index>(below(static_cast<std::size_t>(extent)));
            const Index count =
                1 + static_cast<Index>(below(static_cast<std::size_t>(extent - begin)));
            y = slice(x, static_cast<Index>(axis), begin, begin + count);
          }
          break;
        case 2:
          if (x.dim() > 0 && x.shape().back() % 2 == 0) {
            const auto [a, b] = split<2>(x);
            pool.push_back(a);
            y = b;
          }
          break;
        case 3:
          if (x.dim() == 2) y = transpose(x);
          break;
        case 4:
          y = reshape(x, {-1});
          break;
        case 5: {  // plain addends: gradient homes and inheritance
          const Var z = of_shape({3, 4});
          const Var a = of_shape({3, 4});
          const Var b = of_shape({4, 4});
          y = below(2) == 0 ? affine(a, b, z) : z + matmul(a, b);
          break;
        }
        case 6:
          y = of_shape({3, 4}) + of_shape({3, 4}) - of_shape({3, 4});
          break;
        case 7:
          y = tanh(of_shape({3, 4}) * parameters[4]) + sigmoid(parameters[5]) * of_shape({3, 4});
          break;
        case 8:
          y = x * x + x;
          break;
        case 9:
          if (x.dim() > 0) y = sum(x, {static_cast<Index>(below(x.dim()))});
          break;
        case 10:
          y = x - mean(x) * parameters[6];
          break;
        case 11:
          y = stack({x, x * 0.5, x});
          break;
        case 12:
          if (x.dim() > 0) y = concat({x, x});
          break;
        case 13: {  // a recurrent step on slices of one projection
          const Var z = matmul(reshape(parameters[0], {15, 4}), parameters[3]);
          const Var zs = reshape(z, {5, 3, 12});
          Var h = of_shape({3, 4});
          for (Index t = 0; t < 5; ++t) {
            const Var sum =
                below(2) == 0 ? affine(h, parameters[3], zs[t]) : zs[t] + matmul(h, parameters[3]);
            const auto [i, f, g] = split<3>(sum);
            h = sigmoid(i) * h + sigmoid(f) * tanh(g);
            pool.push_back(h);
          }
          y = h;
          break;
        }
        case 14:
          y = where(x > 0.1, tanh(x), 0.25 * x) + parameters[6];
          break;
        case 15:
          y = matmul(of_shape({3, 4}), transpose(of_shape({4, 4})));
          break;
        default:
          y = exp(0.2 * tanh(x)) / (1.5 + square(x));
      }
      if (!y.defined() || y.size() > 2000 || y.dim() > 5) continue;
      pool.push_back(y);
      if (watched && below(4) == 0 && y.requires_grad()) watched->push_back(y);
    }
    Var loss = sum(tanh(pool.back()));
    for (int i = 0; i < 4; ++i) loss = loss + sum(sin(any()));
    return loss;
  }

  std::vector<Var> parameters;

 private:
  unsigned seed_;
};

// Thirty operations one after the other, forward and back, on up to 2000 elements.
constexpr double roundings = 2 * 2 * 30 * 2000;

void expect_same(const Gradients& fast, const Gradients& naive, unsigned seed, const char* what) {
  testing::expect_same(fast, naive, roundings, what + (", seed " + std::to_string(seed)));
}

unsigned programs() { return std::getenv("XGRAD_THOROUGH") ? 40000 : 2000; }

TEST(Differential, FastAndNaiveBackwardAgree) {
  for (unsigned seed = 0; seed < programs(); ++seed) {
    const Program program(seed);
    Gradients gradients[2];
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      Tape tape(mode);
      tape.backward(program.run());
      gradients[mode == TapeMode::naive] = take_gradients(program.parameters);
    }
    expect_same(gradients[0], gradients[1], seed, "backward");
    if (HasFatalFailure()) return;
  }
}

TEST(Differential, MicroBatchesAccumulate) {
  for (unsigned seed = 0; seed < programs() / 4; ++seed) {
    const Program program(seed);
    Gradients gradients[2];
    for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
      for (int pass = 0; pass < 2; ++pass) {
        Tape tape(mode);
        tape.backward(program.run());
      }
      gradients[mode == TapeMode::naive] = take_gradients(program.parameters);
    }
    expect_same(gradients[0], gradients[1], seed, "two backward passes");
    if (HasFatalFailure()) return;
  }
}

TEST(Differential, RetainedPassesAgree) {
  for (unsigned seed = 0; seed < programs() / 4; ++seed) {
    const Program program(seed);
    Tape tape;
    const Var loss = program.run();
    tape.backward(loss, {.retain = true});
    const auto first = take_gradients(program.parameters);
    tape.backward(loss);
    expect_same(take_gradients(program.parameters), first, seed, "second pass");
    if (HasFatalFailure()) return;
  }
}

TEST(Differential, GradientsOfIntermediateResultsAgree) {
  for (unsigned seed = 0; seed < programs(); ++seed) {
    const Program program(seed);
    testing::expect_inner_gradients_agree(program, roundings, ", seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

TEST(Differential, ARecorderFindsNothingAndChangesNoBit) {
  for (unsigned seed = 0; seed < programs() / 4; ++seed) {
    const Program program(seed);
    Gradients gradients[2];
    Gradients inner[2];
    for (const bool watched : {false, true}) {
      std::optional<FlightRecorder> recorder;
      if (watched) recorder.emplace(FlightRecorderOptions{.sample_every = 2});
      {
        Tape tape;
        tape.backward(program.run());
      }
      gradients[watched] = take_gradients(program.parameters);
      const Tape tape;
      std::vector<Var> xs = program.parameters;
      const Var loss = program.run(&xs);
      inner[watched] = values(grad(loss, xs, {.create_graph = seed % 2 == 1}));
    }
    ASSERT_EQ(gradients[0], gradients[1]) << "seed " << seed;
    ASSERT_EQ(inner[0], inner[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace xgrad
