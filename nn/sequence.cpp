#include <algorithm>
#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/nn/sequence.hpp>
#include <xgrad/ops/pointwise.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::nn {

Ragged::Ragged(const char* caller, const Var& x, std::span<const Index> lengths)
    : lengths_(lengths.begin(), lengths.end()) {
  const auto error = [&](const std::string& rule) {
    return Error(std::string(caller) + ": x is " + to_string(x.shape()) + ": " + rule);
  };
  if (x.dim() != 3) throw error("it must be (steps, batch, features)");
  const Index steps = x.shape()[0];
  if (steps == 0) throw error("it must have at least one step");
  shortest_ = steps;
  if (lengths.empty()) return;
  if (static_cast<Index>(lengths.size()) != x.shape()[1]) {
    throw error(std::to_string(lengths.size()) + " lengths for a batch of " +
                std::to_string(x.shape()[1]));
  }
  for (Index length : lengths) {
    if (length < 1 || length > steps) {
      throw error("the length " + std::to_string(length) + " must be from 1 to " +
                  std::to_string(steps));
    }
    shortest_ = std::min(shortest_, length);
  }
}

Var Ragged::reaches(Index t, const Var& like) const {
  if (like.dim() == 0) {
    throw Error(
        "recurrent: a member of the state is a single number: with lengths each sequence "
        "must have its own, in a first axis");
  }
  Shape shape{static_cast<Index>(lengths_.size())};
  while (shape.size() < like.dim()) shape.push_back(1);
  std::vector<float> flags;
  for (Index length : lengths_) flags.push_back(t < length ? 1.f : 0.f);
  return Tensor(shape, flags).to(like.dtype());
}

Var Ragged::choose(Index t, const Var& now, const Var& old) const {
  return where(reaches(t, now), now, old);
}

Var Ragged::mask(Index t, const Var& x) const { return where(reaches(t, x), x, 0.0); }

Var Ragged::mask(const Var& x) const {
  const Index steps = x.shape()[0];
  if (shortest_ == steps) return x;
  std::vector<float> flags;
  for (Index t = 0; t < steps; ++t) {
    for (Index length : lengths_) flags.push_back(t < length ? 1.f : 0.f);
  }
  const Var inside = Tensor({steps, x.shape()[1], 1}, flags).to(x.dtype());
  return where(inside, x, 0.0);
}

Var side_by_side(const Var& a, const Var& b) { return concat({a, b}, -1); }

Var stack_steps(std::span<const Var> outputs) { return stack(outputs, 0); }

namespace detail {

std::size_t cell_count(Index layers, bool bidirectional, std::size_t cell_bytes) {
  if (layers < 1) {
    throw Error("recurrent: layers is " + std::to_string(layers) + ": it must be at least 1");
  }
  if (too_large({layers, bidirectional ? 2 : 1}, cell_bytes)) {
    throw Error("recurrent: layers is " + std::to_string(layers) +
                ": so many are larger than any memory");
  }
  return static_cast<std::size_t>(layers) * (bidirectional ? 2 : 1);
}

void check_cell_count(std::size_t cells, Index layers, bool bidirectional) {
  const std::size_t expected = cell_count(layers, bidirectional, 1);
  if (cells != expected) {
    throw Error("recurrent: " + std::to_string(cells) + " cells for " + std::to_string(layers) +
                " layers" + (bidirectional ? " in two directions" : "") + ": there must be " +
                std::to_string(expected));
  }
}

void check_state_count(std::size_t states, std::size_t cells) {
  if (cells == 0) throw Error("recurrent: it has no cells: it was moved from");
  if (states == cells) return;
  throw Error("recurrent: " + std::to_string(states) + " states for " + std::to_string(cells) +
              " cells");
}

void check_state_batch(const Var& member, const Var& x, Index batch) {
  if (member.dim() == 0 || member.shape()[0] == batch || member.shape()[0] == 1) return;
  throw Error("recurrent: x is " + to_string(x.shape()) + ", a state is " +
              to_string(member.shape()) + ": its first axis must be the batch, " +
              std::to_string(batch));
}

std::string cell_name(std::size_t i, bool bidirectional) {
  const std::size_t directions = bidirectional ? 2 : 1;
  return "layer" + std::to_string(i / directions) + (i % directions == 1 ? "_reverse" : "");
}

}  // namespace detail
}  // namespace xgrad::nn
