#include <algorithm>
#include <cstring>

#include <xgrad/core/engine/gradient_storage.hpp>

namespace xgrad::detail {

bool Region::overlaps(const Region& other) const {
  if (last <= other.first || other.last <= first) return false;
  return !is_columns() || !other.is_columns() ||
         (first_column < other.last_column && other.first_column < last_column);
}

bool GradientStorage::holds(const Region& region) const {
  if (state_ == State::partial) {
    return held(region.first, region.last) == region.last - region.first;
  }
  if (state_ == State::columns && region.is_columns()) {
    return held(region.first_column, region.last_column) ==
           region.last_column - region.first_column;
  }
  return state_ == State::full;
}

void GradientStorage::bind(const Tensor& memory, bool holds_value) {
  memory_ = memory;
  state_ = holds_value ? State::full : State::untouched;
  bound_ = true;
}

GradientStorage::Access GradientStorage::touch(const Region& region) {
  if (state_ == State::full) return Access::add;
  const bool all_columns = region.is_columns() && region.last - region.first == slices();
  if (all_columns && state_ != State::partial) {
    return touch_columns(region.first_column, region.last_column);
  }
  if (state_ == State::columns) {
    zero_columns();
    return Access::add;
  }
  const Index touched = region.last - region.first;
  if (state_ == State::untouched) {
    if (touched == slices()) {
      state_ = State::full;
      if (region.exact) return Access::assign;
      zero(region.first, region.last);
      return Access::add;
    }
    holds_.assign(static_cast<std::size_t>(slices()), std::byte{0});
    held_ = 0;
    state_ = State::partial;
  }
  const Index held_before = held(region.first, region.last);
  const bool assign = region.exact && held_before == 0;
  if (!assign && held_before < touched) zero(region.first, region.last);
  mark(region.first, region.last);
  held_ += touched - held_before;
  if (held_ == slices()) state_ = State::full;
  return assign ? Access::assign : Access::add;
}

GradientStorage::Access GradientStorage::touch_columns(Index first, Index last) {
  const Index columns = memory_.shape().back();
  if (state_ == State::untouched) {
    holds_.assign(static_cast<std::size_t>(columns), std::byte{0});
    held_ = 0;
    state_ = State::columns;
  }
  const Index held_before = held(first, last);
  if (held_before == last - first) return Access::add;
  if (held_before > 0) {
    zero_columns();
    return Access::add;
  }
  mark(first, last);
  held_ += last - first;
  if (held_ == columns) state_ = State::full;
  return Access::assign;
}

// Zeroes the columns that hold no value; then all do.
void GradientStorage::zero_columns() {
  const Index columns = memory_.shape().back();
  const auto item = static_cast<Index>(item_size(memory_.dtype()));
  const Index rows = memory_.size() / columns;
  for (Index first = 0; first < columns;) {
    Index last = first;
    while (last < columns && holds_.data()[last] == std::byte{0}) ++last;
    for (Index row = 0; row < rows && last > first; ++row) {
      std::memset(memory_.bytes() + (row * columns + first) * item, 0,
                  static_cast<std::size_t>((last - first) * item));
    }
    first = last + 1;
  }
  state_ = State::full;
}

void GradientStorage::complete() {
  if (state_ == State::full) return;
  if (state_ == State::columns) return zero_columns();
  if (state_ == State::untouched) {
    holds_.clear();
  }
  zero(0, slices());
  state_ = State::full;
}

Tensor GradientStorage::take() {
  Tensor memory = std::move(memory_);
  *this = GradientStorage();
  return memory;
}

// Zeroes the slices of the range that hold no value, a run of them at a time.
void GradientStorage::zero(Index first, Index last) {
  const Index all = slices();
  if (all == 0) return;
  const Index slice_bytes = memory_.size() / all * static_cast<Index>(item_size(memory_.dtype()));
  const auto holds = [this](Index i) {
    return !holds_.empty() && holds_.data()[i] != std::byte{0};
  };
  for (Index i = first; i < last;) {
    Index end = i;
    while (end < last && !holds(end)) end = holds_.empty() ? last : end + 1;
    std::memset(memory_.bytes() + i * slice_bytes, 0,
                static_cast<std::size_t>((end - i) * slice_bytes));
    i = end + 1;
  }
}

Index GradientStorage::held(Index first, Index last) const {
  return std::count(holds_.data() + first, holds_.data() + last, std::byte{1});
}

void GradientStorage::mark(Index first, Index last) {
  std::fill(holds_.data() + first, holds_.data() + last, std::byte{1});
}

}  // namespace xgrad::detail
