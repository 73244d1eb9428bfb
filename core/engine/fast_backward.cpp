#include <algorithm>

#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/engine/fast_backward.hpp>
#include <xgrad/core/engine/observer.hpp>
#include <xgrad/core/expression.hpp>
#include <xgrad/core/kernels/gemm.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/engine_counts.hpp>
#include <xgrad/core/runtime/join.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

// Deferred products are computed when this many rows have gathered, to bound the memory they hold.
constexpr Index most_deferred_rows = 4096;

bool same_layout(const Tensor& a, const Shape& shape) {
  return a.shape() == shape && a.is_contiguous();
}

/// The rows of several matrices as one matrix: without a copy if they follow each other in memory.
Tensor stack_rows(std::span<const Tensor> blocks) {
  Index rows = 0;
  bool adjacent = true;
  const std::byte* next = blocks[0].address();
  for (const Tensor& block : blocks) {
    adjacent = adjacent && block.is_contiguous() && block.address() == next;
    next = block.address() + block.size() * static_cast<Index>(item_size(block.dtype()));
    rows += block.shape()[0];
  }
  const Shape shape{rows, blocks[0].shape()[1]};
  if (adjacent) return blocks[0].view(shape, contiguous_strides(shape));
  Tensor stacked = Tensor::uninitialized(shape, blocks[0].dtype());
  PoolVector<Tensor> places;
  Index elements = 0;
  for (const Tensor& block : blocks) {
    places.push_back(stacked.view(block.shape(), stacked.strides(), elements));
    elements += block.size();
  }
  parallel_copies(blocks.size(), elements * static_cast<Index>(item_size(stacked.dtype())),
                  [&](std::size_t i) { copy_elements(blocks[i], places[i]); });
  return stacked;
}

}  // namespace

FastBackward::FastBackward(TapeData& tape)
    : tape_(tape), storage_(tape.slots.size()), state_(tape.slots.size()) {}

void FastBackward::bind_parameters() {
  for (std::uint32_t slot : tape_.parameter_slots) {
    const Parameter& parameter = *tape_.slots[slot].parameter;
    const Tensor& memory = parameter.gradient;
    // A gradient that is there already stays as it is until the pass has succeeded.
    if (!parameter.has_gradient && memory.is_unique() &&
        memory.dtype() == parameter.value.dtype() && same_layout(memory, parameter.value.shape())) {
      storage_[slot].bind(memory, false);
    }
  }
}

void FastBackward::publish_parameters() {
  // All before any: a deferred product may read a gradient that lies in that of another parameter,
  // to which the old one is added below; and whatever may throw comes before all changes.
  for (std::uint32_t slot : tape_.parameter_slots) {
    if (touched(slot)) finish(slot);
  }
  for (std::uint32_t slot : tape_.parameter_slots) {
    const Parameter& parameter = *tape_.slots[slot].parameter;
    if (!touched(slot) || !parameter.has_gradient) continue;
    const Tensor& gradient = storage_[slot].memory();
    add_to({gradient.bytes(), false}, gradient, gradient.shape(), parameter.gradient);
  }
  join();  // who has the address of a gradient's memory may read it now
  for (std::uint32_t slot : tape_.parameter_slots) {
    if (!touched(slot)) continue;
    Parameter& parameter = *tape_.slots[slot].parameter;
    parameter.gradient = storage_[slot].take();
    parameter.has_gradient = true;
  }
}

void FastBackward::keep(std::uint32_t slot) { state_[slot].keep = true; }

Tensor FastBackward::kept(const Var& x, std::uint32_t slot) {
  if (slot == no_slot || !touched(slot)) return Tensor::zeros(x.shape(), x.dtype());
  finish(slot);
  const Tensor& memory = storage_[slot].memory();
  const std::ptrdiff_t offset = x.tensor().address() - tape_.slots[slot].base;
  return memory.view(memory.address() + offset, x.shape(), x.tensor().strides());
}

void FastBackward::restrict_to(std::span<const std::uint32_t> slots) {
  needed_.assign(storage_.size(), 0);
  for (std::uint32_t slot : slots) {
    if (slot != no_slot) needed_[slot] = 1;
  }
  for (std::uint32_t node = 0; node < tape_.nodes.size(); ++node) {
    for (const Input& input : tape_.inputs(node)) {
      if (input.slot != no_slot && needed_[input.slot]) needed_[tape_.nodes[node].slot] = 1;
    }
  }
}

void FastBackward::seed(const Var& y, const Tensor& seed) {
  const Input input = tape_.input(y);
  if (tape_.observer()) tape_.observer()->check_seed(tape_, input, seed);
  if (wants(input)) accumulate(input, seed);
}

void FastBackward::run(bool retain) {
  const RecordingScope no_recording(false);
  TapeObserver* const observer = tape_.observer();
  const TapeObserver::Pass observed(observer);
  for (auto node = static_cast<std::uint32_t>(tape_.nodes.size()); node-- > 0;) {
    const std::uint32_t slot = tape_.nodes[node].slot;
    if (touched(slot)) {
      finish(slot);
      if (observer) [[unlikely]]
        observer->reached(tape_, node, gradient(node));
      node_ = node;
      tape_.nodes[node].operation->pull(*this, node);
      if (observer) [[unlikely]]
        check_pulled(node);
      if (!state_[slot].keep) storage_[slot] = GradientStorage();
    }
    if (!retain) tape_.release(node);
  }
}

bool FastBackward::touched(std::uint32_t slot) const {
  return storage_[slot].touched() || !state_[slot].deferred.empty();
}

void FastBackward::finish(std::uint32_t slot) {
  flush(slot);
  storage_[slot].complete();
}

bool FastBackward::overlap(const Input& a, const Input& b) const {
  return a.slot == b.slot && a.slot != no_slot && a.region.overlaps(b.region);
}

LeafTarget FastBackward::target(const Input& input, bool shared) {
  if (!wants(input)) return {};
  ensure_memory(input.slot);
  GradientStorage& storage = storage_[input.slot];
  Region region = input.region;
  if (shared) {
    region.exact = false;
    region.last_column = region.first_column;
  }
  const auto access = storage.touch(region);
  const auto bytes = region.offset * static_cast<Index>(item_size(input.var.dtype()));
  return {storage.memory().address() + bytes, access == GradientStorage::Access::assign};
}

// Finds an addend in whose gradient memory the gradient of `slot` can be born.
bool FastBackward::find_home(std::uint32_t slot, std::uint32_t& addend) {
  const Slot& own = tape_.slots[slot];
  if (own.producer == no_node || state_[slot].keep) return false;
  const std::uint32_t addends = tape_.nodes[own.producer].operation->addends();
  if (addends == 0) return false;
  const auto inputs = tape_.inputs(own.producer);
  const auto count = std::min<std::size_t>(inputs.size(), 32);  // that `addends` can name
  for (addend = 0; addend < count; ++addend) {
    const Input& input = inputs[addend];
    if (!(addends >> addend & 1) || !wants(input)) continue;
    if (!same_layout(input.var.tensor(), own.shape) || input.var.dtype() != own.dtype) continue;
    // Used by this node alone, so that nothing has been added there.
    if (input.region.row_major && tape_.slots[input.slot].used_once(input.region)) return true;
  }
  return false;
}

// A loop, since homes form chains as long as the tape: s1 = s0 + x1, s2 = s1 + x2, ...
void FastBackward::ensure_memory(std::uint32_t slot) {
  PoolVector<std::uint32_t> chain;
  while (!storage_[slot].has_memory()) {
    chain.push_back(slot);
    std::uint32_t addend = 0;
    if (!find_home(slot, addend)) break;
    state_[slot].home = tape_.inputs(tape_.slots[slot].producer)[addend].slot;
    state_[slot].home_addend = addend;
    slot = state_[slot].home;
  }
  for (; !chain.empty(); chain.pop_back()) {
    slot = chain.back();
    const Slot& own = tape_.slots[slot];
    const std::uint32_t home = state_[slot].home;
    if (home == no_slot) {
      storage_[slot].bind(Tensor::uninitialized(own.shape, own.dtype), false);
      continue;
    }
    ++engine_counts.home;
    const Input& addend = tape_.inputs(own.producer)[state_[slot].home_addend];
    const Region& region = addend.region;
    storage_[home].touch(region);
    storage_[slot].bind(
        storage_[home].memory().view(own.shape, contiguous_strides(own.shape), region.offset),
        false);
  }
}

bool FastBackward::passes_on(std::uint32_t node, std::uint32_t addend, const Input& input) {
  const std::uint32_t own = tape_.nodes[node].slot;
  if (state_[own].home == input.slot && state_[own].home_addend == addend) return true;
  const Slot& other = tape_.slots[input.slot];
  if (state_[input.slot].keep || other.parameter || touched(input.slot) ||
      storage_[input.slot].has_memory() || !(other.shape == tape_.slots[own].shape) ||
      !same_layout(input.var.tensor(), other.shape) || !other.used_once(input.region)) {
    return false;
  }
  ++engine_counts.inherited;
  storage_[input.slot].bind(gradient(node), true);
  return true;
}

void FastBackward::accumulate(const Input& input, const Tensor& gradient) {
  const Shape shape = broadcast_shape("backward", gradient.shape(), input.var.shape());
  const LeafTarget to = target(input, repeats(input.var.shape(), shape));
  add_to(to, input.var.tensor(), shape, gradient);
}

bool FastBackward::adopt(const Input& input, const Tensor& gradient) {
  const Slot& slot = tape_.slots[input.slot];
  GradientStorage& storage = storage_[input.slot];
  // The input is the whole slot, though perhaps in another shape.
  const Tensor& x = input.var.tensor();
  if (!same_layout(gradient, x.shape()) || !x.is_contiguous() ||
      x.size() != element_count(slot.shape) || touched(input.slot) ||
      (storage.has_memory() && !slot.parameter)) {
    return false;
  }
  ++engine_counts.adopted;
  storage.bind(gradient.view(slot.shape, contiguous_strides(slot.shape)), true);
  return true;
}

void FastBackward::accumulate_product(const Input& input, const Var& a, const Var& b) {
  if (!wants(input)) return;
  const Slot& slot = tape_.slots[input.slot];
  const Tensor& x = input.var.tensor();
  const Region& region = input.region;
  // Only products of the slot's own shape, or its transpose's, can become one product; x may also
  // be a matrix of other extents over the slot's elements. A product with a parameter, such as the
  // gradient of a state, has its packed form to hand: nothing is gained by waiting.
  const bool plain = region.row_major && x.shape() == slot.shape;
  const Tensor transposed = transposed_view(x);
  const bool turned = transposed.shape() == slot.shape && transposed.is_contiguous();
  if (region.exact && slot.uses > 1 && (plain || turned) && !b.parameter_or_null()) {
    ++engine_counts.deferred;
    SlotState& state = state_[input.slot];
    if (plain) {
      state.deferred.push_back({a.tensor(), b.tensor(), node_});
    } else {  // the slot is x^T and gets (a.b)^T = b^T.a^T
      state.deferred.push_back({transposed_view(b.tensor()), transposed_view(a.tensor()), node_});
    }
    state.deferred_rows += a.shape()[1];
    if (state.deferred_rows >= most_deferred_rows) flush(input.slot);
    return;
  }
  const bool adjacent =
      x.shape()[0] <= 1 || x.shape()[1] <= 1 || x.strides()[0] == 1 || x.strides()[1] == 1;
  if (!adjacent) {  // BLAS cannot write there
    const Tensor pulled = Tensor::uninitialized(x.shape(), x.dtype());
    gemm(a.tensor(), b.tensor(), pulled, false, b.parameter_or_null());
    return accumulate(input, pulled);
  }
  const LeafTarget to = target(input, false);
  const Tensor& memory = storage_[input.slot].memory();
  gemm(a.tensor(), b.tensor(), memory.view(to.memory, x.shape(), x.strides()), !to.assign,
       b.parameter_or_null());
}

void FastBackward::flush(std::uint32_t slot) {
  PoolVector<Product>& deferred = state_[slot].deferred;
  if (deferred.empty()) return;
  // The last recorded came first: reversed, the blocks of a gradient home are in memory order.
  PoolVector<Tensor> a;
  PoolVector<Tensor> b;
  for (auto product = deferred.rbegin(); product != deferred.rend(); ++product) {
    a.push_back(transposed_view(product->a));
    b.push_back(product->b);
  }
  const Tensor left = transposed_view(stack_rows(a));
  const Tensor right = stack_rows(b);
  ensure_memory(slot);
  const Region whole{0, 0, tape_.slots[slot].slices(), true, true};
  const bool assign = storage_[slot].touch(whole) == GradientStorage::Access::assign;
  gemm(left, right, storage_[slot].memory(), !assign);
  if (tape_.observer()) check_products(slot);
  deferred.clear();
  state_[slot].deferred_rows = 0;
}

// The gradients that the node's operation has added to. What was there before was finite.
void FastBackward::check_pulled(std::uint32_t node) const {
  const Tensor& own = gradient(node);
  for (const Input& input : tape_.inputs(node)) {
    if (!wants(input) || !storage_[input.slot].has_memory()) continue;
    const GradientStorage& storage = storage_[input.slot];
    const Tensor& memory = storage.memory();
    const Slot& slot = tape_.slots[input.slot];
    const Tensor& x = input.var.tensor();
    std::byte* const first = memory.bytes() + (x.bytes() - slot.base);
    if (first == own.bytes()) continue;  // the node's own gradient, passed on
    // Otherwise a deferred product, or nothing at all.
    if (!storage.full() && !storage.holds(input.region)) continue;
    if (same_layout(x, slot.shape)) {
      tape_.observer()->check_pulled(tape_, node, input, own, memory);
    } else {
      tape_.observer()->check_pulled(tape_, node, input, own,
                                     memory.view(first, x.shape(), x.strides()));
    }
  }
}

void FastBackward::check_products(std::uint32_t slot) const {
  TapeObserver& observer = *tape_.observer();
  const Tensor& sum = storage_[slot].memory();
  if (!observer.stops_at(sum)) return;
  for (const Product& product : state_[slot].deferred) {
    const Tensor each = Tensor::uninitialized(sum.shape(), sum.dtype());
    gemm(product.a, product.b, each, false);
    observer.check_product(tape_, product.node, product.a, product.b, each);
  }
  observer.stop_at_sum(tape_, state_[slot].deferred.back().node, sum);
}

}  // namespace xgrad::detail
