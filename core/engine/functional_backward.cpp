#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/functional_backward.hpp>
#include <xgrad/core/engine/observer.hpp>

namespace xgrad::detail {

FunctionalBackward::FunctionalBackward(TapeData& tape)
    : tape_(tape), contributions_(tape.slots.size()) {}

void FunctionalBackward::seed(const Var& y, const Var& seed) {
  const Input input = tape_.input(y);
  if (tape_.observer()) tape_.observer()->check_seed(tape_, input, seed.tensor());
  accumulate(input, seed);
}

void FunctionalBackward::run(bool record) {
  const RecordingScope recording(record);
  TapeObserver* const observer = tape_.observer();
  const TapeObserver::Pass observed(observer);
  // New nodes are appended behind the ones that are visited.
  for (auto node = static_cast<std::uint32_t>(tape_.nodes.size()); node-- > 0;) {
    gradient_ = gradient_of(tape_.nodes[node].slot);
    if (!gradient_.defined()) continue;
    if (observer) [[unlikely]] {
      if (observer->stops_at(gradient_.tensor())) {
        observer->stop_at_sum(tape_, node, gradient_.tensor());
      }
      observer->reached(tape_, node, gradient_.tensor());
    }
    node_ = node;
    tape_.nodes[node].operation->pull(*this, node);
  }
}

Var FunctionalBackward::gradient_of(std::uint32_t slot) {
  if (slot >= contributions_.size()) return {};
  Contributions& from = contributions_[slot];
  if (!from.parts.empty()) {
    from.whole.push_back(assemble(tape_.slots[slot].shape, from.places, from.parts));
    from.parts.clear();
    from.places.clear();
  }
  while (from.whole.size() > 1) {
    const Var last = from.whole.back();
    from.whole.pop_back();
    from.whole.back() = from.whole.back() + last;
  }
  return from.whole.empty() ? Var() : from.whole[0];
}

Var FunctionalBackward::gradient_of(const Var& x) {
  const std::uint32_t slot = tape_.slot_of(x);
  const Var gradient = slot == no_slot ? Var() : gradient_of(slot);
  if (!gradient.defined()) return Tensor::zeros(x.shape(), x.dtype());
  const Tensor& view = x.tensor();
  return view_at(gradient, {tape_.slots[slot].region(view).offset, view.shape(), view.strides()});
}

void FunctionalBackward::accumulate(const Input& input, const Var& gradient) {
  if (input.slot == no_slot) return;
  const Shape& shape = input.var.shape();
  const Var full = broadcast_to(gradient, broadcast_shape("backward", gradient.shape(), shape));
  const Var pulled = sum_to(full, shape);
  if (tape_.observer() && node_ != no_node) [[unlikely]] {
    tape_.observer()->check_pulled(tape_, node_, input, gradient_.tensor(), pulled.tensor());
  }
  const Slot& slot = tape_.slots[input.slot];
  Contributions& to = contributions_[input.slot];
  const Tensor& x = input.var.tensor();
  if (x.shape() == slot.shape && x.is_contiguous()) {
    to.whole.push_back(pulled);
  } else {
    to.parts.push_back(pulled);
    to.places.push_back({input.region.offset, x.shape(), x.strides()});
  }
}

}  // namespace xgrad::detail
