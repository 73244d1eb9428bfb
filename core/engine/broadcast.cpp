#include <cstring>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/kernels/column_sums.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

struct Identity {
  static constexpr const char* name = "copy";
  static constexpr bool exact = true;
  static constexpr bool identity = true;
  static auto value(auto x) { return x; }
  static auto pullback(auto g, auto, auto) { return g; }
};
using Copy = Kernels<Pointwise<Identity, Leaf>>;

struct SumTo {
  static constexpr const char* name = "sum_to";
  Shape shape;
  Tensor value(const Tensor& x) const {
    Tensor y = Tensor::zeros(shape, x.dtype());
    add_to({y.address(), false}, y, x.shape(), x);
    return y;
  }
  void pullback(Pullback& p) const { p.add(0, p.gradient()); }
};

struct BroadcastTo {
  static constexpr const char* name = "broadcast_to";
  static constexpr bool exact = true;
  Shape shape;
  Tensor value(const Tensor& x) const {
    Tensor y = Tensor::uninitialized(shape, x.dtype());
    const Tensor* leaf = &x;
    run_forward(Copy::type, {&leaf, 1}, nullptr, y);
    return y;
  }
  void pullback(Pullback& p) const { p.add(0, p.gradient()); }
};

struct Assemble {
  static constexpr const char* name = "assemble";
  Shape shape;
  PoolVector<ViewLayout> places;
  Tensor value(std::span<const Var> parts) const {
    const Tensor y = Tensor::zeros(shape, parts[0].dtype());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const ViewLayout& place = places[i];
      const Tensor view = y.view(place.shape, place.strides, place.offset);
      add_to({view.address(), false}, view, place.shape, parts[i].tensor());
    }
    return y;
  }
  void pullback(Pullback& p) const {
    for (std::size_t i = 0; i < places.size(); ++i) p.add(i, view_at(p.gradient(), places[i]));
  }
};

}  // namespace

Var view_at(const Var& x, const ViewLayout& layout) {
  const Var base = x.tensor().is_contiguous() ? x : copy(x);
  return view_of(base, base.tensor().view(layout.shape, layout.strides, layout.offset));
}

void add_to(const LeafTarget& target, const Tensor& like, const Shape& shape,
            const Tensor& gradient) {
  if (!target.memory || gradient.size() == 0) return;
  if (gradient.shape() == shape && gradient.is_contiguous() && like.is_contiguous() &&
      has_rows_of(shape, like.shape())) {
    return sum_rows(gradient, gradient.size() / like.size(), target.memory, target.assign);
  }
  // The kernel of the identity: target = source + gradient. It does not use the leaf's value.
  const Tensor* leaf = &like;
  run_backward(Copy::type, {&leaf, 1}, nullptr, shape, gradient, {&target, 1});
}

Var sum_to(const Var& x, const Shape& shape) {
  return x.shape() == shape ? x : apply(SumTo{shape}, x);
}

Var broadcast_to(const Var& x, const Shape& shape) {
  return x.shape() == shape ? x : apply(BroadcastTo{shape}, x);
}

Var copy(const Var& x) { return apply(BroadcastTo{x.shape()}, x); }

Var assemble(const Shape& shape, std::span<const ViewLayout> places, std::span<const Var> parts) {
  return apply_all(Assemble{shape, {places.begin(), places.end()}}, parts);
}

}  // namespace xgrad::detail
