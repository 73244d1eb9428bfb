#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <xgrad/xgrad.hpp>

#include "nn/allocations.hpp"

// Whatever allocation fails in whatever operation: it throws std::bad_alloc, or does without, and
// the next one gives the right bits. Not so where the C library itself ends the process: where a
// thread begins to use its variables. So these come first.

namespace xgrad {
namespace {

using testing::FailingAllocation;
using Bytes = std::string;
using Operation = std::function<Bytes()>;

void append(Bytes& bytes, const Tensor& tensor) {
  const Tensor row_major = detail::contiguous(tensor);
  const auto size = static_cast<std::size_t>(tensor.size()) * item_size(tensor.dtype());
  bytes.append(reinterpret_cast<const char*>(row_major.bytes()), size);
}

Bytes values_of(const std::vector<Var>& vars) {
  Bytes bytes;
  for (const Var& var : vars) append(bytes, var.tensor());
  return bytes;
}

Bytes gradients_of(const std::vector<Var>& vars) {
  Bytes bytes;
  for (const Var& var : vars) {
    bytes += var.has_grad() ? '+' : '-';
    if (var.has_grad()) append(bytes, var.grad());
  }
  return bytes;
}

const std::size_t effort = std::getenv("XGRAD_THOROUGH") ? 20 : 1;

/// Calls f on a thread of its own, whose pool has no memory yet, but for what the C library needs.
void on_new_thread(const std::function<void()>& f) {
  std::thread([&] {
    {
      const FlightRecorder recorder;
      const Tape tape;
      default_generator().next();
    }
    trim_pool();
    f();
  }).join();
}

/// Calls f, after `prepare`, with allocation 0, 1, 2, ... failing until it needs no more; if there
/// are many, with some `attempts` of them (20 times as many with XGRAD_THOROUGH). `check` is told
/// whether f came to its end.
void with_every_allocation_failing(const std::function<void()>& prepare,
                                   const std::function<void()>& f,
                                   const std::function<void(bool finished)>& check,
                                   std::size_t attempts = 60,
                                   FailingAllocation::Of of = FailingAllocation::Of::this_thread) {
  prepare();
  std::size_t needed = 0;
  on_new_thread([&] {
    const std::size_t before = testing::allocations();
    f();
    needed = testing::allocations() - before;
  });
  const std::size_t stride = std::max<std::size_t>(1, needed / (attempts * effort));
  bool more = true;
  for (std::size_t k = 0; more; k += stride) {
    SCOPED_TRACE("allocation " + std::to_string(k));
    prepare();
    bool finished = false;
    std::string other_error;
    on_new_thread([&] {
      FailingAllocation failing(k, of);
      try {
        f();
        finished = true;
      } catch (const std::bad_alloc&) {
      } catch (const std::exception& error) {
        failing.end();
        other_error = error.what();
      }
      failing.end();
      more = failing.happened();
    });
    EXPECT_EQ(other_error, "");
    check(finished);
    more = more && !::testing::Test::HasFailure();
  }
}

/// The same for an operation that begins anew each time, and gives its result.
void expect_survives(const Operation& operation, std::size_t attempts = 60,
                     FailingAllocation::Of of = FailingAllocation::Of::this_thread) {
  if (!testing::allocations_can_fail) GTEST_SKIP() << "a sanitizer allocates in this build";
  const Bytes expected = operation();
  Bytes result;
  with_every_allocation_failing([] {}, [&] { result = operation(); },
                                [&](bool finished) {
                                  if (finished) {
                                    EXPECT_EQ(result, expected);
                                  }
                                  EXPECT_EQ(operation(), expected);
                                },
                                attempts, of);
}

/// Expects of a change of some state that it takes place as a whole or not at all.
void expect_all_or_none(const std::function<void()>& prepare, const std::function<void()>& change,
                        const Operation& state) {
  if (!testing::allocations_can_fail) GTEST_SKIP() << "a sanitizer allocates in this build";
  prepare();
  change();
  const Bytes after = state();
  prepare();
  const Bytes before = state();
  ASSERT_NE(before, after);
  with_every_allocation_failing(
      prepare, change, [&](bool finished) { EXPECT_EQ(state(), finished ? after : before); }, 1000);
}

Tensor noise(const Shape& shape, std::uint64_t seed = 3) {
  return Generator(seed).normal(shape, 0, 1);
}

template <class Net>
Bytes training(const nn::RecurrentOptions& options, std::span<const Index> lengths = {}) {
  seed(7);
  const Net net(3, 4, options);
  const nn::Linear head(options.bidirectional ? 8 : 4, 5);
  std::vector<Var> parameters = net.parameters();
  for (const Var& p : head.parameters()) parameters.push_back(p);
  optim::Adam adam(parameters, {.lr = 1e-2});
  const Var x = noise({4, 2, 3});
  const Indices targets({4, 2}, {0, 1, 2, 3, 4, 0, 1, 2});
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    tape.backward(cross_entropy(head(net(x, {}, lengths).outputs), targets));
    optim::clip_norm(parameters, 0.1);
    adam.step();
  }
  return values_of(parameters);
}

TEST(MemoryExhaustion, TrainingStepsOfAnLstm) {
  expect_survives([] { return training<nn::LSTM>({}); }, 200);
}

TEST(MemoryExhaustion, TrainingStepsOfOtherCellsInLayersAndDirections) {
  expect_survives([] { return training<nn::GRU>({.layers = 2, .dropout = 0.5}); });
  expect_survives([] { return training<nn::RNN>({.bidirectional = true}); });
}

TEST(MemoryExhaustion, SequencesOfDifferentLengths) {
  const Index lengths[] = {4, 2};
  expect_survives([&] { return training<nn::LSTM>({.bidirectional = true}, lengths); });
}

TEST(MemoryExhaustion, StreamingSteps) {
  expect_survives([] {
    seed(7);
    const nn::LSTM net(3, 3);
    auto states = net.zero_state(2);
    Var x = noise({2, 3});
    for (int i = 0; i < 3; ++i) x = net.step(x, states);
    return values_of({x});
  });
}

Bytes second_derivative() {
  seed(7);
  const nn::LSTM net(3, 4);
  const Var x = noise({3, 2, 3});
  Tape tape;
  const std::vector<Var> parameters = net.parameters();
  const std::vector<Var> g = grad(sum(square(net(x).outputs)), parameters, {.create_graph = true});
  Var norm = sum(square(g[0]));
  for (std::size_t i = 1; i < g.size(); ++i) norm = norm + sum(square(g[i]));
  tape.backward(norm);
  return gradients_of(parameters);
}

TEST(MemoryExhaustion, RecordedBackwardPasses) { expect_survives(second_derivative, 100); }

TEST(MemoryExhaustion, TheNaiveTape) {
  expect_survives([] {
    seed(7);
    const nn::GRU net(3, 4);
    Tape tape(TapeMode::naive);
    tape.backward(sum(net(noise({3, 2, 3})).outputs));
    return gradients_of(net.parameters());
  });
}

Bytes many_ops() {
  const Var a = parameter(noise({3, 4, 5}), "a");
  const Var b = parameter(noise({3, 5, 4}, 4), "b");
  const Var m = parameter(noise({5, 6}, 5), "m");
  Tape tape;
  Var total = sum(matmul(a, b)) + mean(matmul(a, m)) + sum(matmul(a[0], m));
  total = total + sum(max(a, {1})) + sum(logsumexp(a, {0, 2})) + sum(variance(a, {1}));
  total = total + sum(gather(a, Indices{0, 2, 2}, 1) * 2.0);
  total = total + sum(take_along(m, Indices{1, 0, 5, 2, 3})) + sum(embedding(m, Indices{1, 1}));
  total = total + sum(square(transpose(a, {2, 0, 1}))) + sum(reshape(a, {12, 5})[3]);
  total = total + sum(flip(slice(a, 2, 0, 5, 2), 1) * 3.0) + sum(outer(a[0][1], m[0]));
  for (const Var& part : split(b, 2, 2)) total = total + sum(exp(part));
  total = total + sum(concat({a, transpose(b, {0, 2, 1})}, 1)) + sum(square(stack({m, m}, 1)));
  total = total + sum(softmax(m, 0) * log_softmax(m, 1)) + sum(where(m > 0.0, m, m * 0.1));
  total = total + huber(m[0], m[1]) + mae(m[2], m[3]) + mse(a, transpose(b, {0, 2, 1}));
  const Var bits = Tensor::full({5, 6}, 1.0);
  total = total + binary_cross_entropy_with_logits(m, bits) +
          cross_entropy(m, Indices{0, 1, 2, 3, 4}, {});
  tape.backward(total);
  Bytes bytes = gradients_of({a, b, m});
  append(bytes, total.tensor());
  return bytes;
}

TEST(MemoryExhaustion, Ops) { expect_survives(many_ops, 120); }

TEST(MemoryExhaustion, SeveralThreads) {
  set_threads(2);
  expect_survives(many_ops, 60);
  expect_survives(many_ops, 60, FailingAllocation::Of::all_threads);
  expect_survives([] { return training<nn::LSTM>({}); }, 60, FailingAllocation::Of::all_threads);
  set_threads(1);
}

TEST(MemoryExhaustion, NewThreads) {
  if (!testing::allocations_can_fail) GTEST_SKIP() << "a sanitizer allocates in this build";
  const auto set = [] {
    try {
      set_threads(3);
    } catch (const std::system_error&) {  // of the thread's own memory
      throw std::bad_alloc();
    }
  };
  with_every_allocation_failing([] { set_threads(1); }, set,
                                [](bool finished) { EXPECT_EQ(threads(), finished ? 3 : 1); });
  set_threads(1);
}

TEST(MemoryExhaustion, Fit) {
  expect_survives(
      [] {
        seed(7);
        nn::Sequential model({nn::layers::LSTM(3), nn::layers::Dense(2)});
        const Tensor x = noise({8, 4, 2});
        const Tensor y = noise({8, 2});
        std::ostringstream out;
        const nn::History history = nn::fit(model, x, y,
                                            {.epochs = 2,
                                             .batch_size = 4,
                                             .clip_norm = 1,
                                             .validation_split = 0.25,
                                             .restore_best = true});
        Bytes bytes = values_of(model.parameters());
        append(bytes, nn::predict(model, x));
        for (const double loss : history.val_loss) bytes += std::to_string(loss);
        return bytes + model.summary();
      },
      100);
}

TEST(MemoryExhaustion, Checks) {
  seed(7);
  nn::LSTMCell cell(2, 2);
  const Var x = noise({2, 2});
  const nn::LSTMCell::State state{noise({2, 2}, 5), noise({2, 2}, 6)};
  const Bytes weights = values_of({cell.Wx, cell.Wh, cell.b});
  const auto shown = [&](const auto& report) {
    std::ostringstream text;
    text.exceptions(std::ios::badbit);
    text << report;
    return text.str() + values_of({cell.Wx, cell.Wh, cell.b});
  };
  expect_survives([&] { return shown(nn::gradcheck(cell, x, state, {.fast = true})); }, 40);
  expect_survives([&] { return shown(nn::gradgradcheck(cell, x, state, {.fast = true})); }, 15);
  expect_survives([&] { return shown(nn::float32check(cell, x, state)); }, 30);
  EXPECT_EQ(values_of({cell.Wx, cell.Wh, cell.b}), weights);
  EXPECT_EQ(cell.dtype(), DType::float32);
}

class Files : public ::testing::Test {
 protected:
  Files()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("exhausted-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Files() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ / "model.safetensors"; }
  std::filesystem::path folder_;
};

TEST_F(Files, SaveAndLoadWhenMemoryRunsOut) {
  seed(7);
  const nn::GRU saved(3, 4);
  seed(8);
  nn::GRU loaded(3, 4);
  expect_survives(
      [&] {
        nn::save(path(), saved);
        nn::load(path(), loaded);
        return values_of(loaded.parameters());
      },
      60);
  if (IsSkipped()) return;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_),
                          std::filesystem::directory_iterator()),
            1);
}

TEST_F(Files, LoadGivesAllParametersOrNone) {
  seed(7);
  const nn::GRU saved(3, 4);
  nn::save(path(), saved);
  seed(8);
  nn::GRU net(3, 4);
  const nn::GRU original = clone(net);
  expect_all_or_none(
      [&] {
        for (std::size_t i = 0; i < 3; ++i) {
          net.parameters()[i].assign(original.parameters()[i].tensor());
        }
      },
      [&] { nn::load(path(), net); }, [&] { return values_of(net.parameters()); });
}

TEST(MemoryExhaustion, Clones) {
  seed(7);
  nn::Sequential model({nn::layers::GRU(3), nn::layers::Dense(2)});
  model.build({4, 2});
  expect_survives([&] {
    const nn::Sequential copy = clone(model);
    return values_of(copy.parameters()) + values_of({copy(noise({2, 4, 2}))});
  });
}

TEST(MemoryExhaustion, ABuildThatFailsCanBeRepeated) {
  if (!testing::allocations_can_fail) GTEST_SKIP() << "a sanitizer allocates in this build";
  std::optional<nn::Sequential> model;
  with_every_allocation_failing(
      [&] {
        model.emplace(std::vector<nn::Layer>{nn::layers::GRU(3), nn::layers::Dense(2)});
      },
      [&] {
        model->build({4, 2});
      },
      [&](bool) {
        EXPECT_EQ(model->build({4, 2}).parameters().size(), 6U);
      });
}

TEST(MemoryExhaustion, WatchedTapes) {
  expect_survives(
      [] {
        seed(7);
        const nn::LSTM net(2, 3);
        FlightRecorder recorder({.sample_every = 1});
        recorder.name(net, "lstm");
        Bytes bytes;
        {
          Tape tape;
          tape.backward(sum(net(noise({3, 2, 2})).outputs));
          std::ostringstream text;
          text.exceptions(std::ios::badbit);
          text << recorder;
          write_dot(text, tape);
          bytes = text.str();
        }
        try {
          Tape tape;
          tape.backward(sum(log(parameter(Tensor({2}, {1, 0}), "p"))));
        } catch (const NonFiniteError& error) {
          bytes += error.what();
        }
        return bytes;
      },
      100);
}

/// Parameters, their gradients, and an optimiser of them.
template <class O>
struct Problem {
  std::vector<Var> parameters;
  std::optional<O> optimizer;
  std::vector<Tensor> held;

  template <class Options>
  explicit Problem(const Options& options)
      : make([=, this] {
          parameters = {parameter(noise({3, 4}, 1), "a"), parameter(noise({7}, 2), "b")};
          optimizer.emplace(parameters, options);
          held.clear();
          for (const Var& p : parameters) {
            p.add_grad(noise(p.shape(), 9));
            held.push_back(p.grad());  // so that a change of the gradient needs memory
          }
        }) {
    make();
  }
  std::function<void()> make;
};

template <class O, class Options>
void expect_whole_steps(const Options& options) {
  Problem<O> problem(options);
  expect_all_or_none(
      problem.make, [&] { problem.optimizer->step(); },
      [&] {
        Bytes bytes = values_of(problem.parameters) + gradients_of(problem.parameters);
        for (const auto& [key, tensor] : problem.optimizer->state()) append(bytes, tensor);
        return bytes + std::to_string(problem.optimizer->steps());
      });
}

TEST(MemoryExhaustion, AnOptimizerStepChangesAllParametersOrNone) {
  expect_whole_steps<optim::Adam>(optim::AdamOptions{});
  expect_whole_steps<optim::AdamW>(optim::AdamWOptions{});
  expect_whole_steps<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
  expect_whole_steps<optim::RMSprop>(optim::RMSpropOptions{.momentum = 0.5, .centered = true});
}

TEST(MemoryExhaustion, GradientsChangeTogether) {
  Problem<optim::SGD> problem(optim::SGDOptions{.lr = 0.1});
  const auto gradients = [&] { return gradients_of(problem.parameters); };
  const auto expect = [&](const std::function<void()>& change) {
    expect_all_or_none(problem.make, change, gradients);
  };
  expect([&] { optim::clip_norm(problem.parameters, 0.1); });
  expect([&] { optim::clip_value(problem.parameters, 0.1); });
  for (const TapeMode mode : {TapeMode::fast, TapeMode::naive}) {
    expect([&] {
      Tape tape(mode);
      tape.backward(sum(square(problem.parameters[0])) + sum(exp(problem.parameters[1])));
    });
  }
  const std::vector<std::vector<Var>> parts(2, {noise({3, 4}), noise({7})});
  expect([&] { add_gradients(problem.parameters, parts); });
}

TEST(MemoryExhaustion, AModuleChangesItsDtypeAsAWhole) {
  seed(7);
  nn::GRU net(3, 4);
  expect_all_or_none([&] { net.to(DType::float32); }, [&] { net.to(DType::float64); },
                     [&] {
                       Bytes bytes;
                       for (const Var& p : net.parameters()) bytes += name(p.dtype());
                       return bytes;
                     });
}

TEST(MemoryExhaustion, AnOpThatFailsLeavesItsTapeAsItWas) {
  const Var a = parameter(noise({6, 3}), "a");
  const Var b = parameter(noise({6, 3}, 5), "b");
  const auto run = [&](const std::function<void(const std::function<void()>&)>& attempt) {
    a.clear_grad();
    b.clear_grad();
    Tape tape;
    Var y = a * 2.0;
    attempt([&] { y = tanh(a[1]) + matmul(transpose(y), b); });
    attempt([&] { y = sum(y * exp(b[0])); });
    tape.backward(y);
    return gradients_of({a, b});
  };
  const Bytes expected = run([](const auto& op) { op(); });
  if (!testing::allocations_can_fail) GTEST_SKIP() << "a sanitizer allocates in this build";
  bool all_done = false;
  for (std::size_t k = 0; !all_done; ++k) {
    all_done = true;
    const Bytes result = run([&](const std::function<void()>& op) {
      trim_pool();
      FailingAllocation failing(k);
      try {
        op();
        failing.end();
        return;
      } catch (const std::bad_alloc&) {
      }
      failing.end();
      all_done = false;
      op();
    });
    EXPECT_EQ(result, expected) << k;
  }
}

}  // namespace
}  // namespace xgrad
