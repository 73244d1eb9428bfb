#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <xgrad/core/scope.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad {

namespace detail {
class TapeData;
}

struct BackwardOptions {
  bool retain = false;  ///< keep the record, so that a second pass is possible
};

struct GradOptions {
  bool create_graph = false;  ///< record the derivative too, so that it can be differentiated
  bool retain = false;        ///< keep the record; create_graph implies it
};

/// How a tape computes gradients. `naive` differentiates node by node in plain ops, with no shared
/// memory, no deferred products and no early release: slow, and the oracle of `fast` in the tests.
enum class TapeMode : std::uint8_t { fast, naive };

/// Records operations from its construction to the end of its scope.
///
///     Tape tape;
///     Var loss = mse(model(x), y);
///     tape.backward(loss);
///
/// A tape belongs to its thread. An inner tape shadows the outer one until its scope ends; a Var of
/// another live tape cannot be used with it. A Var whose tape is gone keeps its value.
class Tape {
 public:
  explicit Tape(TapeMode mode = TapeMode::fast);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Adds d(loss)/d(p) to the gradient of every parameter p that the tape has seen and loss depends
  /// on. Throws if loss does not have exactly one element (of any shape) or is complex128, was not
  /// recorded here, if a parameter changed since it was recorded, or if an earlier pass without
  /// `retain` has consumed the record.
  void backward(const Var& loss, BackwardOptions options = {});

  /// The same for any y, with the gradient of y given (its shape and dtype).
  void backward(const Var& y, const Tensor& seed, BackwardOptions options = {});

  /// Names what is recorded on this tape while the scope lives; see Scope.
  ///
  ///     const Scope layer = tape.scope("layer", 2);
  Scope scope(std::string_view name, Index index = -1) const;

  std::size_t size() const;                                ///< recorded nodes
  std::uint64_t id() const;                                ///< the number that error texts use
  const detail::TapeData& data() const { return *data_; }  ///< for the engine

 private:
  std::unique_ptr<detail::TapeData> data_;
};

/// Suspends recording on this thread until the end of its scope, or until another Tape begins.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;

 private:
  std::uint64_t suspension_;
};

/// dy/dx for each x of xs (parameters, recorded Vars, or views), on the tape that recorded y; the
/// parameters' own gradients stay as they are. A y of several elements needs a seed, the gradient
/// of y; without one it throws. An x that y does not depend on gives zeros; one that is a constant,
/// detached or frozen throws. Of complex128 only with create_graph. The gradient of a view is the
/// view of its base's gradient.
std::vector<Var> grad(const Var& y, std::span<const Var> xs, GradOptions options = {});
std::vector<Var> grad(const Var& y, const Var& seed, std::span<const Var> xs,
                      GradOptions options = {});
inline std::vector<Var> grad(const Var& y, std::initializer_list<Var> xs,
                             GradOptions options = {}) {
  return grad(y, std::span<const Var>(xs.begin(), xs.size()), options);
}
inline std::vector<Var> grad(const Var& y, const Var& seed, std::initializer_list<Var> xs,
                             GradOptions options = {}) {
  return grad(y, seed, std::span<const Var>(xs.begin(), xs.size()), options);
}

/// Adds gradients that several tapes (threads) computed with `grad` to the parameters, in the order
/// given, so that the sum has the same bits whichever thread finished first.
void add_gradients(std::span<const Var> parameters,
                   std::span<const std::vector<Var>> gradients_per_tape);

/// True if operations on this thread are being recorded.
bool is_recording();

}  // namespace xgrad
