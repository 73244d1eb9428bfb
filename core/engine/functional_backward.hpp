#pragma once

#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {

/// One backward pass in ops on Vars: every gradient is a new Var, nothing is shared or reused. With
/// recording on, the pass itself lands on the tape and can be differentiated; with recording off it
/// is the naive mode, against which FastBackward is tested.
class FunctionalBackward {
 public:
  explicit FunctionalBackward(TapeData& tape);

  void seed(const Var& y, const Var& seed);
  void run(bool record);
  /// The gradient of a slot, undefined if nothing reached it.
  Var gradient_of(std::uint32_t slot);
  /// The gradient of x: the view of its slot's gradient; zeros if nothing reached it.
  Var gradient_of(const Var& x);

  // -- for operations ---------------------------------------------------------------------------

  TapeData& tape() const { return tape_; }
  const Var& gradient() const { return gradient_; }  ///< of the current node's output
  /// Adds a gradient that broadcasts to the input's shape, or to which the input broadcasts.
  void accumulate(const Input& input, const Var& gradient);

 private:
  /// Gradients of a slot or of views of it.
  struct Contributions {
    PoolVector<Var> whole;
    PoolVector<Var> parts;
    PoolVector<ViewLayout> places;
  };

  TapeData& tape_;
  std::uint32_t node_ = no_node;  ///< the current one
  PoolVector<Contributions> contributions_;
  Var gradient_;
};

}  // namespace xgrad::detail
