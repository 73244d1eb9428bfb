#pragma once

#include <xgrad/core/engine/gradient_storage.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/kernels/pointwise_loop.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {

/// One backward pass with gradients in shared, reused memory.
///
/// The nodes are visited once, in reverse. Each slot's gradient lives in a GradientStorage. Three
/// things keep it from being copied:
///
/// - *Gradient home.* Where z = a + ..., and nothing else reads a, the gradient of a is that of z.
///   The gradient of z is then born inside a's memory: if a is a slice of a sequence, the gradients
///   of all time steps lie next to each other.
/// - *Inheritance.* Other such addends share z's memory once z's gradient is final.
/// - *Deferred products.* Products that add to one matrix (the weights of a recurrent step) wait
///   until that matrix is needed, and are computed as one product over all steps. This is legal
///   since a node's gradient is final when the pass reaches it, and what they read is kept alive.
class FastBackward {
 public:
  explicit FastBackward(TapeData& tape);

  /// The parameters' gradient memory, where it holds nothing, is the storage of their slots.
  void bind_parameters();
  /// Gives the parameters their gradients, added to what they hold.
  void publish_parameters();

  /// The slot's gradient will be read after the pass.
  void keep(std::uint32_t slot);
  /// The gradient of a view (or whole) of a kept slot; zeros if nothing reached it.
  Tensor kept(const Var& x, std::uint32_t slot);
  /// Only nodes on a path from these slots are visited.
  void restrict_to(std::span<const std::uint32_t> slots);

  void seed(const Var& y, const Tensor& seed);
  void run(bool retain);

  // -- for operations ---------------------------------------------------------------------------

  TapeData& tape() const { return tape_; }
  bool wants(const Input& input) const {
    return input.slot != no_slot && (needed_.empty() || needed_[input.slot]);
  }
  /// The gradient of the node's output.
  const Tensor& gradient(std::uint32_t node) const {
    return storage_[tape_.nodes[node].slot].memory();
  }
  /// True if the gradients of two inputs may have an element in common.
  bool overlap(const Input& a, const Input& b) const;
  /// Memory for the gradient of an input, to be assigned or added to. `shared`: other inputs of the
  /// node, or several elements of its result, add to the same memory.
  LeafTarget target(const Input& input, bool shared);
  /// True if the gradient of an addend needs no work: it is, or becomes, the output's memory.
  bool passes_on(std::uint32_t node, std::uint32_t addend, const Input& input);

  /// Adds a gradient that broadcasts to the input's shape, or to which the input broadcasts.
  void accumulate(const Input& input, const Tensor& gradient);
  /// True if nobody else holds, or will read, the gradient of the node's output.
  bool owns_gradient(std::uint32_t node) const {
    return !state_[tape_.nodes[node].slot].keep && gradient(node).is_unique();
  }
  /// Makes memory that nobody else uses the input's own gradient. False where that cannot be done.
  bool adopt(const Input& input, const Tensor& gradient);
  /// Adds a.b.
  void accumulate_product(const Input& input, const Var& a, const Var& b);

 private:
  struct Product {
    Tensor a;
    Tensor b;
    std::uint32_t node;
  };
  struct SlotState {
    std::uint32_t home = no_slot;  ///< the slot in whose memory this one's gradient lies
    std::uint32_t home_addend = 0;
    bool keep = false;
    PoolVector<Product> deferred;
    Index deferred_rows = 0;
  };

  void ensure_memory(std::uint32_t slot);
  bool find_home(std::uint32_t slot, std::uint32_t& addend);
  bool touched(std::uint32_t slot) const;
  void flush(std::uint32_t slot);
  void finish(std::uint32_t slot);
  void check_pulled(std::uint32_t node) const;
  void check_products(std::uint32_t slot) const;

  TapeData& tape_;
  std::uint32_t node_ = no_node;  ///< the current one
  PoolVector<GradientStorage> storage_;
  PoolVector<SlotState> state_;
  PoolVector<char> needed_;
};

}  // namespace xgrad::detail
