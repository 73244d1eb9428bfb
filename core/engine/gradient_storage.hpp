#pragma once

#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/tensor.hpp>

namespace xgrad::detail {

/// The part of a slot that a view covers, in elements and in slices of the slot's first axis.
struct Region {
  Index offset = 0;        ///< of the view's first element
  Index first = 0;         ///< first slice touched
  Index last = 0;          ///< behind the last slice touched
  bool exact = false;      ///< the view is exactly these slices (in any order of their elements)
  bool row_major = false;  ///< and lies in memory as they do
  /// If the view is a range of the slot's last axis, at all positions of the others: that range.
  Index first_column = 0;
  Index last_column = 0;

  bool is_columns() const { return first_column < last_column; }
  /// False if no element is in both.
  bool overlaps(const Region& other) const;
};

/// The gradient of one slot while a backward pass runs.
///
/// Each slice of the first axis is either untouched or holds a value. The first touch of a slice
/// assigns, later ones add, and an untouched slice counts as zero:
///
///     touch(exact region, all untouched)  -> assign; the slices now hold a value
///     touch(exact region, all hold)       -> add
///     touch(any other region)             -> its untouched slices are zeroed; add
///     complete()                          -> untouched slices are zeroed; all hold a value
///
/// So a loop over x[0], x[1], ... writes each slice once and clears nothing. The same holds for
/// ranges of columns, the gates that `split` cuts: as long as only they are touched, each column
/// is either untouched or holds a value. The memory is row-major and may be a part of another
/// slot's memory (see FastBackward).
class GradientStorage {
 public:
  enum class Access { assign, add };

  bool has_memory() const { return bound_; }
  bool touched() const { return state_ != State::untouched; }
  bool full() const { return state_ == State::full; }  ///< every slice holds a value
  /// True if every slice, or column, that the region touches holds a value.
  bool holds(const Region& region) const;

  /// Row-major memory of the slot's shape.
  void bind(const Tensor& memory, bool holds_value);
  Access touch(const Region& region);
  void complete();

  const Tensor& memory() const { return memory_; }
  Tensor take();

 private:
  /// partial: some slices hold a value; columns: some columns of all slices do.
  enum class State : std::uint8_t { untouched, partial, columns, full };

  Index slices() const { return memory_.dim() == 0 ? 1 : memory_.shape()[0]; }
  Access touch_columns(Index first, Index last);
  void zero_columns();
  void zero(Index first, Index last);
  Index held(Index first, Index last) const;
  void mark(Index first, Index last);

  Tensor memory_;
  PoolVector<std::byte> holds_;  ///< one per slice, or column, while only some hold a value
  Index held_ = 0;               ///< of them
  State state_ = State::untouched;
  bool bound_ = false;
};

}  // namespace xgrad::detail
